"""Data: sources that give any record by index, splits, one preprocessing, and whole batches augmented at once.

A source is opened (`open_source`), divided (`divide`), decoded (`load_resident`), and fed to training in batches
(`Loader`). Nothing here ever writes to the user's data.
"""

from neocog.data.augment import AugmentConfig, Views, augment, check_augment, num_views, view_weights, views
from neocog.data.augment.change import Changes
from neocog.data.augment.signals import SignalAugmentConfig
from neocog.data.augment.texts import TextAugmentConfig
from neocog.data.config import DataConfig
from neocog.data.doctor.skip_list import read_skip_list
from neocog.data.feeding import (
    Balanced,
    BlockShuffled,
    Corrupt,
    Feed,
    Loader,
    Order,
    Repeated,
    Resident,
    Shuffled,
    Streamed,
    check_decodes,
    choose_feeding,
    load_resident,
    open_feed,
)
from neocog.data.known import find_data
from neocog.data.open import open_source, recognised
from neocog.data.preprocess import (
    BoardPreprocess,
    ImageConfig,
    ImagePreprocess,
    Pixels,
    Preprocess,
    SignalConfig,
    SignalPreprocess,
    SoundConfig,
    SoundPreprocess,
    TextConfig,
    TextPreprocess,
    choose_board,
    choose_preprocess,
    choose_signal,
    choose_sound,
    choose_text,
    image_pixels,
    picture_pixels,
    read_preprocess,
)
from neocog.data.record import (
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
from neocog.data.sources.arrays import ArraySource
from neocog.data.sources.folder import list_pictures
from neocog.data.sources.image_folder import ImageFolder
from neocog.data.splits import Splits, check_test, divide, divides_by_class, keeps_test

__all__ = [
    "ArraySource",
    "AugmentConfig",
    "Balanced",
    "BlockShuffled",
    "BoardPreprocess",
    "Changes",
    "Corrupt",
    "DataConfig",
    "Feed",
    "ImageConfig",
    "ImageFolder",
    "ImagePreprocess",
    "Loader",
    "Modality",
    "Order",
    "Payload",
    "Pixels",
    "Preprocess",
    "Record",
    "Repeated",
    "Resident",
    "Shuffled",
    "SignalAugmentConfig",
    "SignalConfig",
    "SignalPreprocess",
    "SoundConfig",
    "SoundPreprocess",
    "Source",
    "Splits",
    "Streamed",
    "TextAugmentConfig",
    "TextConfig",
    "TextPreprocess",
    "Views",
    "augment",
    "check_augment",
    "check_decodes",
    "check_test",
    "check_trainable",
    "choose_board",
    "choose_feeding",
    "choose_preprocess",
    "choose_signal",
    "choose_sound",
    "choose_text",
    "describe",
    "divide",
    "divides_by_class",
    "find_data",
    "fingerprint",
    "image_pixels",
    "keeps_test",
    "list_pictures",
    "load_resident",
    "num_views",
    "open_feed",
    "open_source",
    "picture_pixels",
    "read_preprocess",
    "read_skip_list",
    "recognised",
    "sample_ids",
    "tell",
    "view_weights",
    "views",
]
