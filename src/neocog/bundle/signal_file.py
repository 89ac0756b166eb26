"""A signal from the content of a file, as `neocog predict` and standard input bring it."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import SignalPreprocess
from neocog.dataset.column_names import TIME_LABELS
from neocog.dataset.dialect import find_dialect
from neocog.dataset.file_types import FILE_TYPES
from neocog.dataset.npy_files import read_npy
from neocog.dataset.tables import read_columns
from neocog.errors import DataError, some
from neocog.modalities.signal.channel_names import (
    SHOWN,
    has_fields,
    match_names,
    order_channels,
    said_by_name,
    split_fields,
)
from neocog.modalities.signal.recording import make_recording, read_signal_table
from neocog.modalities.signal.signal_columns import UNCHOSEN, Roles, find_roles, hint

__all__ = ["read_signal"]

(NPY,) = FILE_TYPES["NPY"].starts
WANTED = "A signal is an .npy array, or a .csv table with a header, a column for each channel, a row for each sample."


def read_signal(content: bytes, preprocess: SignalPreprocess, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """An .npy or a .csv file's signal, as a folder of such files is read, (channels, length), and what is to be known.

    Channels are in the order of the network: by their names, or by their place where the file or the network has no
    names. An array (length, channels) is turned where its first axis can't be the channels'. Raises DataError with
    `where` in it for anything else.

    >>> preprocess = SignalPreprocess(channels=2, length=3, names=("x", "y"))
    >>> read_signal(b"time,y,x\\n0,1,5\\n1,2,6\\n2,3,7\\n", preprocess, "a.csv")
    (array([[5., 6., 7.],
           [1., 2., 3.]], dtype=float32), ('channels in another order are matched by name: x, y',))
    """
    if not content.startswith(NPY):
        return read_table(content, preprocess, where)
    array = read_array(content, where)
    if has_fields(array.dtype) and array.ndim == 1:
        return pick_fields(array, preprocess, where)
    turned = array.ndim == 2 and len(array) != preprocess.channels and array.shape[1] == preprocess.channels
    return array.T if turned else np.atleast_2d(array), by_place((), preprocess)


def pick_fields(
    array: NDArray[np.void], preprocess: SignalPreprocess, where: str
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """A structured array with a field for each channel, in the order of the network; (C, L)."""
    values, names = split_fields(array, 0)
    if not preprocess.names:
        return values, by_place(names, preprocess)
    ordered = order_channels(preprocess.names, names, where, "The network", unused=preprocess.unused)
    return values[[names.index(name) for name in ordered]], tuple(said_by_name(preprocess.names, ordered, names))


def by_place(names: Sequence[str], preprocess: SignalPreprocess) -> tuple[str, ...]:
    """What a user should know where only one of a file and a network has names of channels."""
    if preprocess.names and not names:
        return (f"channels without names are read by their place, as {some(preprocess.names, SHOWN)}",)
    if names and not preprocess.names:
        return (f"the network knows no names of channels, which are read by their place: {some(names, SHOWN)}",)
    return ()


def read_array(content: bytes, where: str) -> NDArray[Any]:
    try:
        return read_npy(io.BytesIO(content))
    except Exception as error:  # headers that are damaged raise anything: struct.error, SyntaxError, ...
        raise DataError(f"{WANTED} {where} can't be read: {error}. Replace or remove it.") from error


def read_table(content: bytes, preprocess: SignalPreprocess, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as folder:  # tables are read from files, line by line
        path = Path(folder) / "signal.csv"
        path.write_bytes(content)
        try:
            return match_table(path, preprocess)
        except DataError as error:
            raise DataError(f"{WANTED} {str(error).replace(str(path), where)}") from error


def match_table(path: Path, preprocess: SignalPreprocess) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The channels of a table in the order of the network; (C, L)."""
    dialect, columns = find_dialect(path), read_columns(path)
    said = (f"a table {'; '.join(dialect.differences)}",) if dialect.differences else ()
    matched = match_names(preprocess.names, columns)
    if preprocess.names and len(matched) == len(preprocess.names):
        values, by_name = match_columns(path, preprocess, list(matched.values()))
        return values, (*said, *by_name)
    if preprocess.names and dialect.has_header:
        found = [name for name in columns if hint(name) is None and name.lower() not in TIME_LABELS]
        order_channels(preprocess.names, found, str(path), "The network", unused=preprocess.unused)
    table = read_signal_table(path)
    roles = find_roles(columns, table.facts(), str(path))
    channels = roles.channels
    if not preprocess.names and len(channels) != preprocess.channels:
        every = tuple(name for name in columns if name not in (roles.time, roles.label))
        if len(every) == preprocess.channels:  # a network of the time when what only counts was a channel
            channels = every
    recording = make_recording(table, Roles(channels))
    return recording.values, (*said, *by_place(recording.channels, preprocess))


def match_columns(path: Path, preprocess: SignalPreprocess, chosen: list[str]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The columns that the network's names mean, where the others are known to be no channels; (C, L)."""
    table = read_signal_table(path, chosen)
    roles = find_roles(table.columns, table.facts(), str(path), chosen)
    foreign = [name for name, reason in roles.left_out.items() if reason == UNCHOSEN]
    found = [name for name in table.columns if name in chosen or name in foreign]
    ordered = order_channels(preprocess.names, found, str(path), "The network", unused=preprocess.unused)
    said = said_by_name(preprocess.names, ordered, found)
    return make_recording(table, Roles(roles.channels)).values, tuple(said)
