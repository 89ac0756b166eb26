"""From an encoded image to its pixels: which reader takes which file, and the reader of .npy files."""

import io
import math
from collections.abc import Callable

import numpy as np

from neocog.dataset.file_types import FILE_TYPES
from neocog.dataset.npy_files import npy_header
from neocog.errors import DataError
from neocog.modalities.image.jpeg import decode_jpeg, jpeg_header
from neocog.modalities.image.pillow import pil_pixels, pillow_header, pillow_pixels
from neocog.modalities.image.pixels import (
    MIN_SIDE,
    REPLACE,
    Decoded,
    Header,
    Pixels,
    Size,
    array_header,
    array_pixels,
    check_array,
    check_size,
)
from neocog.modalities.image.tiff import is_tiff, tiff_header, tiff_pixels

__all__ = [
    "MIN_SIDE", "Header", "Pixels", "decode_image", "decode_scaled", "image_header", "is_npy", "pil_pixels",
    "promises_image",
]  # fmt: skip


def image_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read the header of an image. Raises DataError as `decode_image` does, as far as a header can tell."""
    if is_npy(payload):
        return array_header(npy_pixels(payload, where, max_pixels))
    if is_tiff(payload):
        return tiff_header(payload, where, max_pixels)
    return jpeg_header(payload, where, max_pixels) or pillow_header(payload, where, max_pixels)


def decode_image(payload: bytes, where: str, *, max_pixels: int, convert: bool, channels: int | None = None) -> Pixels:
    """Decode an image, turned as its EXIF orientation says; (H, W, C), 8 or 16 bits.

    Grey is (H, W, 1), RGB (H, W, 3). Arrays and TIFFs may have more channels. Alpha is kept as a fourth channel if
    `channels` is 4. Otherwise an image that can be read as grey or RGB in several ways (CMYK, transparency) is refused
    unless `convert`: CMYK is then converted without its colour profile, and transparency is blended with white.
    Raises DataError for a file that is empty, not an image, truncated, damaged, too small or too large.
    """
    return decode_scaled(payload, where, max_pixels=max_pixels, convert=convert, channels=channels).pixels


def decode_scaled(
    payload: bytes,
    where: str,
    *,
    max_pixels: int,
    convert: bool,
    channels: int | None = None,
    need: Callable[[Size], Size] | None = None,
    exact: bool = True,
) -> Decoded:
    """As `decode_image`, but a JPEG no larger than needed: `need` maps its size to what it will be resized to.

    Without `exact`, as in version 2 of the preprocessing, JPEG colours with subsampled columns may be decoded smaller
    than needed, and white may be zero in a TIFF of 16 bits.
    """
    if found := decode_jpeg(payload, where, max_pixels, need, whole_colours=exact):
        return found
    if is_npy(payload):
        return Decoded.whole(npy_pixels(payload, where, max_pixels))
    if is_tiff(payload):
        return Decoded.whole(tiff_pixels(payload, where, max_pixels, convert=convert, channels=channels, exact=exact))
    return Decoded.whole(pillow_pixels(payload, where, max_pixels=max_pixels, convert=convert, channels=channels))


def is_npy(payload: bytes) -> bool:
    return payload.startswith(FILE_TYPES["NPY"].starts)


def promises_image(start: bytes) -> bool:
    """Whether the first 4,096 bytes of an .npy file say that it is an image, not a signal."""
    try:
        shape, _, dtype = npy_header(io.BytesIO(start))
        check_array(shape, dtype, "the file")
    except Exception:  # as below
        return False
    return True


def npy_pixels(payload: bytes, where: str, max_pixels: int) -> Pixels:
    """The array of an .npy file, (H, W) or (H, W, C) of uint8 or uint16, as (H, W, C).

    Raises DataError for other arrays, and if the file is shorter or longer than its header says. No memory is
    reserved by what a header says, and nothing is unpickled.
    """
    file = io.BytesIO(payload)
    try:
        shape, fortran, dtype = npy_header(file)
    except Exception as error:  # the header is a Python literal, and a damaged one can be anything
        raise DataError(f"{where} is damaged: its .npy header can't be read: {error}.", fix=REPLACE) from error
    check_array(shape, dtype, where)
    check_size((shape[0], shape[1]), math.prod(shape[2:]), where, max_pixels)
    expected, found = math.prod(shape) * dtype.itemsize, len(payload) - file.tell()
    if found != expected:
        promised = f"{' x '.join(map(str, shape))} values, {expected:,} bytes"
        rule = f"{where} is truncated or damaged. Its header promises {promised}."
        raise DataError(rule, received=f"{found:,}", fix=REPLACE)
    values = np.frombuffer(payload, dtype, offset=file.tell())
    return array_pixels(values.reshape(shape, order="F" if fortran else "C"), where)
