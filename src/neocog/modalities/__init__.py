"""Kinds of data: images, signals, audio, text, positions of Go. Each has a folder with everything particular to it.

`MODALITIES` is the table of them: nothing outside of these folders asks which kind of data it handles, but what a row
says. `register_modality` adds a row.
"""

from neocog.modalities.preprocess import Preprocess
from neocog.modalities.table import MODALITIES, ModalityInfo, read_preprocess, register_modality

__all__ = ["MODALITIES", "ModalityInfo", "Preprocess", "read_preprocess", "register_modality"]
