"""Audio: sources, decoders, spectrograms, preprocessing. Its row of the table is in `modality`."""

__all__: list[str] = []
