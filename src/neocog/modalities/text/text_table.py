"""Texts in a table: CSV, TSV or JSONL with a column of texts and one of labels; one file, or one for each split."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from neocog.dataset.class_names import Spellings, ordered_names
from neocog.dataset.column_names import SPLIT, TEXT_LABELS, TEXTS, Asked, column_named
from neocog.dataset.dialect import Dialect, find_dialect
from neocog.dataset.folders import hidden, plain_files
from neocog.dataset.record import LeftOut, Modality, Record, absent_classes
from neocog.dataset.split_names import SPLIT_NAMES, split_meant, split_written
from neocog.dataset.tables import is_table, read_columns, read_rows, table_notices
from neocog.dataset.targets import Task
from neocog.errors import DataError, some
from neocog.modalities.image.folder import is_picture
from neocog.modalities.image.image_tables import first_row, names_pictures
from neocog.progress import track

__all__ = ["TextTable", "is_text_table", "open_text_table", "why_no_texts"]

LOOK = 200
"""Rows by which columns without names are told apart."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table calls its texts, labels and splits."""

    text: str
    label: str
    split: str | None
    others: tuple[str, ...] = ()
    """What is not read."""


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
    `text_column` and `label_column` name the columns that are meant, whatever they are called.
    Raises DataError where a row has no label, a split has no known name, or columns are missing.
    """

    modality: Modality = "text"
    task: Task = "classification"
    format = "text-table"

    def __init__(
        self, name: str, parts: Mapping[str, Path], *, text_column: str | None = None, label_column: str | None = None
    ) -> None:
        self.name = name
        entries: list[Entry] = []
        others: dict[str, None] = {}
        spellings = Spellings()
        unlabelled: list[str] = []
        by_content: list[str] = []
        for split, path in parts.items():
            called = read_columns(path)
            if split in ("val", "test") and lacks_labels(called, text_column, label_column):
                count = sum(1 for _ in read_rows(path))
                unlabelled.append(
                    LeftOut(f"{path.name} has no column of labels: its {count:,} texts are left out", count)
                )
                continue
            columns = meant_columns(path, called, text_column, label_column)
            if not (text_column or label_column or find_dialect(path).has_header):
                by_content.append(
                    f"{path.name} is read with its texts in column {columns.text} and its labels in column "
                    f"{columns.label}, by what they hold"
                )
            entries += track(read_entries(path, split, columns, spellings), f"reading {path.name}")
            own = (columns.split,) if columns.split and split != "all" else ()
            others |= dict.fromkeys((*columns.others, *own))
        self.classes = ordered_names({entry.label for entry in entries}, name)
        index = {label: k for k, label in enumerate(self.classes)}
        self.keys = [entry.key for entry in entries]
        self.texts = [entry.text for entry in entries]
        self.targets = np.array([index[entry.label] for entry in entries], np.int64)
        of = np.array([entry.split for entry in entries])
        self.splits = {split: np.flatnonzero(of == split) for split in ("all", "train", "val", "test") if split in of}
        self.notices = absent_classes(self.classes, {split: self.targets[part] for split, part in self.splits.items()})
        self.notices += (*unlabelled, *table_notices(parts.values()), *by_content)
        if others:
            self.notices += (f"columns that are not read: {some(others, 8)}",)

    def __len__(self) -> int:
        return len(self.texts)

    def key(self, index: int) -> str:
        return self.keys[index]

    def content(self) -> Iterator[bytes]:
        return (text.encode(errors="surrogatepass") + b"\0" for text in self.texts)

    def read(self, index: int) -> Record:
        return Record(self.keys[index], self.texts[index], int(self.targets[index]))


def is_text_table(path: Path, *, text_column: str | None = None, label_column: str | None = None) -> bool:
    """Whether this is a table of texts with labels, or a folder with one that is named train or is its only table."""
    try:
        found = main_tables(path)
    except OSError:
        return False
    return bool(found) and all(names_texts(table, text_column, label_column) for table in found)


def open_text_table(path: Path, *, text_column: str | None = None, label_column: str | None = None) -> TextTable:
    """The source that a table makes, or a folder with tables named train, val and test, or with a single one."""
    named = {"text_column": text_column, "label_column": label_column}
    if path.is_file():
        return TextTable(path.stem, {"all": path}, **named)
    found = split_tables(path)
    if not found and (alone := only_table(path)):
        return TextTable(path.resolve().name, {"all": alone[0]}, **named)
    for split, tables in found.items():
        if len(tables) > 1:
            shown = " and ".join(table.name for table in tables)
            raise DataError(f"{path} can be read in two ways: {shown} both mean {split}. Move the one away.")
    parts: dict[str, Path] = {split: found[split][0] for split in ("train", "val", "test") if split in found}
    if "train" not in parts:
        raise DataError(f"A folder of tables has one named train, such as train.csv. {path} has none. Add it.")
    return TextTable(path.resolve().name, parts, **named)


def main_tables(path: Path) -> list[Path]:
    """The table itself; or those of a folder that are named train; or its only one."""
    if not path.is_dir():
        return [path] if is_table(path) else []
    return split_tables(path).get("train", only_table(path))


def tables_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not hidden(path.name) and is_table(path)]


def split_tables(folder: Path) -> dict[str, list[Path]]:
    """The tables in a folder that are named as splits are."""
    found: dict[str, list[Path]] = {}
    for path in tables_in(folder):
        split = split_meant(path.stem)
        if split:
            found.setdefault(split, []).append(path)
    return found


def only_table(folder: Path) -> list[Path]:
    """The one table of a folder, if it is not that of one split; none where there are several."""
    tables = tables_in(folder)
    return tables if len(tables) == 1 and split_meant(tables[0].stem) is None else []


def names_texts(path: Path, text_column: str | None = None, label_column: str | None = None) -> bool:
    """Whether a table's header is that of texts with labels, and its rows do not list pictures."""
    try:
        meant_columns(path, read_columns(path), text_column, label_column)
    except DataError:
        return False
    return text_column is not None or not names_pictures(path, Asked(label=label_column))


def why_no_texts(path: Path, *, text_column: str | None = None, label_column: str | None = None) -> str | None:
    """Why a table, or a folder of tables, is not one of texts with labels. None where it is not about texts."""
    if path.is_dir() and any(map(is_picture, plain_files(path))):
        return None
    tables = main_tables(path)
    if path.is_dir() and not tables and (others := tables_in(path)):
        return (
            "A folder of tables has one that is named train, such as train.csv, or only one table. Received: "
            f"{some([table.name for table in others])}, in {path}. Rename them, or give the path of one."
        )
    for table in tables:
        try:
            cells = first_row(table).values
            if text_column or label_column:
                find_columns(tuple(cells), str(table), text_column, label_column)
        except DataError as error:
            return str(error)
        if holds_prose(cells, find_dialect(table)) and not any(
            is_picture(Path(str(value))) for value in cells.values()
        ):
            return what_is_missing(table, cells)
    return None


def holds_prose(cells: Mapping[str, Any], dialect: Dialect) -> bool:
    """Whether a row can be that of a text and its label: two values that are not numbers, or one of several words."""
    words = [value for value in cells.values() if isinstance(value, str) and dialect.number(value) is None]
    return len(words) > 1 or any(len(value.split()) > 1 for value in words)


def what_is_missing(table: Path, cells: Mapping[str, Any]) -> str:
    """Which columns a table of texts lacks, and how they can be named; the text is likely the longest value."""
    called = {name.lower(): name for name in reversed(list(cells))}
    text = next((called[name] for name in TEXTS if name in called), None)
    label = next((called[name] for name in TEXT_LABELS if name in called), None)
    likely_text = text or max(
        (name for name in cells if name != label), key=lambda name: len(str(cells[name])), default="NAME"
    )
    others = [name for name in cells if name != likely_text]
    likely_label = label or min(others, key=lambda name: len(str(cells[name])), default="NAME")
    needed = [f"a column of texts ({', '.join(TEXTS)})"] * (not text) + [
        f"{'one' if not text else 'a column'} of labels ({', '.join(TEXT_LABELS)})"
    ] * (not label)
    named = f" --data.text_column {quote(likely_text)}" * (not text) + f" --data.label_column {quote(likely_label)}" * (
        not label
    )
    if not find_dialect(table).has_header:
        return (
            f"A table begins with the names of its columns. Received: {some(map(repr, cells.values()), 4)}, which "
            f"looks like a sample, as the first line of {table}. Add a line such as text,label above it, or say which "
            f"column is which:{named}."
        )
    return (
        f"A table of texts needs {' and '.join(needed)}. Received: the columns {some(cells, 8)}, in {table}. Rename "
        f"them, or say which is meant, such as{named}."
    )


def find_columns(
    columns: Sequence[str], where: str, text_column: str | None = None, label_column: str | None = None
) -> Columns:
    """What each column means; of several that may hold the texts or the labels, the first in our lists.

    >>> find_columns(["id", "Sentiment", "tweet"], "a.csv")
    Columns(text='tweet', label='Sentiment', split=None, others=('id',))
    >>> find_columns(["v1", "v2"], "a.csv", text_column="v2", label_column="v1").text
    'v2'
    """
    text = pick(columns, "text", TEXTS, text_column, where)
    label = pick(columns, "label", TEXT_LABELS, label_column, where)
    split = next((column for column in columns if column.lower() == SPLIT and column not in (text, label)), None)
    others = tuple(column for column in columns if column not in (text, label, split))
    return Columns(text, label, split, others)


def meant_columns(path: Path, called: Sequence[str], text_column: str | None, label_column: str | None) -> Columns:
    """What the columns of a table mean: by their names; without a header, by what two columns hold if it is certain."""
    if not (text_column or label_column or find_dialect(path).has_header) and len(called) == 2:
        with closing(read_rows(path)) as rows:
            cells = [tuple(row.values.values()) for row in islice(rows, LOOK)]
        kinds = [kind_of_content(column) for column in zip(*cells, strict=True)]
        if sorted(kinds) == ["labels", "texts"]:
            text_column, label_column = called[kinds.index("texts")], called[kinds.index("labels")]
    return find_columns(called, str(path), text_column, label_column)


def kind_of_content(cells: Sequence[str]) -> str:
    """Whether a column can only be that of texts, or only that of labels; "" where it could be either, or neither.

    Texts differ from each other, and most have at least three words; labels are short, and most occur several times.

    >>> kind_of_content(["a fine film", "a bad film", "so very dull"]), kind_of_content(["pos", "neg", "pos", "neg"])
    ('texts', 'labels')
    >>> kind_of_content(["pos", "neg", "so", "on"]), kind_of_content(["a fine day.png", "b.png", "c.png"])
    ('', '')
    """
    values = [cell.strip() for cell in cells]
    different, long = len(set(values)), sum(len(value.split()) >= 3 for value in values)
    if 2 * long > len(values) and 2 * different > len(values):
        return "" if any(is_picture(Path(value)) for value in values) else "texts"
    is_short = all(value and len(value.split()) < 3 for value in values)
    return "labels" if is_short and 2 * different <= len(values) else ""


def lacks_labels(columns: Sequence[str], text_column: str | None, label_column: str | None) -> bool:
    """Whether these are the columns of texts whose labels are kept back, as those of a competition's test are."""
    try:
        text = pick(columns, "text", TEXTS, text_column, "")
    except DataError:
        return False
    names = {label_column.lower()} if label_column else {*TEXT_LABELS}
    return not any(column.lower() in names for column in columns if column != text)


def pick(columns: Sequence[str], what: str, names: Sequence[str], asked: str | None, where: str) -> str:
    """The column that was asked for, or the first of the names that is there."""
    if asked is not None:
        return column_named(columns, asked, f"{what}_column", where)
    called = {column.lower(): column for column in reversed(columns)}
    found = next((called[name] for name in names if name in called), None)
    if found is None:
        raise DataError(
            f"A table of texts needs a column of {what}s: {', '.join(names)}. Received: {some(columns, 8)}, in "
            f"{where}. Rename the column, or name it: --data.{what}_column NAME."
        )
    return found


def read_entries(path: Path, split: str, columns: Columns, spellings: Spellings) -> Iterator[Entry]:
    """All rows of a table; of a table for one split, a column of splits has nothing to say."""
    for row in read_rows(path):
        where = f"{path}, line {row.line}"
        text = row.values[columns.text]
        if not isinstance(text, str):
            raise DataError(f"A text must be letters. Received: {str(text)[:60]!r}. Mend or remove it. Where: {where}.")
        own = split_of(row.values[columns.split], where) if columns.split and split == "all" else split
        label = label_of(row.values[columns.label], columns.label, spellings, where)
        yield Entry(f"{path.name}#{row.line}", text, label, own)


def label_of(value: Any, column: str, spellings: Spellings, where: str) -> str:
    """A label as text. Raises DataError for none, and for a list or an object."""
    label = spellings.add(str(value).lower() if isinstance(value, bool) else str(value), value, where)
    if value is None or not label or isinstance(value, list | dict):
        raise DataError(
            f"Each text needs one label. Received: {str(value)[:60]!r} in column {column!r}. Fill it, or remove the "
            f"row. Where: {where}."
        )
    return label


def split_of(value: Any, where: str) -> str:
    split = split_written(value)
    if split is None:
        raise DataError(
            f"A split is one of {', '.join(SPLIT_NAMES)}. Received: {str(value)[:60]!r}. Give each row one. "
            f"Where: {where}."
        )
    return split
