"""One table of signals: a row for each sample, a column for each channel, beside times, labels and groups."""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.column_names import FILES, TEXTS, TIME_LABELS
from neocog.dataset.dialect import Dialect, find_dialect, is_missing
from neocog.dataset.tables import read_columns, read_rows
from neocog.errors import DataError, some
from neocog.modalities.signal.channel_names import match_names
from neocog.modalities.signal.signal_columns import Facts, Roles, find_roles, hint, look_at, look_at_numbers
from neocog.modalities.signal.times import all_numbers, read_times

__all__ = [
    "CHUNK", "Recording", "SignalTable", "as_numbers", "code_labels", "holds_numbers", "make_recording", "name_labels",
    "read_recording", "read_signal_table",
]  # fmt: skip

CHUNK = 4096  # rows that are held as texts at once


@dataclass(frozen=True, slots=True)
class Recording:
    """Channels (C, T), with NaN where a value is missing."""

    values: Any
    """An array, or a `DiskSignal` of a long recording."""
    times: NDArray[np.float64] | None = None
    """In seconds; (T,)."""
    labels: NDArray[np.int64] | None = None
    """Of each sample, as an index into `names`; (T,)."""
    names: tuple[str, ...] = ()
    """The labels as they are written; an empty one marks samples without a label."""
    channels: tuple[str, ...] = ()
    """The names of the channels, if there are any."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The group of each sample, by column."""
    notices: tuple[str, ...] = ()
    gaps: NDArray[np.bool_] | None = None
    """Whether time jumps between each sample and the next, if the times themselves are not kept; (T - 1,)."""


@dataclass(frozen=True, slots=True)
class SignalTable:
    """A table as it was read: the columns that can only be channels as numbers, the others as texts."""

    path: Path
    dialect: Dialect
    columns: tuple[str, ...]
    numbers: dict[str, NDArray[np.float64]]
    texts: dict[str, list[str]]
    lines: NDArray[np.int64]

    def facts(self) -> dict[str, Facts]:
        """The facts of each column that was read."""
        found = {name: look_at_numbers(values) for name, values in self.numbers.items()}
        return found | {name: look_at(cells, self.dialect) for name, cells in self.texts.items()}

    def channel(self, name: str) -> NDArray[np.float64]:
        """A column's numbers, (T,). Raises DataError for other values, with their line."""
        if name in self.numbers:
            return self.numbers[name]
        cells = [[cell] for cell in self.texts[name]]
        return as_numbers(cells, self.lines.tolist(), [name], self.dialect, self.path)[:, 0]


def read_signal_table(path: Path, chosen: Sequence[str] = (), most: int | None = None) -> SignalTable:
    """A table's columns; if channels were chosen, only these and those whose names tell what they are.

    With `most`, only its first rows.

    Raises DataError for other values than numbers, with line and column, in a column that can only be a channel.
    """
    dialect, columns = find_dialect(path), read_columns(path)
    matched = list(match_names(chosen, columns).values())
    texts: dict[str, list[str]] = {name: [] for name in columns if is_hinted(name) and name not in matched}
    numeric = matched if chosen else [name for name in columns if name not in texts]
    parts: list[NDArray[np.float64]] = []
    lines: list[int] = []
    rows = islice(read_rows(path), most)
    while chunk := list(islice(rows, CHUNK)):
        own = [row.line for row in chunk]
        parts.append(as_numbers([[row.values[name] for name in numeric] for row in chunk], own, numeric, dialect, path))
        lines += own
        for name, cells in texts.items():
            cells += [row.values[name] for row in chunk]
    values = np.concatenate(parts).T
    return SignalTable(path, dialect, columns, dict(zip(numeric, values, strict=True)), texts, np.array(lines))


def is_hinted(name: str) -> bool:
    """Whether a column's name tells that it may be something other than a channel."""
    return hint(name) is not None or name.lower() in TIME_LABELS


def read_recording(path: Path, chosen: Sequence[str] = (), *, labelled: bool = False) -> tuple[Recording, Roles]:
    """A table by itself, and the roles of its columns. Raises DataError for other values than numbers, with line."""
    table = read_signal_table(path, chosen)
    roles = find_roles(table.columns, table.facts(), str(path), chosen, labelled=labelled)
    return make_recording(table, roles), roles


def make_recording(table: SignalTable, roles: Roles) -> Recording:
    """A table whose columns' roles are known."""
    # Values too large for float32 become infinite, and are refused when they are decoded.
    with np.errstate(over="ignore"):
        values = np.stack([table.channel(name) for name in roles.channels]).astype(np.float32)
    times, labels = None, None
    names: tuple[str, ...] = ()
    told: list[str | None] = [None, None]
    if roles.time is not None:
        cells, lines = table.texts[roles.time], table.lines.tolist()
        times, told[0] = read_times(roles.time, cells, lines, table.dialect, str(table.path))
    if roles.label is not None:
        names, labels, told[1] = read_labels(table.texts[roles.label])
    groups = {name: table.texts[name] for name in roles.groups}
    channels = roles.channels if table.dialect.has_header or roles.left_out else ()
    return Recording(values, times, labels, names, channels, groups, tuple(filter(None, told)))


def read_labels(cells: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64], str | None]:
    """The labels as they are written, the number of each cell's label, (T,), and a notice on labels that look alike.

    Spaces around a label are not part of it, unless labels differ in them.

    >>> read_labels([" walk", " run", " walk", ""])[:2]
    (('walk', 'run', ''), array([0, 1, 0, 2]))
    >>> read_labels(["walk", "walk "])[0]
    ('walk', 'walk ')
    """
    index: dict[str, int] = {}
    codes = code_labels(cells, index)
    names, told = name_labels(index)
    return names, codes, told


def code_labels(cells: Sequence[str], index: dict[str, int]) -> NDArray[np.int64]:
    """The number of each cell's label, (T,); new labels are added to the index."""
    return np.array([index.setdefault(cell if cell.strip() else "", len(index)) for cell in cells], np.int64)


def name_labels(index: Mapping[str, int]) -> tuple[tuple[str, ...], str | None]:
    """The names of numbered labels, and a notice on labels that look alike."""
    written = tuple(index)
    plain = tuple(label.strip() for label in written)
    if len(set(plain)) == len(plain):
        return plain, None
    alike = sorted(repr(label) for label in written if plain.count(label.strip()) > 1)
    return written, f"labels that differ in spaces alone are different classes: {some(alike)}"


def holds_numbers(path: Path, beside: Sequence[str] = ()) -> bool:
    """Whether the first row of a table can be a sample: numbers, beside these columns and those with telling names.

    Other texts are allowed if one column can only be a channel, and none has a name of texts or of files in a list: the
    user may name the channels. Raises DataError for a damaged table.
    """
    dialect = find_dialect(path)
    with closing(read_rows(path)) as rows:
        values = next(rows).values
    numeric = {name for name, cell in values.items() if is_missing(cell) or dialect.number(cell) is not None}
    explained = set(filter(is_hinted, values))
    others = {name.lower() for name in set(values) - numeric - explained}
    if others:
        return bool(numeric - explained) and not others & {*TEXTS, *FILES}
    return bool(numeric - {*beside})


def as_numbers(
    cells: list[list[str]], lines: Sequence[int], columns: Sequence[str], dialect: Dialect, path: Path
) -> NDArray[np.float64]:
    """Cells as numbers, NaN where one is missing; (rows, columns)."""
    plain = all_numbers([cell for row in cells for cell in row], dialect)
    if plain is not None:
        return plain.reshape(len(cells), len(columns))
    found = [
        [as_number(cell, dialect, f"{path}, line {line}, {name}") for cell, name in zip(row, columns, strict=True)]
        for row, line in zip(cells, lines, strict=True)
    ]
    return np.array(found, np.float64).reshape(len(cells), len(columns))


def as_number(text: str, dialect: Dialect, where: str) -> float:
    """A cell as a number, NaN if it says that there is none. Raises DataError for other texts."""
    value = math.nan if is_missing(text) else dialect.number(text)
    if value is None:
        fix = f"{dialect.why_no_number(text)} A column of texts is left out if --signal.columns names the others."
        rule = "Values must be numbers, or empty if one is missing."
        raise DataError(rule, received=repr(text[:40]), where=where, fix=fix)
    return value
