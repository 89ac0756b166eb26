"""The front door to data: from a path, a name or a Python object to a source that gives any record by its index.

A source is opened (`open_source`), split (`divide`), then decoded and batched (`neocog.loading`). Nothing here writes
to the data of the user.
"""

from neocog.data.config import DataConfig
from neocog.data.known import find_data
from neocog.data.open import Found, Opened, find_format, open_source
from neocog.dataset.record import (
    Modality,
    Payload,
    Record,
    Source,
    check_trainable,
    describe,
    fingerprint,
    sample_ids,
    tell,
)
from neocog.dataset.split import Splits, check_test, divide, divides_by_class, keeps_test
from neocog.modalities.audio.choose import choose_sound
from neocog.modalities.audio.preprocess import SoundConfig, SoundPreprocess
from neocog.modalities.augment import Changes
from neocog.modalities.go.preprocess import BoardPreprocess, choose_board
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.augment import AugmentConfig, augment, check_augment
from neocog.modalities.image.choose import choose_preprocess
from neocog.modalities.image.config import ImageConfig
from neocog.modalities.image.decode import Pixels, image_pixels, picture_pixels
from neocog.modalities.image.folder import list_pictures
from neocog.modalities.image.image_folder import ImageFolder
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.image.tta import TTA, tta_views, tta_weights
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.read import read_preprocess
from neocog.modalities.signal.augment import SignalAugmentConfig
from neocog.modalities.signal.preprocess import SignalConfig, SignalPreprocess, choose_signal
from neocog.modalities.text.augment import TextAugmentConfig
from neocog.modalities.text.choose import TextConfig, choose_text
from neocog.modalities.text.preprocess import TextPreprocess

__all__ = [
    "TTA",
    "ArraySource",
    "AugmentConfig",
    "BoardPreprocess",
    "Changes",
    "DataConfig",
    "Found",
    "ImageConfig",
    "ImageFolder",
    "ImagePreprocess",
    "Modality",
    "Opened",
    "Payload",
    "Pixels",
    "Preprocess",
    "Record",
    "SignalAugmentConfig",
    "SignalConfig",
    "SignalPreprocess",
    "SoundConfig",
    "SoundPreprocess",
    "Source",
    "Splits",
    "TextAugmentConfig",
    "TextConfig",
    "TextPreprocess",
    "augment",
    "check_augment",
    "check_test",
    "check_trainable",
    "choose_board",
    "choose_preprocess",
    "choose_signal",
    "choose_sound",
    "choose_text",
    "describe",
    "divide",
    "divides_by_class",
    "find_data",
    "find_format",
    "fingerprint",
    "image_pixels",
    "keeps_test",
    "list_pictures",
    "open_source",
    "picture_pixels",
    "read_preprocess",
    "sample_ids",
    "tell",
    "tta_views",
    "tta_weights",
]
