"""The targets in columns of cells, by the rule of `target_rule`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.dialect import Dialect, is_missing
from neocog.dataset.record import Task
from neocog.dataset.target_rule import LABEL_TASKS, are_quantities, check_task, output_name, said
from neocog.errors import ConfigError, DataError, some

__all__ = ["Decision", "decide", "unify_cells"]

NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number as programs write it: not 007, 1_0 or 1,5."""
PADDED = re.compile(r"[+-]?0\d+(\.\d*)?", re.ASCII)
WORDS = {"true": "1", "false": "0"}


@dataclass(frozen=True, slots=True)
class Decision:
    """The content of the columns of labels, and a sentence on it if it could have been something else."""

    task: Task
    names: tuple[str, ...]
    """The names of the labels or outputs; of classes, that of their column."""
    values: NDArray[np.float64] | None = None
    """(N, D), NaN if a value isn't known; None for classes."""
    notices: tuple[str, ...] = ()

    @property
    def targets(self) -> NDArray[Any]:
        """As `Source.targets` holds them: floats (N,) or (N, D); (N, K) bool, or float if a label isn't known."""
        assert self.values is not None, "classes are read by name"
        if self.task == "multi-label":
            return self.values if np.isnan(self.values).any() else self.values > 0
        return self.values[:, 0] if len(self.names) == 1 else self.values


@dataclass(frozen=True, slots=True)
class Column:
    """A column as numbers, (N,), NaN for none; or the first value that is not a number."""

    name: str
    values: NDArray[np.float64]
    other: str | None = None
    padded: str | None = None
    """A number with leading zeros."""

    @property
    def known(self) -> NDArray[np.float64]:
        return self.values[~np.isnan(self.values)]

    @property
    def numeric(self) -> bool:
        return self.other is None and self.padded is None and bool(len(self.known))

    @property
    def marks(self) -> bool:
        """Whether all values are 0 or 1."""
        return self.other is None and self.padded is None and bool(np.isin(self.known, (0, 1)).all())


def decide(columns: Mapping[str, Sequence[Any]], where: str, task: str | None = None) -> Decision:
    """Decide what columns of cells hold, by the rule above or the `task` that the user names.

    Cells are texts, or values of JSON; empty ones, None and NaN are not known. Raises ConfigError for a task that these
    columns can't be for, DataError for several columns that are not of one kind.

    >>> decide({"fat [%]": ["1.5", "", "20"]}, "a.csv").notices[0]
    "'fat [%]' holds numbers to predict (regression), as 1.5 is not whole; if they are classes: --task classification"
    >>> decide({"grade": ["1", "2", "3"]}, "a.csv").task, decide({"id": ["007", "1.5"]}, "a.csv").task
    ('classification', 'classification')
    >>> decide({"sky": ["1", "0"], "sea": ["", "1"]}, "a.csv").targets.tolist()
    [[1.0, nan], [0.0, 1.0]]
    """
    check_task(task, LABEL_TASKS, where)
    read = [as_column(name, cells) for name, cells in columns.items()]
    found = decide_one(read[0], where, task) if len(read) == 1 else decide_several(read, where, task)
    if found.task == "classification":
        return found
    if found.task == "multi-label":
        return Decision("multi-label", tuple(columns), np.stack([c.values for c in read], axis=1), found.notices)
    names = tuple(output_name(name) for name in columns)
    return Decision("regression", names, np.stack([c.values for c in read], axis=1), found.notices)


def decide_one(column: Column, where: str, task: str | None) -> Decision:
    names = (column.name,)
    if task == "regression":
        refuse_others([column], "regression", where)
        return Decision("regression", names)
    if task == "multi-label":
        refuse_marks([column], where)
        return Decision("multi-label", names)
    if task == "classification" or not len(column.known) or column.other is not None:
        return Decision("classification", names)
    if column.padded is not None:
        why = f"as {column.padded} has leading zeros"
        return Decision("classification", names, notices=(said(column.name, "classification", why),))
    quantities, why = are_quantities(column.known, len(column.values), column.name)
    found: Task = "regression" if quantities else "classification"
    return Decision(found, names, notices=() if column.marks else (said(column.name, found, why),))


def decide_several(read: Sequence[Column], where: str, task: str | None) -> Decision:
    names = tuple(column.name for column in read)
    if task == "classification":
        received = f"{len(read)} columns of labels: {some(names, 8)}"
        fix = "Name the one that holds the class: --data.label_column NAME."
        raise ConfigError("Classification needs one column of labels.", received=received, where=where, fix=fix)
    if task == "multi-label" or (task is None and all(column.marks for column in read)):
        refuse_marks(read, where)
        return Decision("multi-label", names)
    if task == "regression":
        refuse_others(read, "regression", where)
        return Decision("regression", names)
    refuse_mixture(read, where)
    shown = f"{len(names)} columns hold numbers to predict (regression): {some(names)}"
    return Decision("regression", names, notices=(f"{shown}; to choose: --data.label_column NAME,NAME",))


def as_column(name: str, cells: Sequence[Any]) -> Column:
    """Cells as numbers; each different one is looked at once."""
    values: dict[Any, float] = {}
    other = padded = None
    found = np.empty(len(cells))
    for k, cell in enumerate(cells):
        try:
            value = values.get(cell)
        except TypeError:  # a list or an object of JSON
            value, other = np.nan, other or str(cell)
        if value is None:
            text = written(cell)
            value = values[cell] = np.nan if text is None else number_of(text)
            if text is not None and np.isnan(value):
                if PADDED.fullmatch(text):
                    padded = padded or text
                other = other or (None if PADDED.fullmatch(text) else text)
        found[k] = value
    return Column(name, found, other, padded)


def written(cell: Any) -> str | None:
    """A cell as text; None if it has no value."""
    if cell is None or (isinstance(cell, float | Decimal) and cell != cell):
        return None
    text = str(cell).strip()
    return None if isinstance(cell, str) and is_missing(text) else WORDS.get(text.lower(), text)


def number_of(text: str) -> float:
    """A number, or NaN for other texts, and for numbers beyond float64."""
    value = float(text) if NUMBER.fullmatch(text) else np.nan
    return value if np.isfinite(value) else np.nan


def unify_cells(cells: Sequence[Any], dialect: Dialect) -> Sequence[Any]:
    """Cells with decimal points, of a table that may have decimal commas.

    >>> unify_cells(["1,5", "a,b"], Dialect(delimiter=";", decimal=","))
    ['1.5', 'a,b']
    """
    if dialect.decimal == ".":
        return cells
    numeric = [isinstance(cell, str) and dialect.number(cell) is not None for cell in cells]
    return [cell.replace(",", ".") if number else cell for cell, number in zip(cells, numeric, strict=True)]


def refuse_others(read: Sequence[Column], task: str, where: str) -> None:
    """Raises ConfigError if a column holds something other than numbers."""
    for column in read:
        wrong = column.other or column.padded
        if wrong is not None or not len(column.known):
            received = f"{wrong[:60]!r} in column {column.name!r}" if wrong else f"no value in column {column.name!r}"
            fix = "Correct the value, leave its cell empty, or leave out --task."
            raise ConfigError(f"For {task}, labels are numbers.", received=received, where=where, fix=fix)


def refuse_marks(read: Sequence[Column], where: str) -> None:
    """Raises DataError if a column holds something other than 0 and 1."""
    for column in read:
        if not column.marks:
            odd = column.known[~np.isin(column.known, (0, 1))]
            wrong = column.other or column.padded or f"{odd[0]:g}"
            rule = "If each label has a column, it holds 0 or 1, or nothing if it is not known."
            received = f"{wrong[:60]!r} in column {column.name!r}"
            fix = "Leave out columns that are not labels: --data.label_column NAME,NAME."
            raise DataError(rule, received=received, where=where, fix=fix)


def refuse_mixture(read: Sequence[Column], where: str) -> None:
    """Raises DataError unless all columns hold numbers other than 0 and 1."""
    texts = [column.name for column in read if not column.numeric]
    marks = [column.name for column in read if column.numeric and column.marks]
    numbers = [column.name for column in read if column.numeric and not column.marks]
    if texts or marks:
        kinds = (("0 and 1", marks), ("numbers", numbers), ("names or nothing", texts))
        received = "; ".join(f"{kind} in {some(map(repr, names), 5)}" for kind, names in kinds if names)
        fix = "Name columns of one kind: --data.label_column NAME,NAME."
        fix += " To read 0 and 1 as numbers: --task regression." if not texts else ""
        raise DataError("Several columns of labels are of one kind.", received=received, where=where, fix=fix)
