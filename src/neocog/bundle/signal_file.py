"""A signal from the content of a file, as `neocog predict` reads it from a path or from standard input."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import IO, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.column_names import TIME_LABELS
from neocog.dataset.dialect import find_dialect
from neocog.dataset.file_types import FILE_TYPES
from neocog.dataset.npy_files import read_npy
from neocog.dataset.tables import read_columns
from neocog.errors import DataError, some
from neocog.modalities.signal.channel_names import SHOWN, has_fields, match_names, order_channels, split_fields
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.signal.recording import SignalTable, make_recording, read_signal_table
from neocog.modalities.signal.signal_columns import UNCHOSEN, Roles, find_roles, hint

__all__ = ["by_place", "match_roles", "read_signal"]

(NPY,) = FILE_TYPES["NPY"].starts
WANTED = "A signal is an .npy array or a .csv table with a header, a column for each channel and a row for each sample."


class MemoryFile:
    """A .csv file that is not on disk, with the methods of a path that reading a table needs; `where` is its name."""

    suffix = ".csv"

    def __init__(self, content: bytes, where: str) -> None:
        self.content, self.name = content, where

    def __str__(self) -> str:
        return self.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.content = b""  # what is known of a table stays in a cache, with this as its key

    def open(self, mode: str) -> IO[bytes]:
        assert mode == "rb"
        return io.BytesIO(self.content)

    def stat(self) -> SimpleNamespace:
        return SimpleNamespace(st_size=len(self.content), st_mtime_ns=0)


def read_signal(content: bytes, preprocess: SignalPreprocess, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The signal of an .npy or .csv file, (channels, length), and what the user should know of how it was read.

    Channels are put in the order of the network: by their names, or by their position if the file or the network has no
    names. An array (length, channels) is transposed if its first axis can't be the channels. Raises DataError with
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
    ordered, notices = order_channels(preprocess.names, names, where, "The network", unused=preprocess.unused)
    return values[[names.index(name) for name in ordered]], tuple(notices)


def by_place(names: Sequence[str], preprocess: SignalPreprocess) -> tuple[str, ...]:
    """The notice for a file or a network without names of channels, if the other has them."""
    if preprocess.names and not names:
        return (f"channels without names are taken in the order of the network: {some(preprocess.names, SHOWN)}",)
    if names and not preprocess.names:
        return (
            f"the network has no channel names, so channels are taken in the order of the file: {some(names, SHOWN)}",
        )
    return ()


def read_array(content: bytes, where: str) -> NDArray[Any]:
    try:
        return read_npy(io.BytesIO(content))
    except Exception as error:  # damaged headers raise anything: struct.error, SyntaxError, ...
        raise DataError(f"{WANTED} {where} can't be read: {error}.", fix="Replace or remove it.") from error


def read_table(content: bytes, preprocess: SignalPreprocess, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    with MemoryFile(content, where) as file:
        try:
            return match_table(cast(Path, file), preprocess)
        except DataError as error:
            raise DataError(
                f"{WANTED} {error.rule}", received=error.received, where=error.where, fix=error.fix, kind=error.kind
            ) from error


def match_table(path: Path, preprocess: SignalPreprocess) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The channels of a table in the order of the network; (C, L)."""
    table, roles, notices = match_roles(path, preprocess)
    return make_recording(table, Roles(roles.channels)).values, notices


def match_roles(
    path: Path, preprocess: SignalPreprocess, most: int | None = None
) -> tuple[SignalTable, Roles, tuple[str, ...]]:
    """A table, the roles of its columns, with channels in the order of the network, and notices.

    With `most`, only its first rows are read.
    """
    dialect, columns = find_dialect(path), read_columns(path)
    said = (f"a table {'; '.join(dialect.differences)}",) if dialect.differences else ()
    matched = match_names(preprocess.names, columns)
    if preprocess.names and len(matched) == len(preprocess.names):
        table, roles, by_name = match_columns(path, preprocess, list(matched.values()), most)
        return table, roles, (*said, *by_name)
    if preprocess.names and dialect.has_header:
        found = [name for name in columns if hint(name) is None and name.lower() not in TIME_LABELS]
        order_channels(preprocess.names, found, str(path), "The network", unused=preprocess.unused)
    table = read_signal_table(path, most=most)
    roles = find_roles(columns, table.facts(), str(path))
    channels = roles.channels
    if not preprocess.names and len(channels) != preprocess.channels:
        every = tuple(name for name in columns if name not in (roles.time, roles.label))
        if len(every) == preprocess.channels:  # an early network, for which a column that only counts was a channel
            channels = every
    named = channels if dialect.has_header else ()
    return table, replace(roles, channels=channels), (*said, *by_place(named, preprocess))


def match_columns(
    path: Path, preprocess: SignalPreprocess, chosen: list[str], most: int | None = None
) -> tuple[SignalTable, Roles, tuple[str, ...]]:
    """The columns that have the network's names, if all others are known not to be channels."""
    table = read_signal_table(path, chosen, most)
    roles = find_roles(table.columns, table.facts(), str(path), chosen)
    foreign = [name for name, reason in roles.left_out.items() if reason == UNCHOSEN]
    found = [name for name in table.columns if name in chosen or name in foreign]
    _, notices = order_channels(preprocess.names, found, str(path), "The network", unused=preprocess.unused)
    return table, roles, tuple(notices)
