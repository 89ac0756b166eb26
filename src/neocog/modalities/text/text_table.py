"""Texts in a table: CSV, TSV or JSONL with a column of texts and one of labels; one file, or one for each split."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from neocog.dataset.column_names import SPLIT, TEXT_LABELS, TEXTS
from neocog.dataset.columns import (
    ColumnChoice,
    Columns,
    lacks_labels,
    list_names,
    number_columns,
    split_of,
    text_columns,
)
from neocog.dataset.dialect import find_dialect
from neocog.dataset.files import plain_files
from neocog.dataset.label_columns import read_labels
from neocog.dataset.list_source import ListSource
from neocog.dataset.record import LeftOut, Task, unlabelled_samples
from neocog.dataset.split_names import split_meant
from neocog.dataset.tables import first_row, is_table, read_columns, read_rows, table_notices, tables_in
from neocog.dataset.targets import known_rows, said_of_unknown, unify_cells
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import is_image
from neocog.modalities.image.image_table import absent_targets, lists_images
from neocog.progress import track

__all__ = ["TextTable", "is_text_table", "open_text_table", "why_no_text_table"]

LOOK = 200
"""Rows by which columns without names are told apart."""


@dataclass(frozen=True, slots=True)
class TextRow:
    """One row: a stable name, the text, its labels as they are written, the split that its column names, its line."""

    key: str
    text: str
    cells: tuple[Any, ...]
    split: str
    where: str


class TextTable(ListSource):
    """Texts of tables, in memory; the key of each is its file and line. Texts may be empty.

    `tables` has a table for each split, or {"all": the table}, whose rows may then name their splits themselves. The
    columns of labels hold classes, several labels, or numbers, as in a table of images.
    Raises DataError if a row has no label, a split has an unknown name, or columns are missing.
    """

    modality, format = "text", "text-table"

    def __init__(self, name: str, tables: Mapping[str, Path], chosen: ColumnChoice, task: str | None = None) -> None:
        rows: list[TextRow] = []
        others: dict[str, None] = {}
        first: Columns | None = None
        notices: list[str] = []
        by_content: list[str] = []
        for split, path in tables.items():
            called = read_columns(path)
            if split in ("val", "test") and lacks_labels(called, chosen):
                count = sum(1 for _ in read_rows(path))
                notices.append(LeftOut(f"{path.name} has no column of labels: its {count:,} texts are left out", count))
                continue
            columns = find_columns(path, called, chosen)
            first = columns if first is None else first
            if columns.kind != first.kind or ({*columns.labels} != {*first.labels} and len(first.labels) > 1):
                rule, received = "All tables of a set must have the same columns of labels.", some(columns.labels)
                raise DataError(rule, received=received, where=str(path), fix="Make them alike.")
            if not chosen and not find_dialect(path).has_header:
                which = f"its texts in column {columns.payload} and its labels in column {columns.labels[0]}"
                by_content.append(f"{path.name} is read with {which}, inferred from their content")
            labels = first.labels if len(first.labels) > 1 else columns.labels
            rows += track(read_table(path, split, columns, labels), f"reading {path.name}")
            own = (columns.split,) if columns.split and split != "all" else ()
            others |= dict.fromkeys((*columns.others, *own))
        if first is None:
            raise DataError("Training needs a table with labels.", received="none", where=name, fix="Add one.")
        cells = [row.cells for row in rows]
        found = read_labels(
            first, cells, lambda k: rows[k].where, name,
            noun="text", fix="Fill it, or remove the row.", task=task, write=written,
        )  # fmt: skip
        known = known_rows(found.targets)
        hidden = [row.split for row, is_known in zip(rows, known.tolist(), strict=True) if not is_known]
        rows = [row for row, is_known in zip(rows, known.tolist(), strict=True) if is_known]
        self.task: Task = found.task
        targets = found.targets[known]
        of = np.array([row.split for row in rows])
        splits = {split: np.flatnonzero(of == split) for split in ("all", "train", "val", "test") if split in of}
        absent = absent_targets(self.task, found.classes, targets, splits)
        unknown = (unlabelled_samples(split, hidden.count(split)) for split in dict.fromkeys(hidden))
        ignored = (f"columns that are not read: {some(others, 8)}",) if others else ()
        about = (*found.notices, *absent, *unknown, *said_of_unknown(targets, found.classes), *notices)
        about += (*table_notices(tables.values()), *by_content, *ignored)
        super().__init__(name, [row.key for row in rows], targets, splits, found.classes, about)
        self.texts = [row.text for row in rows]

    def payload(self, index: int) -> str:
        return self.texts[index]

    def content(self) -> Iterator[bytes]:
        return (text.encode(errors="surrogatepass") + b"\0" for text in self.texts)


def is_text_table(path: Path, *, text_column: str | None = None, label_column: str | None = None) -> bool:
    """Whether this is a table of texts with labels, or a folder with one that is named train or is its only table."""
    chosen = ColumnChoice(text=text_column, label=label_column)
    try:
        found = main_tables(path)
    except OSError:
        return False
    return bool(found) and all(holds_texts(table, chosen) for table in found)


def open_text_table(
    path: Path, *, text_column: str | None = None, label_column: str | None = None, task: str | None = None
) -> TextTable:
    """The source that a table makes, or a folder with tables named train, val and test, or with a single one."""
    chosen = ColumnChoice(text=text_column, label=label_column)
    if path.is_file():
        return TextTable(path.stem, {"all": path}, chosen, task)
    name, found = path.resolve().name, split_tables(path)
    if not found and (alone := only_table(path)):
        return TextTable(name, {"all": alone[0]}, chosen, task)
    for split, tables in found.items():
        if len(tables) > 1:
            shown = " and ".join(table.name for table in tables)
            raise DataError(f"{path} can be read in two ways: {shown} both mean {split}.", fix="Move one of them away.")
    if "train" not in found:
        raise DataError(f"A folder of tables has one named train, such as train.csv. {path} has none.", fix="Add it.")
    by_split: dict[str, Path] = {split: found[split][0] for split in ("train", "val", "test") if split in found}
    return TextTable(name, by_split, chosen, task)


def main_tables(path: Path) -> list[Path]:
    """The table itself; or those of a folder that are named train; or its only one."""
    if not path.is_dir():
        return [path] if is_table(path) else []
    return split_tables(path).get("train", only_table(path))


def split_tables(folder: Path) -> dict[str, list[Path]]:
    """The tables in a folder that are named as splits are."""
    found: dict[str, list[Path]] = {}
    for path in tables_in(folder):
        if split := split_meant(path.stem):
            found.setdefault(split, []).append(path)
    return found


def only_table(folder: Path) -> list[Path]:
    """The one table of a folder, unless it is that of one split; none if there are several."""
    tables = tables_in(folder)
    return tables if len(tables) == 1 and split_meant(tables[0].stem) is None else []


def holds_texts(path: Path, chosen: ColumnChoice) -> bool:
    """Whether a table's header is that of texts with labels, and its rows do not list images."""
    try:
        find_columns(path, read_columns(path), chosen)
    except DataError:
        return False
    return chosen.text is not None or not lists_images(path, ColumnChoice(label=chosen.label))


def find_columns(path: Path, called: Sequence[str], chosen: ColumnChoice) -> Columns:
    """The columns of a table: by their names, or by what they hold if that is certain.

    That is of two columns without a header; and of columns of numbers to predict beside that of the texts.
    """
    if not chosen and not find_dialect(path).has_header and len(called) == 2:
        with closing(read_rows(path)) as rows:
            cells = [tuple(row.values.values()) for row in islice(rows, LOOK)]
        kinds = [kind_of_content(column) for column in zip(*cells, strict=True)]
        if sorted(kinds) == ["labels", "texts"]:
            chosen = ColumnChoice(text=called[kinds.index("texts")], label=called[kinds.index("labels")])
    small = [column.lower() for column in called]
    texts = [column for column in called if column.lower() in TEXTS]
    if chosen.label is None and len(texts) == 1 and not {*small} & {*TEXT_LABELS}:
        with closing(read_rows(path)) as rows:
            first = [row.values for row in islice(rows, LOOK)]
        dialect = find_dialect(path)
        plain = [dict(zip(row, unify_cells([*row.values()], dialect), strict=True)) for row in first]
        beside = [*texts, *(column for column in called if column.lower() == SPLIT)]
        if found := number_columns(called, plain, beside):
            chosen = ColumnChoice(text=chosen.text, label=list_names(found))
    return text_columns(called, str(path), chosen)


def kind_of_content(cells: Sequence[str]) -> str:
    """Whether a column can only be that of texts, or only that of labels; "" if it could be either, or neither.

    Texts differ from each other, and most have at least three words; labels are short, and most occur several times.

    >>> kind_of_content(["a fine film", "a bad film", "so very dull"]), kind_of_content(["pos", "neg", "pos", "neg"])
    ('texts', 'labels')
    >>> kind_of_content(["pos", "neg", "so", "on"]), kind_of_content(["a fine day.png", "b.png", "c.png"])
    ('', '')
    """
    values = [cell.strip() for cell in cells]
    different, long = len(set(values)), sum(len(value.split()) >= 3 for value in values)
    if 2 * long > len(values) and 2 * different > len(values):
        return "" if any(is_image(Path(value)) for value in values) else "texts"
    is_short = all(value and len(value.split()) < 3 for value in values)
    return "labels" if is_short and 2 * different <= len(values) else ""


def written(value: Any) -> str:
    """A class's name from a value of JSON."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_table(path: Path, split: str, columns: Columns, labels: Sequence[str]) -> Iterator[TextRow]:
    """All rows of a table; in a table for one split, a column of splits is ignored."""
    dialect = find_dialect(path)
    for row in read_rows(path):
        where = f"{path}, line {row.line}"
        text = row.values[columns.payload]
        if not isinstance(text, str):
            received = repr(str(text)[:60])
            raise DataError("A text must be letters.", received=received, where=where, fix="Correct or remove it.")
        own = split_of(row.values[columns.split], where) if columns.split and split == "all" else split
        cells = tuple(unify_cells([row.values[name] for name in labels], dialect))
        yield TextRow(f"{path.name}#{row.line}", text, cells, own, where)


def why_no_text_table(path: Path, *, text_column: str | None = None, label_column: str | None = None) -> str | None:
    """Why a table, or a folder of tables, is not one of texts with labels. None if it is not about texts."""
    chosen = ColumnChoice(text=text_column, label=label_column)
    if path.is_dir() and any(map(is_image, plain_files(path))):
        return None
    tables = main_tables(path)
    if path.is_dir() and not tables and (others := tables_in(path)):
        rule = "A folder of tables has one named train, such as train.csv, or only one table."
        received, fix = some([table.name for table in others]), "Rename them, or give the path of one."
        return str(DataError(rule, received=received, where=str(path), fix=fix))
    for table in tables:
        try:
            cells = first_row(table).values
            if chosen:
                text_columns(tuple(cells), str(table), chosen)
        except DataError as error:
            return str(error)
        names_images = any(is_image(Path(str(value))) for value in cells.values())
        number = find_dialect(table).number
        words = [value for value in cells.values() if isinstance(value, str) and number(value) is None]
        # A text and its label are two values that are not numbers, or one of several words.
        if not names_images and (len(words) > 1 or any(len(value.split()) > 1 for value in words)):
            return name_missing_columns(table, cells)
    return None


def name_missing_columns(table: Path, cells: Mapping[str, Any]) -> str:
    """The columns that a table of texts lacks, and how they can be named; the text is likely the longest value."""
    called = {name.lower(): name for name in reversed(list(cells))}
    text, label = (next((called[name] for name in names if name in called), None) for names in (TEXTS, TEXT_LABELS))

    def length(name: str) -> int:
        return len(str(cells[name]))

    likely_text = text or max((name for name in cells if name != label), key=length, default="NAME")
    likely_label = label or min((name for name in cells if name != likely_text), key=length, default="NAME")
    needed, flags = [], ""
    if not text:
        needed.append(f"a column of texts ({', '.join(TEXTS)})")
        flags += f" --data.text_column {quote(likely_text)}"
    if not label:
        needed.append(f"{'a column' if text else 'one'} of labels ({', '.join(TEXT_LABELS)})")
        flags += f" --data.label_column {quote(likely_label)}"
    rule, received = f"A table of texts needs {' and '.join(needed)}.", f"the columns {some(cells, 8)}"
    fix = f"Rename them, or set{flags}."
    if not find_dialect(table).has_header:
        rule = "A table begins with the names of its columns."
        received = f"a first line that looks like a sample, {some(map(repr, cells.values()), 4)}"
        fix = f"Add a line such as text,label above it, or set{flags}."
    return str(DataError(rule, received=received, where=str(table), fix=fix))
