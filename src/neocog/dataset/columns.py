"""The columns of tables: what they are usually called, which holds what, and what a cell of each kind says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.column_names import (
    FILE_LABELS,
    FILES,
    NUMBERS,
    SPLIT,
    TAGS,
    TEXT_LABELS,
    TEXTS,
    UNPREDICTED,
)
from neocog.dataset.labels import Spellings, numbers_of
from neocog.dataset.split_names import SPLIT_NAMES, split_written
from neocog.dataset.targets import decide
from neocog.errors import DataError, some

__all__ = [
    "NO_CHOICE", "ColumnChoice", "Columns", "file_columns", "is_file_table", "lacks_labels", "list_names",
    "multi_hot", "number_columns", "one_label", "split_of", "split_tags", "text_columns",
]  # fmt: skip

TAG_SEPARATORS = "|;"
MAX_CELLS = 2**32
"""Samples times classes; above it the multi-hot table would take more than 4 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChoice:
    """The columns that a user names, whatever they are called."""

    file: str | None = None
    text: str | None = None
    label: str | None = None
    """One name, or several as `list_names` writes them or with commas between them."""

    def __bool__(self) -> bool:
        return bool(self.file or self.text or self.label)


NO_CHOICE = ColumnChoice()


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table. `labels` has one; or several, which hold 0 and 1, or numbers."""

    kind: Literal["label", "tags", "several"]
    payload: str
    """The file, or the text."""
    labels: tuple[str, ...]
    split: str | None
    others: tuple[str, ...]
    """Columns that are not read."""


def file_columns(columns: Sequence[str], where: str, chosen: ColumnChoice = NO_CHOICE) -> Columns:
    """The columns of a table of files. Raises DataError if none names the files or the classes, or two do.

    >>> file_columns(["Id", "age", "Label"], "labels.csv")
    Columns(kind='label', payload='Id', labels=('Label',), split=None, others=('age',))
    >>> file_columns(["image", "cat", "dog"], "labels.csv").labels
    ('cat', 'dog')
    """
    files = named(columns, FILES)
    usual = [column for column in files if column.lower() not in NUMBERS] or files
    if chosen.file is not None:
        usual = [column_named(columns, chosen.file, "file_column", where)]
    file = only(usual, "file", FILES, columns, where)
    labels = () if chosen.label is None else columns_named(columns, chosen.label, "label_column", where)
    splits = [column for column in named(columns, (SPLIT,)) if column not in (file, *labels)]
    split = only(splits, "split", (SPLIT,), columns, where) if splits else None
    rest = [column for column in columns if column not in (*files, file, split)]
    single, several = named(rest, FILE_LABELS), named(rest, TAGS)
    if len(labels) > 1:
        others = tuple(column for column in columns if column not in (file, split, *labels))
        return Columns("several", file, labels, split, others)
    if labels:
        label = labels[0]
    elif single or several:
        label = only(single + several, "label", (*FILE_LABELS, *TAGS), columns, where)
    elif len(rest) < 2:
        raise missing("list of files", "label", (*FILE_LABELS, *TAGS), columns, where)
    else:
        return Columns("several", file, tuple(rest), split, tuple(column for column in files if column != file))
    others = tuple(column for column in columns if column not in (file, split, label))
    return Columns("label" if labels or single else "tags", file, (label,), split, others)


def is_file_table(columns: Sequence[str], chosen: ColumnChoice) -> bool:
    """Whether these can be the columns of a table of files at all."""
    try:
        file_columns(columns, "", chosen)
    except DataError:
        called = [column.lower() for column in columns]
        others = [column for column in called if column not in (*FILES, SPLIT)]
        labelled = bool(named(others, (*FILE_LABELS, *TAGS))) or len(others) > 1
        return not chosen and labelled and bool(named(called, FILES))
    return True


def text_columns(columns: Sequence[str], where: str, chosen: ColumnChoice = NO_CHOICE) -> Columns:
    """The columns of a table of texts; of several that may hold texts or labels, the first in our lists.

    >>> text_columns(["id", "Sentiment", "tweet"], "a.csv")
    Columns(kind='label', payload='tweet', labels=('Sentiment',), split=None, others=('id',))
    >>> text_columns(["v1", "v2"], "a.csv", ColumnChoice(text="v2", label="v1")).payload
    'v2'
    """
    text = first_named(columns, "text", TEXTS, chosen.text, where)
    if chosen.label is not None:
        labels = columns_named(columns, chosen.label, "label_column", where)
    else:
        labels = (first_named(columns, "label", TEXT_LABELS, None, where),)
    split = next((column for column in columns if column.lower() == SPLIT and column not in (text, *labels)), None)
    others = tuple(column for column in columns if column not in (text, *labels, split))
    return Columns("several" if len(labels) > 1 else "label", text, labels, split, others)


def lacks_labels(columns: Sequence[str], chosen: ColumnChoice) -> bool:
    """Whether these are the columns of texts whose labels are withheld, such as those of a competition's test."""
    try:
        text = first_named(columns, "text", TEXTS, chosen.text, "")
    except DataError:
        return False
    if chosen.label:
        return not {name.lower() for name in named_in(chosen.label, columns)} & {each.lower() for each in columns}
    return not set(named(columns, TEXT_LABELS)) - {text}


def named(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    return [column for column in columns if column.lower() in names]


def column_named(columns: Sequence[str], name: str, setting: str, where: str) -> str:
    """The column of this name, in any case if that is clear. Raises DataError if there is none.

    >>> column_named(("V1", "v2"), "v1", "label_column", "a.csv")
    'V1'
    """
    found = [column for column in columns if column == name] or named(columns, [name.lower()])
    if len(found) != 1:
        rule = f"data.{setting} names a column of the table."
        fix = "Correct the name; columns without a header are called 0, 1, ..."
        raise DataError(rule, received=f"{name!r}, and the columns {some(columns, 8)}", where=where, fix=fix)
    return found[0]


def columns_named(columns: Sequence[str], names: str, setting: str, where: str) -> tuple[str, ...]:
    """The columns of these names. Raises DataError if one is not there, or named twice.

    >>> columns_named(("V1", "v2", "a,b"), "v1,v2", "label_column", "a.csv")
    ('V1', 'v2')
    >>> columns_named(("V1", "v2", "a,b"), "a,b", "label_column", "a.csv")
    ('a,b',)
    """
    found = tuple(column_named(columns, name, setting, where) for name in named_in(names, columns))
    if len(set(found)) < len(found):
        raise DataError(f"data.{setting} names each column once.", received=names, where=where, fix="Correct it.")
    return found


def named_in(text: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The names in a setting: one, if a column has it; a JSON list; or names with commas between them."""
    if text in columns or named(columns, [text.lower()]):
        return (text,)
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list) and found:
            return tuple(map(str, found))
    return tuple(name.strip() for name in text.split(","))


def list_names(names: Sequence[str]) -> str:
    """Names as `ColumnChoice.label` takes them, whatever characters they have."""
    return names[0] if len(names) == 1 else json.dumps(list(names), ensure_ascii=False)


def number_columns(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], beside: Sequence[str]) -> tuple[str, ...]:
    """The columns of numbers to predict, in a table that names none of them: all that are not `beside` them.

    None of them if one holds something else in these rows, or if they could be classes, labels or sizes.

    >>> number_columns(["file", "age"], [{"file": "a.png", "age": "3.5"}, {"file": "b.png", "age": ""}], ["file"])
    ('age',)
    >>> number_columns(["file", "width"], [{"file": "a.png", "width": "3.5"}], ["file"])
    ()
    """
    rest = [name for name in columns if name not in beside and name.lower() not in UNPREDICTED]
    if not rest or not rows:
        return ()
    try:
        found = decide({name: [row[name] for row in rows] for name in rest}, "")
    except DataError:
        return ()
    return tuple(rest) if found.task == "regression" else ()


def only(found: list[str], what: str, names: tuple[str, ...], columns: Sequence[str], where: str) -> str:
    """The one column of its kind."""
    if not found:
        raise missing("list of files", what, names, columns, where)
    if len(found) > 1:
        ways = f"each of {', '.join(map(repr, found))} can be the column of the {what}"
        rule = f"{where} can be read in {len(found)} ways: {ways}."
        raise DataError(rule, fix="Rename or remove the others.")
    return found[0]


def first_named(columns: Sequence[str], what: str, names: Sequence[str], chosen: str | None, where: str) -> str:
    """The column that was chosen, or the first of the names that is there."""
    if chosen is not None:
        return column_named(columns, chosen, f"{what}_column", where)
    found = [column for name in names for column in named(columns, [name])]
    if not found:
        raise missing("table of texts", what, names, columns, where)
    return found[0]


def missing(table: str, what: str, names: Sequence[str], columns: Sequence[str], where: str) -> DataError:
    rule = f"A {table} needs a column for the {what}: {', '.join(names)}."
    fix = f"Rename the column, or name it: --data.{what}_column NAME."
    return DataError(rule, received=some(columns, 8), where=where, fix=fix)


def split_of(value: object, where: str) -> str:
    """The split that a cell names."""
    split = split_written(value)
    if split is None:
        rule = f"A split is one of {', '.join(SPLIT_NAMES)}."
        raise DataError(rule, received=repr(str(value)[:60]), where=where, fix="Give each row one.")
    return split


def one_label(text: str, value: Any, column: str, spellings: Spellings, where: str, noun: str, fix: str) -> str:
    """The label of a cell with this value, written as `text`. Raises DataError for none, and for a list or object."""
    label = spellings.add(text, value, where)
    if value is None or not label or isinstance(value, list | dict):
        received = f"{str(value)[:60]!r} in column {column!r}"
        raise DataError(f"Each {noun} needs one label.", received=received, where=where, fix=fix)
    return label


def split_tags(values: Sequence[Any], where: str) -> list[tuple[str, ...]]:
    """The tags in each value: a JSON list, or text with | or ; between them; sorted, each once.

    Raises DataError if both signs occur, since one of them then belongs to the tags.

    >>> split_tags(["sky|sea", "", "sea"], "labels.csv")
    [('sea', 'sky'), (), ('sea',)]
    """
    signs = [sign for sign in TAG_SEPARATORS if any(isinstance(value, str) and sign in value for value in values)]
    if len(signs) > 1:
        rule = f"{where} can be read in two ways: its labels are separated by '|' or by ';'."
        raise DataError(rule, fix="Use one of them throughout.")
    sign = signs[0] if signs else TAG_SEPARATORS[0]
    return [tags_of(value, sign, where) for value in values]


def tags_of(value: Any, sign: str, where: str) -> tuple[str, ...]:
    listed = value.split(sign) if isinstance(value, str) else [] if value is None else value
    listed = listed if isinstance(listed, list) else [listed]
    if not all(isinstance(tag, str | int) and not isinstance(tag, bool) for tag in listed):
        rule = "Labels are text, or a list of text."
        raise DataError(rule, received=repr(str(value)[:80]), where=where, fix="Write names.")
    return tuple(sorted({str(tag).strip() for tag in listed} - {""}))


def multi_hot(labels: Sequence[tuple[str, ...]], classes: tuple[str, ...], where: str) -> NDArray[np.bool_]:
    """Whether each sample has each label; (N, K). Raises DataError if that does not fit in memory."""
    if len(labels) * len(classes) > MAX_CELLS:
        rule = f"Samples times classes may be at most {MAX_CELLS:,}."
        received = f"{len(labels):,} samples and {len(classes):,} classes"
        raise DataError(rule, received=received, where=where, fix="Keep the more frequent labels.")
    targets = np.zeros((len(labels), len(classes)), np.bool_)
    rows = np.repeat(np.arange(len(labels)), np.array([*map(len, labels)], np.int64))
    targets[rows, numbers_of(list(chain.from_iterable(labels)), classes)] = True
    return targets
