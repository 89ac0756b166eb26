"""Which column of a list names the file, which the class, which the split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from neocog.dataset.column_names import FILE_LABELS, FILES, NUMBERS, SPLIT, TAGS, UNNAMED, Asked, column_named
from neocog.errors import DataError, some

__all__ = ["Columns", "find_columns", "lists_labels"]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a list. `labels` has one, or one for each class where they hold 0 and 1."""

    kind: Literal["label", "tags", "marks"]
    file: str
    labels: tuple[str, ...]
    split: str | None
    others: tuple[str, ...]
    """What is passed over."""


def lists_labels(columns: Sequence[str], asked: Asked = UNNAMED) -> bool:
    """Whether these can be the columns of a list at all."""
    try:
        find_columns(columns, "", asked)
    except DataError:
        called = [column.lower() for column in columns]
        others = [column for column in called if column not in (*FILES, SPLIT)]
        labelled = any(column in (*FILE_LABELS, *TAGS) for column in others) or len(others) > 1
        return asked == UNNAMED and labelled and any(column in FILES for column in called)
    return True


def find_columns(columns: Sequence[str], where: str, asked: Asked = UNNAMED) -> Columns:
    """What each column means. Raises DataError where none names the files or the classes, or two do.

    >>> find_columns(["Id", "age", "Label"], "labels.csv")
    Columns(kind='label', file='Id', labels=('Label',), split=None, others=('age',))
    >>> find_columns(["image", "cat", "dog"], "labels.csv").labels
    ('cat', 'dog')
    """
    files = named(columns, FILES)
    if asked.file is not None:
        file = column_named(columns, asked.file, "file_column", where)
    else:
        usual = [column for column in files if column.lower() not in NUMBERS]
        file = only(usual or files, "file", FILES, columns, where)
    splits = [column for column in named(columns, (SPLIT,)) if column not in (file, asked.label)]
    split = only(splits, "split", (SPLIT,), columns, where) if splits else None
    if asked.label is not None:
        label = column_named(columns, asked.label, "label_column", where)
        others = tuple(column for column in columns if column not in (file, split, label))
        return Columns("label", file, (label,), split, others)
    rest = [column for column in columns if column not in (*files, file, split)]
    single, several = named(rest, FILE_LABELS), named(rest, TAGS)
    if single or several:
        label = only(single + several, "label", (*FILE_LABELS, *TAGS), columns, where)
        others = tuple(column for column in columns if column not in (file, split, label))
        return Columns("label" if single else "tags", file, (label,), split, others)
    if len(rest) < 2:
        raise missing("label", (*FILE_LABELS, *TAGS), columns, where)
    return Columns("marks", file, tuple(rest), split, tuple(column for column in files if column != file))


def named(columns: Sequence[str], names: tuple[str, ...]) -> list[str]:
    return [column for column in columns if column.lower() in names]


def only(found: list[str], what: str, names: tuple[str, ...], columns: Sequence[str], where: str) -> str:
    """The one column of its kind."""
    if not found:
        raise missing(what, names, columns, where)
    if len(found) > 1:
        raise DataError(
            f"{where} can be read in {len(found)} ways: each of {', '.join(map(repr, found))} can be the column of the "
            f"{what}. Rename or remove the others."
        )
    return found[0]


def missing(what: str, names: tuple[str, ...], columns: Sequence[str], where: str) -> DataError:
    return DataError(
        f"A list of files needs a column for the {what}: {', '.join(names)}. Received: {some(columns, 8)}, in {where}. "
        f"Rename the column, or name it: --data.{what}_column NAME."
    )
