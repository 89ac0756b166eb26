"""The front door to data: from a path, a name or a Python object to a source that gives any record by its index.

A source is opened (`open_source`), split (`divide`), then decoded and batched (`neocog.loading`). Nothing here writes
to the data of the user.
"""

from neocog.data.config import DataConfig
from neocog.data.known import find_data
from neocog.data.open import Location, Opened, find_format, open_source
from neocog.dataset import Modality, Payload, Record, Source, describe, fingerprint
from neocog.dataset.record import check_trainable, sample_ids, tell
from neocog.dataset.split import Splits, check_test, divide, divides_by_class, keeps_test
from neocog.modalities.audio.choose import AudioConfig, choose_audio
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.go.augment import BoardAugmentConfig
from neocog.modalities.go.preprocess import BoardConfig, BoardPreprocess, choose_board
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.augment import AugmentConfig, augment, check_augment
from neocog.modalities.image.choose import ImageConfig, choose_image
from neocog.modalities.image.decode import Pixels, decode_image, pil_pixels
from neocog.modalities.image.image_folder import ImageFolder, list_images
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.image.tta import TTA, tta_views, tta_weights
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.augment import SignalAugmentConfig
from neocog.modalities.signal.choose import SignalConfig, choose_signal
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.table import MODALITIES, ModalityInfo, read_preprocess, register_modality
from neocog.modalities.text.augment import TextAugmentConfig
from neocog.modalities.text.choose import TextConfig, choose_text
from neocog.modalities.text.preprocess import TextPreprocess

__all__ = [
    "MODALITIES", "TTA", "ArraySource", "AudioConfig", "AudioPreprocess", "AugmentConfig", "BoardAugmentConfig",
    "BoardConfig", "BoardPreprocess", "DataConfig", "ImageConfig", "ImageFolder", "ImagePreprocess", "Location",
    "Modality", "ModalityInfo", "Opened", "Payload", "Pixels", "Preprocess", "Record", "SignalAugmentConfig",
    "SignalConfig", "SignalPreprocess", "Source", "Splits", "TextAugmentConfig", "TextConfig", "TextPreprocess",
    "augment", "check_augment", "check_test", "check_trainable", "choose_audio", "choose_board", "choose_image",
    "choose_signal", "choose_text", "decode_image", "describe", "divide", "divides_by_class", "find_data",
    "find_format", "fingerprint", "keeps_test", "list_images", "open_source", "pil_pixels", "read_preprocess",
    "register_modality", "sample_ids", "tell", "tta_views", "tta_weights",
]  # fmt: skip
