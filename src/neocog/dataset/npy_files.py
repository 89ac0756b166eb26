"""One NumPy array from a file that may not be what it says: no pickle, and no more memory than the file fills.

`numpy.load` reserves what a header promises before it reads, and refuses headers only after reading them whole.
Source: the format's description in numpy.lib.format.
"""

import io
import math
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.files import check_inflation, read_at_most

__all__ = ["MAX_BYTES", "npy_header", "read_npy"]

MAX_HEADER = 2**16
MAX_BYTES = 2**34
"""A larger array is refused before it is read."""


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis runs fastest, and type; the file is at the first value then.

    Raises ValueError, or whatever else NumPy's parser raises, if there is no valid header.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its header is of version {version[0]}.{version[1]}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    size = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(size, "little")
    if length > MAX_HEADER:  # NumPy would read it whole before refusing it
        raise ValueError(f"its header says that it is {length:,} bytes long itself")
    shape, fortran, dtype = read(io.BytesIO(size + file.read(length)))
    if any(size < 0 for size in shape):
        raise ValueError(f"its header says that its shape is {shape}")
    return shape, fortran, dtype


def read_npy(file: IO[bytes], packed: int | None = None) -> NDArray[Any]:
    """The array. `packed` are the bytes of the archive that it comes from, if it is one.

    Raises ValueError for objects, for too much, and for more or fewer values than the header says.
    """
    shape, fortran, dtype = npy_header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which can be programs and are never loaded")
    expected = math.prod(shape) * dtype.itemsize
    if expected > MAX_BYTES:
        raise ValueError(f"it says that it holds {expected:,} bytes, more than {MAX_BYTES:,}")
    if packed is not None:
        check_inflation(expected, packed)
    content = read_at_most(file, expected + 1)
    if len(content) != expected:
        found = f"{len(content):,}" if len(content) < expected else "more"
        raise ValueError(f"its header promises {expected:,} bytes of values, and it holds {found}")
    if dtype.kind == "U":
        codes = np.frombuffer(content, np.dtype("u4").newbyteorder(dtype.byteorder))
        if ((codes > 0x10FFFF) | (codes // 0x800 == 0x1B)).any():  # the latter are halves of surrogate pairs
            raise ValueError("it holds texts with characters that Unicode does not have")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
