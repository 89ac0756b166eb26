"""The forms that an image takes: its header, its pixels, and the checks that all readers share."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = [
    "CONVERT", "MAX_CHANNELS", "MIN_SIDE", "RANGES", "REPLACE", "Decoded", "Header", "Pixels", "Size",
    "UnsupportedImageError", "array_header", "array_pixels", "channels_first", "check_array", "check_size", "damaged",
    "flips", "orient", "over_white", "to_unsigned",
]  # fmt: skip

Pixels = NDArray[Any]
"""(H, W, C), uint8 or uint16."""
Size = tuple[int, int]
"""Height and width."""
MIN_SIDE = 2
MAX_CHANNELS = 256
REPLACE, CONVERT = "Replace or remove it.", "with --image.convert true in training"
RANGES = "0..255 (uint8) or 0..65535 (uint16)"


class UnsupportedImageError(DataError):
    """An image that may be intact, stored in a way that is not supported."""


def damaged(where: str, reason: object, kind: str = "file") -> DataError:
    """The error for an image that can't be decoded whole."""
    received = f"a truncated or damaged {kind}" + (f": {reason}" if reason else "")
    rule = "An image must decode to its last row."
    return DataError(rule, received=received, where=where, fix=REPLACE)


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of an image before it is decoded: its size as it will be shown, and its kind of pixels."""

    height: int
    width: int
    channels: int  # without alpha
    bit_depth: int
    alpha: bool = False

    def fits(self, channels: int) -> bool:
        """Whether the image can be brought to this number of channels: as it is, grey to RGB and back, with its alpha.

        >>> Header(9, 7, 1, 8).fits(3), Header(9, 7, 3, 8).fits(4), Header(9, 7, 3, 8, alpha=True).fits(4)
        (True, False, True)
        """
        return channels == self.channels or {channels, self.channels} == {1, 3} or (self.alpha and channels == 4)


@dataclass(slots=True)
class Decoded:
    """The pixels of an image, and where the image lies in them: a JPEG can be decoded at k/8 of its size.

    A side that is not divisible then ends within a pixel, or begins within one if the image was turned.
    """

    pixels: Pixels
    full: Size  # the size of the image itself, as it will be shown
    eighths: int = 8
    origin: tuple[float, float] = (0.0, 0.0)  # the left and upper edge of the image within the pixels

    @classmethod
    def whole(cls, pixels: Pixels) -> "Decoded":
        """Pixels at full size."""
        return cls(pixels, (pixels.shape[0], pixels.shape[1]))


def check_size(size: Size, channels: int, where: str, max_pixels: int) -> None:
    """Raises DataError for an image that is too large or too small. Every four channels count as one pixel."""
    height, width = size
    million = height * width * max(1.0, channels / 4) / 1e6
    if million > max_pixels / 1e6:
        layers = f" with {channels} channels, every four counted as a pixel," if channels > 4 else ","
        rule = f"An image may have at most {max_pixels / 1e6:g} million pixels."
        received = f"{width} x {height}{layers} which is {million:.1f} million"
        fix = "Shrink it, or raise the limit with --image.max_pixels in training."
    elif min(size) < MIN_SIDE:
        rule, fix = f"An image must have at least {MIN_SIDE} pixels on each side.", REPLACE
        received = f"{width} x {height}"
    else:
        return
    raise DataError(rule, received=received, where=where, fix=fix)


def array_pixels(payload: NDArray[Any], where: str) -> Pixels:
    """Pixels given as an array, as (H, W, C). Raises DataError for other shapes and types.

    >>> array_pixels(np.zeros((9, 7), np.uint8), "a").shape
    (9, 7, 1)
    """
    check_array(payload.shape, payload.dtype, where)
    pixels = payload[:, :, None] if payload.ndim == 2 else payload
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def array_header(pixels: NDArray[Any]) -> Header:
    """Of an image that is an array; (H, W) or (H, W, C)."""
    return Header(pixels.shape[0], pixels.shape[1], math.prod(pixels.shape[2:]), 8 * pixels.itemsize)


def check_array(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> None:
    """Raises DataError if an array of this shape and type is not an image."""
    channels = shape[2] if len(shape) == 3 else 1
    counted = len(shape) in (2, 3) and 1 <= channels <= MAX_CHANNELS
    if not counted or dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        rule = f"An image as an array must be (H, W) or (H, W, C) with 1 to {MAX_CHANNELS} channels, uint8 or uint16."
        received, fix = f"{dtype} {shape}", "Scale floats to 0..255 and convert them to uint8."
    elif channels_first((*shape[:2], channels)):
        rule = "The channels of an image as an array must come last."
        received, fix = f"{shape}, which looks as if they came first", "Move them with np.moveaxis(pixels, 0, -1)."
    else:
        return
    raise DataError(rule, received=received, where=where, fix=fix)


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether (H, W, C) is rather (C, H, W): flat, and with 1, 3 or 4 rows or as many channels as columns.

    >>> channels_first((3, 48, 64)), channels_first((12, 64, 64)), channels_first((3, 3, 200))
    (True, True, False)
    """
    rows, columns, channels = shape
    return channels > 4 and rows < columns and (rows in (1, 3, 4) or columns == channels)


def to_unsigned(values: NDArray[Any], where: str) -> Pixels:
    """Whole numbers of any type as uint8 or uint16. Raises DataError if they do not fit."""
    if values.dtype in (np.uint8, np.uint16):
        return values
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 0xFFFF:
        rule, received = "Pixels must be whole numbers from 0 to 65,535.", f"values from {low:,} to {high:,}"
        fix = f"Shift or scale all images alike to {RANGES}."
        raise UnsupportedImageError(rule, received=received, where=where, fix=fix)
    return values.astype(np.uint8 if values.itemsize == 1 else np.uint16)


def over_white(pixels: Pixels, where: str, convert: bool, mode: str = "") -> Pixels:
    """Pixels without their last channel, alpha, which must hide nothing, or is blended with white if `convert`.

    Equal to Pillow's `alpha_composite` over white, bit for bit. Raises DataError for transparency without `convert`.
    """
    white = np.iinfo(pixels.dtype).max
    colours, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    if alpha.min() == white:
        return colours
    if not convert:
        received = f"a partly transparent image{f' ({mode})' if mode else ''}, whose background is not known"
        fix = f"Flatten it, keep alpha with --image.channels 4, or accept a white background {CONVERT}."
        raise DataError("Images must be opaque.", received=received, where=where, fix=fix)
    share = alpha / np.float64(white)
    return np.round(colours * share + white * (1 - share)).astype(pixels.dtype)


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels as they are stored, turned as an EXIF or TIFF orientation 1..8 says; a view."""
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    rows, columns = flips(orientation)
    return turned[:: -1 if rows else 1, :: -1 if columns else 1]


def flips(orientation: int) -> tuple[bool, bool]:
    """Whether rows and columns run backwards, after any exchange of the two."""
    return orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
