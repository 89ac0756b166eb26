"""Signals (time series): sources, preprocessing, augmentation. `modality` holds its row in the table of kinds of data."""

__all__: list[str] = []
