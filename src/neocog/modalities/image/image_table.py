"""Images with a table beside them: a CSV, TSV or JSONL file that names each image and its labels.

Hugging Face's ImageFolder has such a `metadata.csv` or `metadata.jsonl`, Kaggle its `train.csv`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import numpy as np

from neocog.dataset.column_names import COMMON_TEXTS, FILE_LABELS, FILES, SPLIT, TAGS
from neocog.dataset.columns import (
    NO_CHOICE,
    ColumnChoice,
    Columns,
    file_columns,
    is_file_table,
    marked_columns,
    multi_hot,
    one_label,
    split_of,
    split_tags,
)
from neocog.dataset.dialect import find_dialect
from neocog.dataset.files import class_folders, plain_files
from neocog.dataset.labels import Spellings, numbers_of, order_names, order_texts
from neocog.dataset.list_source import FileSource
from neocog.dataset.record import LeftOut, absent_classes
from neocog.dataset.split_names import split_meant
from neocog.dataset.tables import Row, first_row, is_table, read_columns, read_rows, table_notices, tables_in
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import has_image, is_image
from neocog.modalities.image.image_table_files import ImageFiles, names_image, relative_name

__all__ = ["ImageTable", "is_image_table", "lists_images", "open_image_table", "why_no_image_table"]

ORDER = ("all", "train", "val", "test")
FILE_NAMES, LABEL_NAMES = ", ".join(FILES), ", ".join((*FILE_LABELS, *TAGS))
TWICE = "Remove one of the rows, otherwise a sample that is trained on would be tested."


class TableRow(NamedTuple):
    """One image of a table; `key` is its path below the root."""

    key: str
    split: str
    labels: tuple[str, ...]
    table: Path
    line: int

    @property
    def where(self) -> str:
        return f"{self.table}, line {self.line}"


class ImageTable(FileSource):
    """The images that tables name, in the order of the tables, split by split.

    One column of labels makes a classification; its classes are sorted, as numbers if they are numbers. A column of
    tags (`labels`, `tags`), or one column of 0 and 1 for each class, makes a task of several labels, `targets` being
    (N, K) bool. A sample's key is its path below the root. Raises DataError for a table that is wrong or ambiguous.
    """

    format = "class-list"
    file_noun = "An image file"

    def __init__(self, root: Path, tables: Mapping[str, Path], chosen: ColumnChoice = NO_CHOICE) -> None:
        files, where = ImageFiles(root), ", ".join(map(str, tables.values()))
        columns, read = read_tables(tables, files, chosen)
        rows = sorted(without_repeats(read), key=lambda row: ORDER.index(row.split))
        labels, split = [row.labels for row in rows], np.array([row.split for row in rows])
        named = {name for names in labels for name in names}
        classes = order_texts(columns.labels) if columns.kind == "marks" else order_names(named, where)
        if columns.kind == "label":
            targets: Any = numbers_of([name for (name,) in labels], classes)
        else:
            self.task, targets = "multi-label", multi_hot(labels, classes, where)
        splits = {str(name): np.flatnonzero(split == name) for name in dict.fromkeys(split.tolist())}
        several = targets.ndim == 2
        found = {name: np.flatnonzero(targets[i].any(0)) if several else targets[i] for name, i in splits.items()}
        absent = absent_classes(classes, found)
        notices = (*absent, *table_notices(tables.values()), *notices_on(columns, len(read), rows, files))
        super().__init__(root, (), targets, splits, classes, notices)
        self.keys = [row.key for row in rows]  # a path for each of very many rows would take longer than reading them

    def key(self, index: int) -> str:
        return self.keys[index]

    def path(self, index: int) -> Path:
        return self.root / self.keys[index]


def is_image_table(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> bool:
    """Whether this is a table that names images and labels, or a folder with one."""
    chosen = ColumnChoice(file=file_column, label=label_column)
    try:
        if path.is_dir():
            return bool(image_tables_in(path, chosen) or tables_of_splits(path, chosen))
        return lists_images(path, chosen)
    except OSError:
        return False


def open_image_table(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> ImageTable:
    """The images that a table names, or the tables in a folder; the columns may be chosen by name."""
    chosen = ColumnChoice(file=file_column, label=label_column)
    tables = find_tables(path, chosen) if path.is_dir() else {"all": path}
    return ImageTable(path if path.is_dir() else path.parent, tables, chosen)


def find_tables(folder: Path, chosen: ColumnChoice) -> dict[str, Path]:
    """A table for each split, or {"all": the table}. Raises DataError if there is none, or more than one way."""
    ways: list[dict[str, Path]] = []
    by_split: dict[str, list[Path]] = {}
    for table in image_tables_in(folder, chosen):
        if split := split_meant(table.stem):
            by_split.setdefault(split, []).append(table)
        else:
            ways.append({"all": table})
    for found in (by_split, tables_of_splits(folder, chosen)):
        for twins in found.values():
            refuse_several(folder, twins)
        if found:
            ways.append({split: found[split][0] for split in ORDER if split in found})
    if len(ways) > 1:
        refuse_several(folder, [table for way in ways for table in way.values()])
    if not ways:
        kinds = "a .csv, .tsv or .jsonl file with a column for the file"
        rule = f"{folder} holds no list of images: {kinds} ({FILE_NAMES}) and one for the label ({LABEL_NAMES})."
        raise DataError(rule, fix="Add it, or rename columns.")
    return ways[0]


def refuse_several(folder: Path, tables: list[Path]) -> None:
    if len(tables) > 1:
        shown = ", ".join(str(table.relative_to(folder)) for table in tables)
        rule = f"{folder} can be read in {len(tables)} ways: {shown} all list images with labels."
        raise DataError(rule, fix="Give the path of the right one, or move the others away.")


def image_tables_in(folder: Path, chosen: ColumnChoice) -> list[Path]:
    """The tables directly in a folder that name images and labels."""
    return [path for path in tables_in(folder) if lists_images(path, chosen)]


def tables_of_splits(folder: Path, chosen: ColumnChoice) -> dict[str, list[Path]]:
    """The tables called `metadata` in the folders of the splits."""
    found: dict[str, list[Path]] = {}
    for place in class_folders(folder):
        split = split_meant(place.name)
        tables = [t for t in image_tables_in(place, chosen) if t.stem.lower() == "metadata"] if split else []
        if split and tables:
            found.setdefault(split, []).extend(tables)
    return found


def lists_images(path: Path, chosen: ColumnChoice = NO_CHOICE) -> bool:
    """Whether a table's header and first row are those of a list of images."""
    if not is_table(path):
        return False
    try:
        columns = read_columns(path)
        chosen = choose_by_place(path, columns, chosen)
    except DataError:
        return False
    called = {column.lower() for column in columns}
    if not is_file_table(columns, chosen):
        return False
    labelled = bool(chosen.label or called & {*FILE_LABELS, *TAGS})
    try:
        first = first_row(path)
        if not labelled:
            marked_columns(first, [column for column in columns if column.lower() not in (*FILES, SPLIT)], str(path))
    except DataError:  # with these columns it is a damaged list, which says where when it is opened
        return labelled and not called & {*COMMON_TEXTS}
    files = {chosen.file.lower()} if chosen.file else {*FILES}
    return any(names_image(path, value) for column, value in first.values.items() if column.lower() in files)


def choose_by_place(path: Path, columns: Sequence[str], chosen: ColumnChoice) -> ColumnChoice:
    """The columns of a table without a header, if it is certain: of two, the file is the one that holds images."""
    if chosen or tuple(columns) != ("0", "1"):
        return chosen
    cells = first_row(path).values
    files = [column for column in columns if is_image(Path(str(cells[column])))]
    return ColumnChoice(file=files[0], label="1" if files[0] == "0" else "0") if len(files) == 1 else chosen


def read_tables(tables: Mapping[str, Path], files: ImageFiles, chosen: ColumnChoice) -> tuple[Columns, list[TableRow]]:
    """All rows of all tables, whose labels must be of one kind; columns of 0 and 1 may come in any order."""
    read = {table: read_table(table, split, files, chosen) for split, table in tables.items()}
    if len({(columns.kind, frozenset(columns.labels * (columns.kind == "marks"))) for columns, _ in read.values()}) > 1:
        shown = "; ".join(f"{table.name}: {some(columns.labels)}" for table, (columns, _) in read.items())
        rule = "All tables of a set must have the same columns of labels."
        raise DataError(rule, received=shown, fix="Make them alike.")
    return next(iter(read.values()))[0], [row for _, rows in read.values() for row in rows]


def read_table(table: Path, split: str, files: ImageFiles, chosen: ColumnChoice) -> tuple[Columns, list[TableRow]]:
    """All rows of a table; its column `split` takes precedence over `split`, which must then be "all".

    Raises DataError for a value that has no meaning, and for files that are not there.
    """
    called = read_columns(table)
    columns = file_columns(called, str(table), choose_by_place(table, called, chosen))
    if columns.split and split != "all":
        rule = f"{table} can be read in two ways: as {split}, by its place, or by its column {columns.split!r}."
        raise DataError(rule, fix="Remove the column, or list all images in one table.")
    names, splits, labels, lines, spellings = [], [], [], [], Spellings()
    for row in read_rows(table):
        where = f"{table}, line {row.line}"
        names.append(relative_name(row.values[columns.payload], where))
        splits.append(split_of(row.values[columns.split], where) if columns.split else split)
        labels.append(labels_of(row, columns, spellings, where))
        lines.append(row.line)
    if columns.kind == "tags":
        labels = split_tags([value for (value,) in labels], str(table))
    keys = files.find_all(table, names, lines)
    return columns, [TableRow(*row[:3], table, row[3]) for row in zip(keys, splits, labels, lines, strict=True)]


def labels_of(row: Row, columns: Columns, spellings: Spellings, where: str) -> tuple[Any, ...]:
    """The class; or the columns that hold 1; or, of tags, the value that holds them."""
    if columns.kind == "marks":
        return marked_columns(row, columns.labels, where)
    value = row.values[column := columns.labels[0]]
    if columns.kind == "tags":
        return (value,)
    fix = "Fill it, or remove the row; for several labels name the column 'labels'."
    return (one_label(str(value), value, column, spellings, where, "file", fix),)


def without_repeats(rows: Sequence[TableRow]) -> Iterator[TableRow]:
    """Each image once, in the order of the tables.

    Raises DataError for an image that is listed with different labels, or in two splits.
    """
    seen: dict[str, TableRow] = {}
    for row in rows:
        before = seen.setdefault(row.key, row)
        if before is row:
            yield row
        elif before.labels != row.labels:
            first, second = (f"{some(each.labels) or 'none'} in {each.where}" for each in (before, row))
            rule = f"Each image has its labels once. {row.key} has {first}, and {second}."
            raise DataError(rule, fix="Remove one of the rows.")
        elif before.split != row.split:
            first, second = (f"in {each.split} ({each.where})" for each in (before, row))
            raise DataError(f"An image belongs to one split. {row.key} is {first} and {second}.", fix=TWICE)


def notices_on(columns: Columns, num_read: int, rows: list[TableRow], files: ImageFiles) -> Iterator[str]:
    """Notices on what was skipped, and what may not be meant."""
    if columns.others:
        yield f"columns that are not labels were skipped: {some(columns.others)}"
    if num_read > len(rows):
        yield f"rows that repeat another were skipped: {num_read - len(rows):,}"
    if unlisted := files.keys - {row.key for row in rows}:
        sentence = f"images that no table names were skipped: {len(unlisted):,}, first {min(unlisted)!r}"
        yield LeftOut(sentence, len(unlisted))
    if columns.kind != "label" and all(len(row.labels) == 1 for row in rows):
        yield "each image has exactly one label; a column called label would make this single-label classification"


def why_no_image_table(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> str | None:
    """Why a table of files, or one beside images, is not a list with labels. None if it is not about images."""
    chosen = ColumnChoice(file=file_column, label=label_column)
    beside = path.is_dir()
    places = [path] if not beside else plain_files(path) if has_image(path) else []
    reasons = (explain_missing(table, chosen, beside=beside) for table in places if is_table(table))
    return next(filter(None, reasons), None)


def explain_missing(table: Path, chosen: ColumnChoice, *, beside: bool) -> str | None:
    """The reason why a table is not a list of images; `beside` says that it lies beside some."""
    try:
        cells = first_row(table).values
        if chosen:
            file_columns(tuple(cells), str(table), chosen)
    except DataError as error:
        return str(error) if beside or chosen else None
    found = [name for name, value in cells.items() if is_image(Path(str(value)))]
    if beside and not found:
        found = [name for name, value in cells.items() if names_image(table, value)]
    if not found and beside:
        rule = "A list names images that lie beside it or in a folder there."
        shown = some((repr(str(value)[:40]) for value in cells.values()), 4)
        received = f"{shown}, the first row of {table}, none of which is an image there"
        return str(DataError(rule, received=received, fix="Correct the names."))
    if not found:
        return None
    labels = [name for name in cells if name.lower() in (*FILE_LABELS, *TAGS)]
    others = [name for name in cells if name not in found and name.lower() not in (*FILES, SPLIT)]
    chosen_by = f"--data.file_column {quote(found[0])} --data.label_column {quote((labels or others or ['NAME'])[0])}"
    rule = f"A list of images needs a column for the file ({FILE_NAMES}) and one for the label ({LABEL_NAMES})."
    received, fix = f"the columns {some(cells, 8)}, in {table}", "Rename them"
    if not find_dialect(table).has_header:
        received += ", named by their place because its first line looks like a sample"
        fix = "Add a line of names"
    return str(DataError(rule, received=received, fix=f"{fix}, or say which is which, such as {chosen_by}."))
