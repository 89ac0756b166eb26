"""Images with a table beside them: a CSV, TSV or JSONL file that names each image and its labels.

Hugging Face's ImageFolder has such a `metadata.csv` or `metadata.jsonl`, Kaggle its `train.csv`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.column_names import COMMON_TEXTS, FILE_LABELS, FILES, SPLIT, TAGS
from neocog.dataset.columns import (
    NO_CHOICE,
    ColumnChoice,
    Columns,
    file_columns,
    is_file_table,
    list_names,
    number_columns,
    split_of,
)
from neocog.dataset.dialect import find_dialect
from neocog.dataset.files import class_folders, plain_files, walk
from neocog.dataset.label_columns import read_labels
from neocog.dataset.list_source import FileSource
from neocog.dataset.record import LeftOut, Task, absent_classes, unlabelled_samples
from neocog.dataset.split_names import split_meant
from neocog.dataset.tables import first_row, is_table, read_columns, read_rows, table_notices, tables_in
from neocog.dataset.targets import decide, known_rows, said_of_unknown, unify_cells
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import has_image, is_image
from neocog.modalities.image.image_table_files import IMAGES, FileKind, ListedFiles, relative_name

__all__ = [
    "FileTable",
    "ImageTable",
    "absent_targets",
    "find_tables",
    "is_image_table",
    "lists_files",
    "lists_images",
    "open_image_table",
    "tables_with_files",
    "why_no_image_table",
]  # fmt: skip

ORDER = ("all", "train", "val", "test")
FILE_NAMES, LABEL_NAMES = ", ".join(FILES), ", ".join((*FILE_LABELS, *TAGS))
LOOK = 200
"""Rows by which columns whose names say nothing are told apart."""
TWICE = "Remove one of the rows, otherwise a sample that is trained on would be tested."


class TableRow(NamedTuple):
    """One file of a table; `key` is its path below the root, `cells` are the values of the columns of labels."""

    key: str
    split: str
    cells: tuple[Any, ...]
    table: Path
    line: int

    @property
    def where(self) -> str:
        return f"{self.table}, line {self.line}"


class FileTable(FileSource):
    """The files that tables name, in the order of the tables, split by split. A subclass declares their kind.

    One column of labels makes a classification, whose classes are sorted, as numbers if they are numbers, or a
    regression if it holds quantities. A column of tags (`labels`, `tags`), or one column of 0 and 1 for each class,
    makes a task of several labels, several columns of numbers a regression with several outputs. A sample's key is its
    path below the root. Raises DataError for a table that is wrong or ambiguous.
    """

    kind = IMAGES

    def __init__(
        self, root: Path, tables: Mapping[str, Path], chosen: ColumnChoice = NO_CHOICE, task: str | None = None
    ) -> None:
        files, where = ListedFiles(root, self.kind), ", ".join(map(str, tables.values()))
        columns, read = read_tables(tables, files, chosen)
        fix = "Fill it, or remove the row; for several labels name the column 'labels'."
        cells = [row.cells for row in read]
        labels = read_labels(columns, cells, lambda k: read[k].where, where, noun="file", fix=fix, task=task)
        kept = without_repeats(read, labels.shown)
        kept.sort(key=lambda k: ORDER.index(read[k].split))
        known = known_rows(labels.targets[kept])
        rows = [read[k] for k, is_known in zip(kept, known.tolist(), strict=True) if is_known]
        targets: NDArray[Any] = labels.targets[kept][known]
        split, hidden = np.array([row.split for row in rows]), np.array([read[k].split for k in kept])[~known]
        self.task: Task = labels.task
        splits = {str(name): np.flatnonzero(split == name) for name in dict.fromkeys(split.tolist())}
        notices = (
            *labels.notices,
            *absent_targets(self.task, labels.classes, targets, splits),
            *(unlabelled_samples(name, int((hidden == name).sum())) for name in dict.fromkeys(hidden.tolist())),
            *said_of_unknown(targets, labels.classes),
            *table_notices(tables.values()),
            *notices_on(columns, len(read) - len(kept), {read[k].key for k in kept}, files),
        )
        super().__init__(root, (), targets, splits, labels.classes, notices)
        self.keys = [row.key for row in rows]  # a path for each of very many rows would take longer than reading them

    def key(self, index: int) -> str:
        return self.keys[index]

    def path(self, index: int) -> Path:
        return self.root / self.keys[index]


class ImageTable(FileTable):
    """The images that tables name; see `FileTable`."""

    format = "class-list"
    file_noun = "An image file"


def absent_targets(
    task: Task, classes: tuple[str, ...], targets: NDArray[Any], splits: Mapping[str, NDArray[np.int64]]
) -> tuple[str, ...]:
    """A sentence for each split from which a class or a label is missing."""
    if task == "regression":
        return ()
    several = targets.ndim == 2
    found = {
        name: np.flatnonzero((targets[part] == 1).any(0)) if several else targets[part] for name, part in splits.items()
    }
    return absent_classes(classes, found)


def is_image_table(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> bool:
    """Whether this is a table that names images and labels, or a folder with one."""
    chosen = ColumnChoice(file=file_column, label=label_column)
    try:
        if path.is_dir():
            return bool(tables_with_files(path, chosen) or tables_of_splits(path, chosen))
        return lists_images(path, chosen)
    except OSError:
        return False


def open_image_table(
    path: Path, *, file_column: str | None = None, label_column: str | None = None, task: str | None = None
) -> ImageTable:
    """The images that a table names, or the tables in a folder; the columns may be chosen by name."""
    chosen = ColumnChoice(file=file_column, label=label_column)
    tables = find_tables(path, chosen) if path.is_dir() else {"all": path}
    return ImageTable(path if path.is_dir() else path.parent, tables, chosen, task)


def find_tables(folder: Path, chosen: ColumnChoice, kind: FileKind = IMAGES) -> dict[str, Path]:
    """A table for each split, or {"all": the table}. Raises DataError if there is none, or more than one way."""
    ways: list[dict[str, Path]] = []
    by_split: dict[str, list[Path]] = {}
    for table in tables_with_files(folder, chosen, kind):
        if split := split_meant(table.stem):
            by_split.setdefault(split, []).append(table)
        else:
            ways.append({"all": table})
    for found in (by_split, tables_of_splits(folder, chosen, kind)):
        for twins in found.values():
            refuse_several(folder, twins, kind)
        if found:
            ways.append({split: found[split][0] for split in ORDER if split in found})
    if len(ways) > 1:
        refuse_several(folder, [table for way in ways for table in way.values()], kind)
    if not ways:
        kinds = "a .csv, .tsv or .jsonl file with a column for the file"
        rule = f"{folder} holds no list of {kind.noun}: {kinds} ({FILE_NAMES}) and one for the label ({LABEL_NAMES})."
        raise DataError(rule, fix="Add it, or rename columns.")
    return ways[0]


def refuse_several(folder: Path, tables: list[Path], kind: FileKind) -> None:
    if len(tables) > 1:
        shown = ", ".join(str(table.relative_to(folder)) for table in tables)
        rule = f"{folder} can be read in {len(tables)} ways: {shown} all list {kind.noun} with labels."
        raise DataError(rule, fix="Give the path of the right one, or move the others away.")


def tables_with_files(folder: Path, chosen: ColumnChoice, kind: FileKind = IMAGES) -> list[Path]:
    """The tables directly in a folder that name files of a kind, and labels."""
    return [path for path in tables_in(folder) if lists_files(path, chosen, kind)]


def tables_of_splits(folder: Path, chosen: ColumnChoice, kind: FileKind = IMAGES) -> dict[str, list[Path]]:
    """The tables called `metadata` in the folders of the splits."""
    found: dict[str, list[Path]] = {}
    for place in class_folders(folder):
        split = split_meant(place.name)
        tables = [t for t in tables_with_files(place, chosen, kind) if t.stem.lower() == "metadata"] if split else []
        if split and tables:
            found.setdefault(split, []).extend(tables)
    return found


def lists_images(path: Path, chosen: ColumnChoice = NO_CHOICE) -> bool:
    """Whether a table's header and first rows are those of a list of images."""
    return lists_files(path, chosen)


def lists_files(path: Path, chosen: ColumnChoice, kind: FileKind = IMAGES) -> bool:
    """Whether a table's header and first rows are those of a list of such files."""
    if not is_table(path):
        return False
    try:
        columns = read_columns(path)
        chosen = choose_by_content(path, columns, chosen, kind)
    except DataError:
        return False
    called = {column.lower() for column in columns}
    if not is_file_table(columns, chosen):
        return False
    labelled = bool(chosen.label or called & {*FILE_LABELS, *TAGS})
    try:
        first = first_row(path)
        if not labelled:
            marks = {name: [cell] for name, cell in first.values.items() if name.lower() not in (*FILES, SPLIT)}
            values = decide(marks, str(path), "multi-label").values
            if values is None or np.isnan(values).all():
                return False
    except DataError:  # with these columns it is a damaged list, which says where when it is opened
        there = kind is IMAGES or any(kind.matches(entry.name) for entry in islice(walk(path.parent), LOOK))
        return there and labelled and not called & {*COMMON_TEXTS}
    files = {chosen.file.lower()} if chosen.file else {*FILES}
    return any(kind.names_file(path, value) for column, value in first.values.items() if column.lower() in files)


def choose_by_content(
    path: Path, columns: Sequence[str], chosen: ColumnChoice, kind: FileKind = IMAGES
) -> ColumnChoice:
    """The columns that names alone don't tell, if it is certain.

    Of two without a header, the file is the one that holds such files. If none is named as a label, all hold numbers to
    predict, and the files lie in one folder, these are the labels.
    """
    called = {column.lower() for column in columns}
    if chosen or called & {*FILE_LABELS, *TAGS}:
        return chosen
    if tuple(columns) == ("0", "1"):
        first = first_row(path).values
        files = [column for column in columns if kind.matches(str(first[column]))]
        return ColumnChoice(file=files[0], label="1" if files[0] == "0" else "0") if len(files) == 1 else chosen
    files = [column for column in columns if column.lower() in FILES]
    if not files or called & {*COMMON_TEXTS}:
        return chosen
    with closing(read_rows(path)) as read:
        rows = [row.values for row in islice(read, LOOK)]
    names = [Path(str(row[files[0]]).replace("\\", "/")).parent.name for row in rows]
    if len({name for name in names if name and split_meant(name) is None}) > 1:  # which may be the classes
        return chosen
    beside = [*files, *(column for column in columns if column.lower() == SPLIT)]
    dialect = find_dialect(path)
    cells = [dict(zip(row, unify_cells([*row.values()], dialect), strict=True)) for row in rows]
    found = number_columns(columns, cells, beside)
    return ColumnChoice(label=list_names(found)) if found else chosen


def read_tables(tables: Mapping[str, Path], files: ListedFiles, chosen: ColumnChoice) -> tuple[Columns, list[TableRow]]:
    """All rows of all tables, whose labels must be of one kind; several columns may come in any order."""
    read = {table: read_table(table, split, files, chosen) for split, table in tables.items()}
    first = next(iter(read.values()))[0]
    several = [frozenset(columns.labels * (columns.kind == "several")) for columns, _ in read.values()]
    if len({(columns.kind, names) for (columns, _), names in zip(read.values(), several, strict=True)}) > 1:
        shown = "; ".join(f"{table.name}: {some(columns.labels)}" for table, (columns, _) in read.items())
        rule = "All tables of a set must have the same columns of labels."
        raise DataError(rule, received=shown, fix="Make them alike.")
    found: list[TableRow] = []
    for columns, rows in read.values():
        order = [columns.labels.index(name) for name in first.labels] if first.kind == "several" else [0]
        found += rows if columns is first else [row._replace(cells=tuple(row.cells[k] for k in order)) for row in rows]
    return first, found


def read_table(table: Path, split: str, files: ListedFiles, chosen: ColumnChoice) -> tuple[Columns, list[TableRow]]:
    """All rows of a table; its column `split` takes precedence over `split`, which must then be "all".

    Raises DataError for a value that has no meaning, and for files that are not there.
    """
    called, dialect = read_columns(table), find_dialect(table)
    columns = file_columns(called, str(table), choose_by_content(table, called, chosen, files.kind))
    if columns.split and split != "all":
        rule = f"{table} can be read in two ways: as {split}, by its place, or by its column {columns.split!r}."
        raise DataError(rule, fix="Remove the column, or list all images in one table.")
    names, splits, cells, lines = [], [], list[tuple[Any, ...]](), []
    for row in read_rows(table):
        where = f"{table}, line {row.line}"
        names.append(relative_name(row.values[columns.payload], where))
        splits.append(split_of(row.values[columns.split], where) if columns.split else split)
        cells.append(tuple(unify_cells([row.values[name] for name in columns.labels], dialect)))
        lines.append(row.line)
    keys = files.find_all(table, names, lines)
    return columns, [TableRow(*row[:3], table, row[3]) for row in zip(keys, splits, cells, lines, strict=True)]


def without_repeats(rows: Sequence[TableRow], labels: Sequence[tuple[str, ...]]) -> list[int]:
    """The place of each file's first row, in the order of the tables.

    Raises DataError for a file that is listed with different labels, or in two splits.
    """
    seen: dict[str, int] = {}
    for place, row in enumerate(rows):
        first = seen.setdefault(row.key, place)
        if labels[first] != labels[place]:
            one, other = (f"{some(filter(None, labels[k])) or 'none'} in {rows[k].where}" for k in (first, place))
            rule = f"Each file has its labels once. {row.key} has {one}, and {other}."
            raise DataError(rule, fix="Remove one of the rows.")
        if rows[first].split != row.split:
            one, other = (f"in {each.split} ({each.where})" for each in (rows[first], row))
            raise DataError(f"A file belongs to one split. {row.key} is {one} and {other}.", fix=TWICE)
    return list(seen.values())


def notices_on(columns: Columns, num_repeats: int, listed: set[str], files: ListedFiles) -> Iterator[str]:
    """Notices on what was skipped."""
    if columns.others:
        yield f"columns that are not labels were skipped: {some(columns.others)}"
    if num_repeats:
        yield f"rows that repeat another were skipped: {num_repeats:,}"
    if unlisted := files.keys - listed:
        what = f"{files.kind.noun} that no table names were skipped"
        yield LeftOut(f"{what}: {len(unlisted):,}, first {min(unlisted)!r}", len(unlisted))


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
        found = [name for name, value in cells.items() if IMAGES.names_file(table, value)]
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
