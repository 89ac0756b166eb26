"""A signal from the content of a file, as `neocog predict` and standard input bring it."""

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.sources.csv_windows import read_recording
from neocog.data.sources.npy import read_npy
from neocog.errors import DataError

__all__ = ["read_signal"]

NPY = b"\x93NUMPY"
WANTED = "A signal is an .npy array, or a .csv table with a header, a column for each channel, a row for each sample."


def read_signal(content: bytes, channels: int, where: str) -> NDArray[Any]:
    """An .npy or a .csv file's signal, as a folder of such files is read; (channels, length).

    An array (length, channels) is turned where its first axis can't be the channels'. Raises DataError with `where` in
    it for anything else.

    >>> read_signal(b"time,x,y\\n0,1,5\\n1,2,6\\n2,3,7\\n", 2, "a.csv").tolist()
    [[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]
    """
    signal = read_array(content, where) if content.startswith(NPY) else read_table(content, where)
    turned = signal.ndim == 2 and len(signal) != channels and signal.shape[1] == channels
    return signal.T if turned else np.atleast_2d(signal)


def read_array(content: bytes, where: str) -> NDArray[Any]:
    try:
        return read_npy(io.BytesIO(content))
    except Exception as error:  # headers that are damaged raise anything: struct.error, SyntaxError, ...
        raise DataError(f"{WANTED} {where} can't be read: {error}. Replace or remove it.") from error


def read_table(content: bytes, where: str) -> NDArray[Any]:
    with tempfile.TemporaryDirectory() as folder:  # tables are read from files, line by line
        path = Path(folder) / "signal.csv"
        path.write_bytes(content)
        try:
            return read_recording(path).values
        except DataError as error:
            raise DataError(f"{WANTED} {str(error).replace(str(path), where)}") from error
