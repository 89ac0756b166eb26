"""Audio: sources, decoders, spectrograms."""
