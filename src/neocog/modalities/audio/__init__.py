"""Audio: sources, decoders, spectrograms."""

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})
"""Of the files that are read."""
