"""Texts in a table: CSV, TSV or JSONL with a column of texts and one of labels; one file, or one for each split."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.column_names import SPLIT, TEXT_LABELS, TEXTS
from neocog.data.record import Modality, Record, absent_classes
from neocog.data.sources.class_names import ordered_names
from neocog.data.sources.class_tables import names_pictures
from neocog.data.sources.folder import SPLIT_NAMES, hidden
from neocog.data.tables import is_table, read_columns, read_rows
from neocog.data.targets import Task
from neocog.errors import DataError, some
from neocog.progress import track

__all__ = ["TextTable", "is_text_table", "open_text_table"]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table calls its texts, labels and splits."""

    text: str
    label: str
    split: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a stable name, the text, its label, and the split that its column names."""

    key: str
    text: str
    label: str
    split: str


class TextTable:
    """Texts of tables, in memory; the key of each is its file and line. Texts may be empty.

    `parts` has a table for each split, or {"all": the table}, whose rows may then name their splits themselves.
    Raises DataError where a row has no label, a split has no known name, or columns are missing.
    """

    modality: Modality = "text"
    task: Task = "classification"
    format = "text-table"

    def __init__(self, name: str, parts: Mapping[str, Path]) -> None:
        self.name = name
        entries: list[Entry] = []
        for split, path in parts.items():
            entries += track(read_entries(path, split), f"reading {path.name}")
        self.classes = ordered_names({entry.label for entry in entries}, name)
        index = {label: k for k, label in enumerate(self.classes)}
        self.keys = [entry.key for entry in entries]
        self.texts = [entry.text for entry in entries]
        self.targets = np.array([index[entry.label] for entry in entries], np.int64)
        of = np.array([entry.split for entry in entries])
        self.splits = {split: np.flatnonzero(of == split) for split in ("all", "train", "val", "test") if split in of}
        self.notices = absent_classes(self.classes, {split: self.targets[part] for split, part in self.splits.items()})

    def __len__(self) -> int:
        return len(self.texts)

    def key(self, index: int) -> str:
        return self.keys[index]

    def content(self) -> Iterator[bytes]:
        return (text.encode(errors="surrogatepass") + b"\0" for text in self.texts)

    def read(self, index: int) -> Record:
        return Record(self.keys[index], self.texts[index], int(self.targets[index]))


def is_text_table(path: Path) -> bool:
    """Whether this is a table of texts with labels, or a folder with one that is named train or is its only table."""
    try:
        if path.is_dir():
            found = split_tables(path).get("train", only_table(path))
            return bool(found) and all(map(names_texts, found))
        return names_texts(path)
    except OSError:
        return False


def open_text_table(path: Path) -> TextTable:
    """The source that a table makes, or a folder with tables named train, val and test, or with a single one."""
    if path.is_file():
        return TextTable(path.stem, {"all": path})
    found = split_tables(path)
    if not found and (alone := only_table(path)):
        return TextTable(path.resolve().name, {"all": alone[0]})
    for split, tables in found.items():
        if len(tables) > 1:
            shown = " and ".join(table.name for table in tables)
            raise DataError(f"{path} can be read in two ways: {shown} both mean {split}. Move the one away.")
    parts: dict[str, Path] = {split: found[split][0] for split in ("train", "val", "test") if split in found}
    if "train" not in parts:
        raise DataError(f"A folder of tables has one named train, such as train.csv. {path} has none. Add it.")
    return TextTable(path.resolve().name, parts)


def tables_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not hidden(path.name) and is_table(path)]


def split_tables(folder: Path) -> dict[str, list[Path]]:
    """The tables in a folder that are named as splits are."""
    found: dict[str, list[Path]] = {}
    for path in tables_in(folder):
        split = SPLIT_NAMES.get(path.stem.lower())
        if split:
            found.setdefault(split, []).append(path)
    return found


def only_table(folder: Path) -> list[Path]:
    """The one table of a folder, if it is not that of one split; none where there are several."""
    tables = tables_in(folder)
    return tables if len(tables) == 1 and tables[0].stem.lower() not in SPLIT_NAMES else []


def names_texts(path: Path) -> bool:
    """Whether a table's header is that of texts with labels, and its rows are no list of pictures."""
    try:
        called = {column.lower() for column in read_columns(path)} if is_table(path) else set()
    except DataError:
        return False
    return bool(called & {*TEXTS}) and bool(called & {*TEXT_LABELS}) and not names_pictures(path)


def find_columns(columns: Sequence[str], where: str) -> Columns:
    """What each column means; of several that may hold the texts or the labels, the first in our lists.

    >>> find_columns(["id", "Sentiment", "tweet"], "a.csv")
    Columns(text='tweet', label='Sentiment', split=None)
    """
    called = {column.lower(): column for column in reversed(columns)}
    text, label = (next((called[name] for name in names if name in called), None) for names in (TEXTS, TEXT_LABELS))
    if text is None or label is None:
        what, names = ("texts", TEXTS) if text is None else ("labels", TEXT_LABELS)
        raise DataError(
            f"A table of texts needs a column of {what}: {', '.join(names)}. Received: {some(columns, 8)}, in {where}. "
            "Rename the column."
        )
    return Columns(text, label, called.get(SPLIT))


def read_entries(path: Path, split: str) -> Iterator[Entry]:
    """All rows of a table; of a table for one split, a column of splits has nothing to say."""
    columns = find_columns(read_columns(path), str(path))
    for row in read_rows(path):
        where = f"{path}, line {row.line}"
        text = row.values[columns.text]
        if not isinstance(text, str):
            raise DataError(f"A text must be letters. Received: {str(text)[:60]!r}. Mend or remove it. Where: {where}.")
        own = split_of(row.values[columns.split], where) if columns.split and split == "all" else split
        yield Entry(f"{path.name}#{row.line}", text, label_of(row.values[columns.label], columns.label, where), own)


def label_of(value: Any, column: str, where: str) -> str:
    """A label as text. Raises DataError for none, and for a list or an object."""
    label = str(value).strip().lower() if isinstance(value, bool) else str(value).strip()
    if value is None or not label or isinstance(value, list | dict):
        raise DataError(
            f"Each text needs one label. Received: {str(value)[:60]!r} in column {column!r}. Fill it, or remove the "
            f"row. Where: {where}."
        )
    return label


def split_of(value: Any, where: str) -> str:
    split = SPLIT_NAMES.get(str(value).strip().lower())
    if split is None:
        raise DataError(
            f"A split is one of {', '.join(SPLIT_NAMES)}. Received: {str(value)[:60]!r}. Give each row one. "
            f"Where: {where}."
        )
    return split
