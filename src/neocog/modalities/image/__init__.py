"""Images: sources, decoders, preprocessing, augmentation."""
