"""Data: sources that give any record by index, splits, one preprocessing, and whole batches augmented at once.

A source is opened (`open_source`), divided (`divide`), decoded once into memory (`load_resident`), and fed to training
in batches (`Loader`). Nothing here ever writes to the user's data.
"""

from neocog.data.arrays import ArraySource
from neocog.data.augment import AugmentConfig, augment
from neocog.data.choose import choose_preprocess
from neocog.data.config import DataConfig
from neocog.data.folder import ImageFolder, list_pictures
from neocog.data.known import find_data
from neocog.data.loader import Loader
from neocog.data.open import open_source
from neocog.data.picture import Pixels, image_pixels, picture_pixels
from neocog.data.preprocess import Preprocess
from neocog.data.record import Payload, Record, Source, check_trainable, describe, fingerprint, sample_ids
from neocog.data.resident import Resident, check_decodes, load_resident
from neocog.data.splits import Splits, divide

__all__ = [
    "ArraySource",
    "AugmentConfig",
    "DataConfig",
    "ImageFolder",
    "Loader",
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
    "sample_ids",
]
