"""The rows of a list: which file, which labels, which split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.dataset.class_columns import Columns, find_columns
from neocog.dataset.class_names import Spellings
from neocog.dataset.column_names import UNNAMED, Asked
from neocog.dataset.multi_label import marked, split_tags
from neocog.dataset.split_names import SPLIT_NAMES, split_written
from neocog.dataset.tables import Row, read_columns, read_rows
from neocog.errors import DataError, some
from neocog.modalities.image.image_table_files import ListedFiles, relative_name
from neocog.modalities.image.image_tables import asked_by_place

__all__ = ["Listed", "read_list", "without_repeats"]


@dataclass(frozen=True, slots=True)
class Listed:
    """One picture of a list."""

    key: str
    """Its path below the root."""
    split: str
    labels: tuple[str, ...]
    table: Path
    line: int

    @property
    def where(self) -> str:
        return f"{self.table}, line {self.line}"


def read_list(table: Path, split: str, files: ListedFiles, asked: Asked = UNNAMED) -> tuple[Columns, list[Listed]]:
    """All that a table lists; its column `split` goes before `split`, which must then be "all".

    Raises DataError for a value that can't be meant, and for files that are not there.
    """
    called = read_columns(table)
    columns = find_columns(called, str(table), asked_by_place(table, called, asked))
    if columns.split and split != "all":
        raise DataError(
            f"{table} can be read in two ways: as {split}, by its place, or by its column {columns.split!r}. Remove "
            "the column, or list all pictures in one table."
        )
    names, splits, labels, lines = [], [], [], []
    spellings = Spellings()
    for row in read_rows(table):
        where = f"{table}, line {row.line}"
        names.append(relative_name(row.values[columns.file], where))
        splits.append(split_of(row.values[columns.split], where) if columns.split else split)
        labels.append(labels_of(row, columns, spellings, where))
        lines.append(row.line)
    if columns.kind == "tags":
        labels = split_tags([value for (value,) in labels], str(table))
    keys = find_all(table, names, lines, files)
    return columns, [
        Listed(key, own, tags, table, line) for key, own, tags, line in zip(keys, splits, labels, lines, strict=True)
    ]


def split_of(value: object, where: str) -> str:
    split = split_written(value)
    if split is None:
        raise DataError(
            f"A split is one of {', '.join(SPLIT_NAMES)}. Received: {str(value)[:60]!r}. Give each row one. "
            f"Where: {where}."
        )
    return split


def labels_of(row: Row, columns: Columns, spellings: Spellings, where: str) -> tuple[Any, ...]:
    """The class; or the columns that hold 1; or, of tags, the value that holds them."""
    if columns.kind == "marks":
        return marked(row, columns.labels, where)
    value = row.values[columns.labels[0]]
    if columns.kind == "tags":
        return (value,)
    label = spellings.add(str(value), value, where)
    if value is None or not label or isinstance(value, list | dict):
        raise DataError(
            f"Each file needs one label. Received: {str(value)[:60]!r} in column {columns.labels[0]!r}. Fill it, or "
            f"remove the row; for several labels name the column 'labels'. Where: {where}."
        )
    return (label,)


def find_all(table: Path, names: Sequence[str], lines: Sequence[int], files: ListedFiles) -> list[str]:
    """The key of each named picture."""
    base = files.base(table, names)
    prefix = "" if base == "." else f"{base}/"
    keys: list[str] = []
    missing: dict[str, list[str]] = {}
    for name, line in zip(names, lines, strict=True):
        path = prefix + name
        key = files.find(path, f"{table}, line {line}")
        if key is None:
            missing.setdefault(files.why_missing(path), []).append(f"{name!r} in line {line}")
        else:
            keys.append(key)
    for why, which in missing.items():
        raise DataError(
            f"{table} lists {len(which):,} files {why}: {some(which)}. Looked in {files.root / base}. Put them there, "
            "or remove these rows."
        )
    return keys


def without_repeats(listed: Sequence[Listed]) -> Iterator[Listed]:
    """Each picture once, in the order of the list.

    Raises DataError for a picture that is listed with different labels, or in two splits.
    """
    seen: dict[str, Listed] = {}
    for one in listed:
        before = seen.setdefault(one.key, one)
        if before is one:
            yield one
        elif before.labels != one.labels:
            raise DataError(
                f"Each picture has its labels once. {one.key} has {some(before.labels) or 'none'} in {before.where}, "
                f"and {some(one.labels) or 'none'} in {one.where}. Remove one of the rows."
            )
        elif before.split != one.split:
            raise DataError(
                f"A picture belongs to one split. {one.key} is in {before.split} ({before.where}) and in {one.split} "
                f"({one.where}). Remove one of the rows, or what is learned would be what is tested."
            )
