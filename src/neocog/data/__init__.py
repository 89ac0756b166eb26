"""Data: sources that give any record by index, splits, one preprocessing, and whole batches augmented at once.

A source is opened (`open_source`), divided (`divide`), decoded (`load_resident`), and fed to training in batches
(`Loader`). Nothing here ever writes to the user's data.
"""

from neocog.data.augment import AugmentConfig, augment
from neocog.data.config import DataConfig
from neocog.data.feeding import Loader, Resident, check_decodes, load_resident
from neocog.data.known import find_data
from neocog.data.open import open_source
from neocog.data.preprocess import (
    ImagePreprocess,
    Pixels,
    Preprocess,
    choose_preprocess,
    image_pixels,
    picture_pixels,
    read_preprocess,
)
from neocog.data.record import Modality, Payload, Record, Source, check_trainable, describe, fingerprint, sample_ids
from neocog.data.sources.arrays import ArraySource
from neocog.data.sources.folder import ImageFolder, list_pictures
from neocog.data.splits import Splits, divide

__all__ = [
    "ArraySource",
    "AugmentConfig",
    "DataConfig",
    "ImageFolder",
    "ImagePreprocess",
    "Loader",
    "Modality",
    "Payload",
    "Pixels",
    "Preprocess",
    "Record",
    "Resident",
    "Source",
    "Splits",
    "augment",
    "check_decodes",
    "check_trainable",
    "choose_preprocess",
    "describe",
    "divide",
    "find_data",
    "fingerprint",
    "image_pixels",
    "list_pictures",
    "load_resident",
    "open_source",
    "picture_pixels",
    "read_preprocess",
    "sample_ids",
]
