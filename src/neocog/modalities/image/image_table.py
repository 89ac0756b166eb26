"""Pictures with a list beside them: a CSV, TSV or JSONL file that names each picture and its labels.

Hugging Face's ImageFolder keeps its `metadata.csv` and `metadata.jsonl` so, Kaggle its `train.csv`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_columns import Columns, find_columns
from neocog.dataset.class_names import in_order, ordered_names
from neocog.dataset.column_names import FILE_LABELS, FILES, SPLIT, TAGS, UNNAMED, Asked
from neocog.dataset.dialect import find_dialect
from neocog.dataset.folders import plain_files, size_bytes
from neocog.dataset.multi_label import yes_and_no
from neocog.dataset.record import LeftOut, Modality, Record, absent_classes
from neocog.dataset.tables import is_table, table_notices
from neocog.dataset.targets import Task
from neocog.errors import DataError, some
from neocog.modalities.image.folder import has_picture, is_picture, read_picture
from neocog.modalities.image.image_rows import Listed, read_list, without_repeats
from neocog.modalities.image.image_table_files import ListedFiles, is_listed
from neocog.modalities.image.image_tables import find_tables, first_row, holds_tables, names_pictures

__all__ = ["ClassList", "is_class_list", "open_class_list", "why_no_list"]


class ClassList:
    """The pictures that lists name, in the order of the lists, split by split.

    One column of labels makes a classification; its classes are sorted, as numbers where they are numbers. A column of
    tags (`labels`, `tags`), or one column of 0 and 1 for each class, makes a task of several labels, `targets` being
    (N, K) bool. A picture's key is its path below the root. Raises DataError for a list that can't be meant.
    """

    modality: Modality = "image"
    format = "class-list"

    def __init__(self, root: Path, tables: Mapping[str, Path], asked: Asked = UNNAMED) -> None:
        self.root, self.name = root, root.resolve().name
        files = ListedFiles(root)
        where = ", ".join(map(str, tables.values()))
        columns, rows = read_lists(tables, files, asked)
        listed = sorted(without_repeats(rows), key=lambda one: ("all", "train", "val", "test").index(one.split))
        self.keys = [one.key for one in listed]
        self.task: Task = "classification" if columns.kind == "label" else "multi-label"
        found = {name for one in listed for name in one.labels}
        self.classes = in_order(columns.labels) if columns.kind == "marks" else ordered_names(found, where)
        hot = yes_and_no if self.task == "multi-label" else class_numbers
        self.targets: NDArray[Any] = hot([one.labels for one in listed], self.classes, where)
        splits = np.array([one.split for one in listed])
        self.splits = {str(split): np.flatnonzero(splits == split) for split in dict.fromkeys(splits.tolist())}
        self.notices = (*self.absent(), *table_notices(tables.values()), *notices(columns, rows, listed, files))

    def absent(self) -> tuple[str, ...]:
        """A sentence for each split from which a class is missing."""
        classes = {
            split: np.flatnonzero(self.targets[indices].any(0)) if self.targets.ndim == 2 else self.targets[indices]
            for split, indices in self.splits.items()
        }
        return absent_classes(self.classes, classes)

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        return self.keys[index]

    def content(self) -> Iterator[bytes]:
        """File sizes: the files themselves may be many gigabytes."""
        return (size_bytes(self.root / key) for key in self.keys)

    def read(self, index: int) -> Record:
        path = self.root / self.keys[index]
        target = self.targets[index]
        if path.exists() and not path.is_file():  # a pipe would never end
            raise DataError(f"{path} is no file any more. Put it back, or remove its row from the list.")
        payload = read_picture(path)
        return Record(self.keys[index], payload, target if self.targets.ndim == 2 else int(target))


def is_class_list(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> bool:
    """Whether this is a table that names pictures and labels, or a folder with one."""
    asked = Asked(file=file_column, label=label_column)
    try:
        if path.is_dir():
            return holds_tables(path, asked)
        return names_pictures(path, asked)
    except OSError:
        return False


def open_class_list(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> ClassList:
    """The pictures that a table names, or the tables in a folder; the columns that are meant may be named."""
    asked = Asked(file=file_column, label=label_column)
    if not path.is_dir():
        return ClassList(path.parent, {"all": path}, asked)
    return ClassList(path, find_tables(path, asked), asked)


def why_no_list(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> str | None:
    """Why a table of files, or one beside pictures, is not a list with labels. None where it is not about images."""
    asked = Asked(file=file_column, label=label_column)
    if not path.is_dir():
        tables = [path] if is_table(path) else []
    elif has_picture(path):
        tables = [table for table in plain_files(path) if is_table(table)]
    else:
        return None
    reasons = [reason for table in tables if (reason := what_is_missing(table, asked, beside=path.is_dir()))]
    return reasons[0] if reasons else None


def what_is_missing(table: Path, asked: Asked, *, beside: bool) -> str | None:
    """What a table lacks to be a list of images; `beside` says that it lies beside some."""
    try:
        cells = first_row(table).values
        if asked != UNNAMED:
            find_columns(tuple(cells), str(table), asked)
    except DataError as error:
        return str(error) if beside or asked != UNNAMED else None
    found = [name for name, value in cells.items() if is_picture(Path(str(value)))]
    if beside and not found:
        found = [name for name, value in cells.items() if is_listed(table, value)]
    if not found:
        shown = some((repr(str(value)[:40]) for value in cells.values()), 4)
        return (
            f"A list names images that lie beside it or in a folder there. Received: {shown}, the first row of "
            f"{table}, none of which is an image there. Correct the names."
            if beside
            else None
        )
    labels = [name for name in cells if name.lower() in (*FILE_LABELS, *TAGS)]
    others = [name for name in cells if name not in found and name.lower() not in (*FILES, SPLIT)]
    label = (labels or others or ["NAME"])[0]
    headless = not find_dialect(table).has_header
    return (
        f"A list of images needs a column for the file ({', '.join(FILES)}) and one for the label "
        f"({', '.join((*FILE_LABELS, *TAGS))}). Received: the columns {some(cells, 8)}, in {table}"
        + (", named by their place, for its first line looks like a sample" if headless else "")
        + f". {'Add a line of names' if headless else 'Rename them'}, or say which is meant, such as "
        f"--data.file_column {quote(found[0])} --data.label_column {quote(label)}."
    )


def read_lists(tables: Mapping[str, Path], files: ListedFiles, asked: Asked) -> tuple[Columns, list[Listed]]:
    """All rows of all tables, whose labels must be of one kind; columns of 0 and 1 may come in any order."""
    read = {table: read_list(table, split, files, asked) for split, table in tables.items()}
    kinds = {(found.kind, frozenset(found.labels if found.kind == "marks" else ())) for found, _ in read.values()}
    if len(kinds) > 1:
        shown = "; ".join(f"{table.name}: {some(found.labels)}" for table, (found, _) in read.items())
        raise DataError(f"All lists of a set must have the same columns of labels. Received: {shown}. Make them alike.")
    return next(iter(read.values()))[0], [row for _, rows in read.values() for row in rows]


def class_numbers(labels: list[tuple[str, ...]], classes: tuple[str, ...], where: str) -> NDArray[np.int64]:
    """The class of each record; (N,)."""
    number = {name: k for k, name in enumerate(classes)}
    return np.array([number[name] for (name,) in labels], np.int64)


def notices(columns: Columns, rows: list[Listed], listed: list[Listed], files: ListedFiles) -> Iterator[str]:
    """What was passed over, and what may not be meant."""
    if columns.others:
        yield f"columns that are no labels were passed over: {some(columns.others)}"
    if len(rows) > len(listed):
        yield f"rows that repeat another were passed over: {len(rows) - len(listed):,}"
    unlisted = sorted(files.keys - {one.key for one in listed})
    if unlisted:
        yield LeftOut(
            f"pictures that no list names were passed over: {len(unlisted):,}, first {unlisted[0]!r}", len(unlisted)
        )
    if columns.kind != "label" and all(len(one.labels) == 1 for one in listed):
        yield "each picture has exactly one label; a column called label would make this a choice of one class"
