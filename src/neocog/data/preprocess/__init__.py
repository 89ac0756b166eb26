"""Preprocessing: from a payload to a network's input, by settings that travel with the network."""

from neocog.data.preprocess.board import BoardPreprocess, choose_board
from neocog.data.preprocess.choose import all_faults, choose_preprocess
from neocog.data.preprocess.choose_sound import choose_sound
from neocog.data.preprocess.choose_text import TextConfig, choose_text
from neocog.data.preprocess.image import ImagePreprocess
from neocog.data.preprocess.image_config import ImageConfig
from neocog.data.preprocess.picture import Pixels, image_pixels, picture_pixels
from neocog.data.preprocess.preprocess import Preprocess
from neocog.data.preprocess.read import read_preprocess
from neocog.data.preprocess.signal import SignalConfig, SignalPreprocess, choose_signal
from neocog.data.preprocess.sound import SoundConfig, SoundPreprocess
from neocog.data.preprocess.text import TextPreprocess

__all__ = [
    "BoardPreprocess",
    "ImageConfig",
    "ImagePreprocess",
    "Pixels",
    "Preprocess",
    "SignalConfig",
    "SignalPreprocess",
    "SoundConfig",
    "SoundPreprocess",
    "TextConfig",
    "TextPreprocess",
    "all_faults",
    "choose_board",
    "choose_preprocess",
    "choose_signal",
    "choose_sound",
    "choose_text",
    "image_pixels",
    "picture_pixels",
    "read_preprocess",
]
