"""Text: sources, tokens, preprocessing, augmentation."""
