"""Images: sources, decoders, preprocessing, augmentation. Its row of the table is in `modality`."""

__all__: list[str] = []
