"""Which column of a list names the file, which the class, which the split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from neocog.data.column_names import FILE_LABELS, FILES, NUMBERS, SPLIT, TAGS
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


def lists_labels(columns: Sequence[str]) -> bool:
    """Whether these can be the columns of a list at all."""
    called = [column.lower() for column in columns]
    others = [column for column in called if column not in (*FILES, SPLIT)]
    return any(c in FILES for c in called) and (any(c in (*FILE_LABELS, *TAGS) for c in others) or len(others) > 1)


def find_columns(columns: Sequence[str], where: str) -> Columns:
    """What each column means. Raises DataError where none names the files or the classes, or two do.

    >>> find_columns(["Id", "age", "Label"], "labels.csv")
    Columns(kind='label', file='Id', labels=('Label',), split=None, others=('age',))
    >>> find_columns(["image", "cat", "dog"], "labels.csv").labels
    ('cat', 'dog')
    """
    files = named(columns, FILES)
    file = only([column for column in files if column.lower() not in NUMBERS] or files, "file", FILES, columns, where)
    splits = named(columns, (SPLIT,))
    split = only(splits, "split", (SPLIT,), columns, where) if splits else None
    rest = [column for column in columns if column not in files and column != split]
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
        "Rename the column."
    )
