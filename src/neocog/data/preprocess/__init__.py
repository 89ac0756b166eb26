"""Preprocessing: from a payload to a network's input, by settings that travel with the network."""

from neocog.data.preprocess.choose import all_faults, choose_preprocess
from neocog.data.preprocess.image import ImagePreprocess
from neocog.data.preprocess.picture import Pixels, image_pixels, picture_pixels
from neocog.data.preprocess.preprocess import Preprocess
from neocog.data.preprocess.read import read_preprocess

__all__ = [
    "ImagePreprocess",
    "Pixels",
    "Preprocess",
    "all_faults",
    "choose_preprocess",
    "image_pixels",
    "picture_pixels",
    "read_preprocess",
]
