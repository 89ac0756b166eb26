"""Images in .npy files: one array, of any number of channels."""

import io
import math

import numpy as np

from neocog.dataset.file_types import FILE_TYPES
from neocog.dataset.npy_files import npy_header as array_header_of
from neocog.errors import DataError
from neocog.modalities.image.pixels import Header, Pixels, array_header, array_pixels, check_array, check_size

__all__ = ["is_npy", "npy_header", "npy_pixels", "promises_image"]


def is_npy(payload: bytes) -> bool:
    return payload.startswith(FILE_TYPES["NPY"].starts)


def promises_image(start: bytes) -> bool:
    """Whether the first 4,096 bytes of an .npy file say that it is an image, not a signal."""
    try:
        shape, _, dtype = array_header_of(io.BytesIO(start))
        check_array(shape, dtype, "the file")
    except Exception:  # as below
        return False
    return True


def npy_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """The facts in the array's header. Raises DataError as `npy_pixels` does."""
    return array_header(npy_pixels(payload, where, max_pixels))


def npy_pixels(payload: bytes, where: str, max_pixels: int) -> Pixels:
    """The array of an .npy file, (H, W) or (H, W, C) of uint8 or uint16, as (H, W, C).

    Raises DataError for other arrays, and if the file is shorter or longer than its header says. No memory is
    reserved by what a header says, and nothing is unpickled.
    """
    file = io.BytesIO(payload)
    try:
        shape, fortran, dtype = array_header_of(file)
    except Exception as error:  # the header is a Python literal, and a damaged one can be anything
        raise DataError(
            f"{where} is damaged: its .npy header can't be read: {error}.", fix="Replace or remove it."
        ) from error
    check_array(shape, dtype, where)
    check_size((shape[0], shape[1]), math.prod(shape[2:]), where, max_pixels)
    expected, found = math.prod(shape) * dtype.itemsize, len(payload) - file.tell()
    if found != expected:
        raise DataError(
            f"{where} is truncated or damaged. Its header promises {' x '.join(map(str, shape))} values, "
            f"{expected:,} bytes.",
            received=f"{found:,}",
            fix="Replace or remove it.",
        )
    values = np.frombuffer(payload, dtype, offset=file.tell())
    return array_pixels(values.reshape(shape, order="F" if fortran else "C"), where)
