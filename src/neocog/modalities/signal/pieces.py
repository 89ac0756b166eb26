"""A table of signals in pieces, so that a recording may be longer than memory; its first rows tell what columns are."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.dialect import find_dialect
from neocog.dataset.tables import read_rows
from neocog.errors import some
from neocog.files.cache import cache_dir
from neocog.modalities.signal.channel_names import SHOWN
from neocog.modalities.signal.on_disk import DiskSignal
from neocog.modalities.signal.recording import (
    CHUNK,
    Recording,
    as_numbers,
    code_labels,
    name_labels,
    read_signal_table,
)
from neocog.modalities.signal.signal_columns import Roles, find_roles
from neocog.modalities.signal.times import find_gaps, read_times, usual_step

__all__ = ["LOOK", "Coded", "Piece", "read_pieces", "store_recording"]

LOOK = 2**16
"""Rows from which the roles of a long table's columns are found."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a table that follow each other."""

    values: NDArray[np.float32]
    """(C, T)."""
    times: NDArray[np.float64] | None = None
    """In seconds; (T,)."""
    labels: Sequence[str] | None = None
    groups: Mapping[str, Sequence[str]] | None = None
    told: str | None = None
    """How times are read."""


class Coded(Sequence[str]):
    """Texts that recur, stored once, with a number for each place.

    >>> cells = Coded(("a", "b"), np.array([0, 1, 1]))
    >>> len(cells), cells[2], list(cells)
    (3, 'b', ['a', 'b', 'b'])
    """

    def __init__(self, names: Sequence[str], codes: NDArray[np.integer]) -> None:
        self.names, self.codes = names, codes

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Coded": ...
    def __getitem__(self, place: int | slice) -> "str | Coded":
        if isinstance(place, slice):
            return Coded(self.names, self.codes[place])
        return self.names[int(self.codes[place])]


def read_pieces(path: Path, roles: Roles) -> Iterator[Piece]:
    """The table in pieces of 4,096 rows. Raises DataError for a value that is not a number, with line and column."""
    dialect = find_dialect(path)
    rows = read_rows(path)
    first: tuple[str, int] | None = None  # the first time, from which later pieces count too
    while chunk := list(islice(rows, CHUNK)):
        lines = [row.line for row in chunk]
        cells = [[row.values[name] for name in roles.channels] for row in chunk]
        # Values too large for float32 become infinite, and are refused when they are decoded.
        with np.errstate(over="ignore"):
            values = as_numbers(cells, lines, roles.channels, dialect, path).T.astype(np.float32)
        times, told = None, None
        if roles.time is not None:
            texts = [row.values[roles.time] for row in chunk]
            first = (texts[0], lines[0]) if first is None else first
            before, told = read_times(roles.time, [first[0], *texts], [first[1], *lines], dialect, str(path))
            times = before[1:]
        labels = None if roles.label is None else [row.values[roles.label] for row in chunk]
        yield Piece(values, times, labels, {name: [row.values[name] for row in chunk] for name in roles.groups}, told)


def store_recording(
    path: Path, chosen: Sequence[str] = (), *, labelled: bool = False, rate: float | None = None
) -> tuple[Recording, Roles]:
    """A long table as a recording whose values lie in a file of the cache, which goes when nothing needs it any more.

    In memory are only a label, a group and a mark of gaps for each row. `rate` is checked against the times. Raises as
    `read_recording`, and for times that don't rise.
    """
    table = read_signal_table(path, chosen, most=LOOK)
    roles = find_roles(table.columns, table.facts(), str(path), chosen, labelled=labelled)
    folder = CacheFolder(cache_dir("recordings"))
    stored = folder.path / "values.f32"
    kept = Kept(roles, rate, str(path))
    with stored.open("wb") as file:
        for piece in read_pieces(path, roles):
            file.write(np.ascontiguousarray(piece.values.T, "<f4").tobytes())
            kept.add(piece)
    shape = (kept.length, len(roles.channels))
    values = DiskSignal(stored, np.dtype("<f4"), 0, shape, turned=True, keeps=folder)
    channels = roles.channels if table.dialect.has_header or roles.left_out else ()
    return replace(kept.recording(), values=values, channels=channels), roles


class CacheFolder:
    """A folder that is removed with the last reference to it, or when the program ends."""

    def __init__(self, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(dir=cache))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Kept:
    """The little that is kept in memory of the rows of a long table."""

    def __init__(self, roles: Roles, rate: float | None, where: str) -> None:
        self.roles, self.rate, self.where = roles, rate, where
        self.length = 0
        self.told: str | None = None
        self.step: float | None = None
        self.last: NDArray[np.float64] = np.empty(0)
        self.gaps: list[NDArray[np.bool_]] = []
        self.index: dict[str, int] = {}
        self.labels: list[NDArray[np.int32]] = []
        self.group_index: dict[str, dict[str, int]] = {name: {} for name in roles.groups}
        self.groups: dict[str, list[NDArray[np.int32]]] = {name: [] for name in roles.groups}
        self.missing = np.zeros(len(roles.channels), np.int64)

    def add(self, piece: Piece) -> None:
        self.length += piece.values.shape[1]
        self.told = self.told or piece.told
        self.missing += np.isnan(piece.values).sum(axis=1)
        if piece.times is not None:
            times = np.concatenate([self.last, piece.times])
            if len(times) > 1:
                self.step = usual_step(times, self.rate, self.where) if self.step is None else self.step
                self.gaps.append(find_gaps(times, self.step, self.where))
            self.last = piece.times[-1:]
        if piece.labels is not None:
            self.labels.append(code_labels(piece.labels, self.index).astype(np.int32))
        for name, cells in (piece.groups or {}).items():
            index = self.group_index[name]
            codes = [index.setdefault(cell, len(index)) for cell in cells]
            self.groups[name].append(np.array(codes, np.int32))

    def recording(self) -> Recording:
        """All but the values and the names of the channels."""
        names: tuple[str, ...] = ()
        labels, told = None, None
        if self.roles.label is not None:
            names, told = name_labels(self.index)
            labels = np.concatenate(self.labels).astype(np.int64)
        groups = {
            name: Coded(tuple(self.group_index[name]), np.concatenate(parts)) for name, parts in self.groups.items()
        }
        gaps = np.concatenate(self.gaps) if self.gaps else None
        return Recording(
            np.empty(0), labels=labels, names=names, groups=groups, gaps=gaps,
            notices=tuple(filter(None, (self.told, told, self.missing_notice()))),
        )  # fmt: skip

    def missing_notice(self) -> str | None:
        if not self.missing.any():
            return None
        shares = self.missing / self.length
        named = some((f"{name} {share:.1%}" for name, share in zip(self.roles.channels, shares, strict=True)), SHOWN)
        return f"{shares.mean():.1%} of all values are missing ({named})"
