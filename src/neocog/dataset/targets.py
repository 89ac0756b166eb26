"""Whether the labels of a data set are classes, several labels, or numbers to predict: the rule, in one place.

One column holds numbers to predict if each of its values is a number and one of them isn't whole; or if it has more
than 20 different whole numbers, more than a tenth as many as samples, that don't just number classes from 0 or 1.
Anything else is a class: names, 0 and 1, 1 to 5, and numbers with leading zeros, such as 007. Arrays of integers hold
classes. Several columns of 0 and 1 are several labels; several columns of other numbers are several outputs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.dialect import Dialect, is_missing
from neocog.dataset.labels import number_labels, plain_array, plain_label, plain_labels
from neocog.dataset.record import Task
from neocog.errors import ConfigError, DataError, agree, some

__all__ = [
    "LABEL_TASKS", "OUTPUT", "AnyTargets", "Decision", "Targets", "check_task", "check_values", "decide", "known_rows",
    "number_targets", "output_name", "plain_targets", "said_of_unknown", "unify_cells",
]  # fmt: skip

LABEL_TASKS: tuple[Task, ...] = ("classification", "multi-label", "regression")
"""The tasks that labels in columns or arrays can be for."""
FEW = 20
"""Different whole numbers up to which they are classes."""
SHARE = 0.1
"""Different whole numbers by number of samples, up to which they are classes."""
DENSE = 2
"""Numbers from 0 or 1 number classes if the highest is below this many times the different ones."""
CLASS_COLUMNS = ("class", "category", "class_name")
"""Columns whose whole numbers are classes, however many there are."""
NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number as programs write it: not 007, 1_0 or 1,5."""
PADDED = re.compile(r"[+-]?0\d+(\.\d*)?", re.ASCII)
UNIT = re.compile(r"(.*\S)\s*\(([^()]{1,12})\)")
WORDS = {"true": "1", "false": "0"}
OUTPUT = "target"
"""The name of an output that has none in the data."""


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
class Targets:
    """The targets of each split, and what they are."""

    task: Task
    classes: tuple[str, ...]
    by_split: dict[str, NDArray[Any]]
    notices: tuple[str, ...] = ()


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


def are_quantities(known: NDArray[np.float64], num_samples: int, name: str = "") -> tuple[bool, str]:
    """Whether numbers are to be predicted, and why; (n,), of `num_samples`.

    >>> are_quantities(np.array([0.0, 1, 2]), 3), are_quantities(np.array([0.5, 1]), 2)
    ((False, 'as there are 3 different whole numbers, at most 20'), (True, 'as 0.5 is not whole'))
    >>> are_quantities(np.arange(100.0) ** 2, 100)
    (True, 'as there are 100 different whole numbers, more than a tenth as many as samples')
    >>> are_quantities(np.arange(100.0), 100)
    (False, 'as its whole numbers count from 0 to 99')
    """
    broken = known[known != np.floor(known)]
    if len(broken):
        return True, f"as {broken[0]:g} is not whole"
    different = np.unique(known)
    count, low, high = len(different), int(different[0]), int(different[-1])
    if name.lower() in CLASS_COLUMNS:
        return False, f"as its column is called {name!r}"
    if count <= FEW:
        return False, agree("as there (is|are) {n} different whole number(|s)", count) + f", at most {FEW}"
    if low in (0, 1) and high < DENSE * count:
        return False, f"as its whole numbers count from {low} to {high}"
    if count <= SHARE * num_samples:
        return False, f"as there are {count} different whole numbers, at most a tenth as many as samples"
    return True, f"as there are {count} different whole numbers, more than a tenth as many as samples"


def said(name: str, task: Task, why: str) -> str:
    """The line that says what a column holds, why, and how to overrule it."""
    if task == "regression":
        return f"{name!r} holds numbers to predict (regression), {why}; if they are classes: --task classification"
    return f"{name!r} holds classes, {why}; to predict numbers: --task regression"


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


def output_name(name: str) -> str:
    """The name of an output, with its unit in brackets.

    >>> output_name("fat (%)"), output_name("fat [%]"), output_name("age"), output_name("f(x) (m/s)")
    ('fat [%]', 'fat [%]', 'age', 'f(x) [m/s]')
    """
    match = UNIT.fullmatch(name.strip())
    return f"{match[1]} [{match[2]}]" if match and " (" in name else name.strip()


def check_task(task: str | None, known: Sequence[str], where: str) -> None:
    """Raises ConfigError for a task that the data can't be for; `known` are those that it can."""
    if task is not None and task not in known:
        rule = f"These data can be read for {' or '.join(known)}."
        raise ConfigError(rule, received=f"data.task={task}", where=where, fix="Choose one of these, or leave it out.")


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


def known_rows(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether anything is known of each sample; (N,) or (N, D) -> (N,).

    >>> known_rows(np.array([[1.0, np.nan], [np.nan, np.nan]])).tolist()
    [True, False]
    """
    if targets.dtype.kind != "f":
        return np.ones(len(targets), bool)
    known: NDArray[np.bool_] = ~np.isnan(targets.reshape(len(targets), -1)).all(axis=1)
    return known


def said_of_unknown(targets: NDArray[Any], names: Sequence[str]) -> tuple[str, ...]:
    """A notice on values that are not known in samples of which others are; (N, D).

    >>> said_of_unknown(np.array([[1.0, np.nan], [2.0, 3.0]]), ["fat", "water"])
    ('not known, and left out of loss and metrics: water in 1 of 2 samples',)
    """
    if targets.dtype.kind != "f" or targets.ndim == 1:
        return ()
    counts = np.isnan(targets).sum(axis=0).tolist()
    missing = [f"{name} in {n:,} of {len(targets):,} samples" for name, n in zip(names, counts, strict=True) if n]
    return (f"not known, and left out of loss and metrics: {some(missing)}",) if missing else ()


def check_values(where: str, count: int, values: NDArray[Any], num_outputs: int, noun: str) -> None:
    """Raises DataError if numbers or labels, (N,) or (N, D), can't be those of `count` samples."""
    width = 1 if values.ndim == 1 else values.shape[-1]
    if values.ndim not in (1, 2) or values.dtype.kind not in "fb" or width != num_outputs:
        rule = f"Targets are (N,) or (N, {num_outputs}) of numbers, one for each output."
        raise DataError(rule, received=f"{values.dtype} {values.shape}", where=where)
    if len(values) != count:
        received = f"{count:,} {noun}s, {len(values):,} targets"
        raise DataError(f"Each {noun} needs its targets.", received=received, where=where)
    if np.isinf(values.astype(np.float64)).any():
        raise DataError("Numbers to predict are finite.", received="an infinite one", where=where, fix="Correct it.")


AnyTargets = NDArray[Any] | list[str] | list[tuple[str, ...]]
"""Classes by number or name; numbers (N,) or (N, D) of float64; (N, K) bool; or the tags of each sample."""


def plain_targets(labels: Any, where: str) -> AnyTargets:
    """Labels of a Python object: as `plain_labels` gives classes; floats as float64; rows of 0 and 1 as bool.

    Raises DataError for anything else.

    >>> plain_targets([0.5, None], "y"), plain_targets([[1, 0], [0, 0]], "y").dtype, plain_targets(["a"], "y")
    (array([0.5, nan]), dtype('bool'), ['a'])
    >>> plain_targets([["sky", "sea"], []], "y")
    [('sea', 'sky'), ()]
    """
    array = plain_array(labels, where)
    if array is None and isinstance(labels, list | tuple):
        array = listed_targets(labels)
        if isinstance(array, list):
            return array
    if array is not None and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array is None or (array.ndim == 1 and array.dtype.kind != "f") or array.dtype.kind not in "fiub":
        return plain_labels(labels, where)
    if array.ndim > 2 or not array.size:
        rule = "Labels are one for each sample, (N,), or rows of them, (N, D)."
        raise DataError(rule, received=f"{array.dtype} {array.shape}", where=where)
    values = array.astype(np.float64)
    if np.isinf(values).any():
        raise DataError("Numbers to predict are finite.", received="an infinite one", where=where, fix="Correct it.")
    if array.ndim == 2 and np.isin(values, (0, 1)).all():
        return values > 0
    return values


def listed_targets(labels: Sequence[Any]) -> Any:
    """A list that holds floats, rows of numbers, or tags: as an array, or as tuples of text; None for others."""
    found = [plain_label(label) for label in labels]
    if any(isinstance(label, float) for label in found):
        numeric = all(label is None or isinstance(label, int | float) for label in found)
        return np.array([np.nan if label is None else label for label in found], np.float64) if numeric else None
    rows = [tuple(label) for label in found if isinstance(label, list | tuple | set | frozenset)]
    if len(rows) < len(found) or not rows:
        arrays = [plain_array(label, "") for label in found] if found else []
        whole = bool(arrays) and all(array is not None and array.ndim == 1 for array in arrays)
        even = whole and len({array.shape for array in arrays if array is not None}) == 1
        return np.stack([array for array in arrays if array is not None]) if even else None
    if all(isinstance(tag, str) for row in rows for tag in row):
        return [tuple(sorted(set(row))) for row in rows]
    if len({len(row) for row in rows}) == 1:
        numeric = all(value is None or isinstance(value, int | float | np.number) for row in rows for value in row)
        return np.array([[np.nan if v is None else v for v in row] for row in rows], np.float64) if numeric else None
    return None


def number_targets(
    labels: Mapping[str, AnyTargets], classes: tuple[str, ...] | None, name: str, task: str | None = None
) -> Targets:
    """Decide what the labels of all splits are, and number them as `number_labels` does classes.

    `classes` names classes, labels or outputs. Raises DataError for splits that are not of one kind, ConfigError for a
    task that these labels can't be for.

    >>> found = number_targets({"train": np.array([0.5, 1.0])}, None, "data")
    >>> found.task, found.classes, found.by_split["train"].tolist()
    ('regression', ('target',), [0.5, 1.0])
    >>> number_targets({"all": [("sky",), ()]}, None, "data").by_split["all"].tolist()
    [[True], [False]]
    """
    check_task(task, LABEL_TASKS, name)
    tagged = [split for split, own in labels.items() if is_tagged(own)]
    if tagged:
        return number_tags(labels, tagged, classes, name, task)
    arrays = {split: own for split, own in labels.items() if not isinstance(own, list)}
    rows = {split: own for split, own in arrays.items() if own.ndim == 2}
    if rows:
        return number_rows(labels, rows, classes, name, task)
    floats = any(own.dtype.kind == "f" for own in arrays.values())
    if len(arrays) < len(labels) or (not floats and task in (None, "classification")):
        if task not in (None, "classification"):
            received = f"data.task={task}, for names" if len(arrays) < len(labels) else f"data.task={task}"
            fix = "Leave it out."
            raise ConfigError("Labels that are names are classes.", received=received, where=name, fix=fix)
        plain: Any = labels  # without tags and rows, which were told apart before
        known, targets, notices = number_labels(plain, classes, name)
        return Targets("classification", known, targets, notices)
    return number_floats({split: own.astype(np.float64) for split, own in arrays.items()}, classes, name, task)


def number_floats(
    labels: Mapping[str, NDArray[np.float64]], classes: tuple[str, ...] | None, name: str, task: str | None
) -> Targets:
    """One number for each sample."""
    values = np.concatenate([*labels.values()])
    known = values[~np.isnan(values)]
    if not len(known):
        raise DataError("Each sample needs a label.", received="NaN for all", where=name, fix="Pass labels.")
    quantities, why = are_quantities(known, len(values))
    silent = task is not None or bool(np.isin(known, (0, 1)).all())
    notices = () if silent else (said("y", "regression" if quantities else "classification", why),)
    if task == "multi-label":
        rows = {split: own[:, None] for split, own in labels.items()}
        return number_rows(labels, rows, classes, name, task)
    if task == "regression" or (task is None and quantities):
        return Targets("regression", name_outputs(1, classes, name), dict(labels), notices)
    if np.isnan(values).any():
        rule, fix = (
            "Each sample needs a class.",
            "Leave out samples without one; or, to predict numbers: --task regression.",
        )
        raise DataError(rule, received="NaN", where=name, fix=fix)
    if (known == np.floor(known)).all():
        found, targets, more = number_labels({s: y.astype(np.int64) for s, y in labels.items()}, classes, name)
        return Targets("classification", found, targets, (*notices, *more))
    named = {split: [f"{value:g}" for value in own.tolist()] for split, own in labels.items()}
    order = {f"{value:g}": k for k, value in enumerate(np.unique(known).tolist())}
    targets = {split: np.array([order[label] for label in own], np.int64) for split, own in named.items()}
    return Targets("classification", tuple(order), targets, notices)


def number_rows(
    labels: Mapping[str, Any],
    rows: Mapping[str, NDArray[Any]],
    classes: tuple[str, ...] | None,
    name: str,
    task: str | None,
) -> Targets:
    """A row of labels or numbers for each sample; (N, D)."""
    widths = {own.shape[1] for own in rows.values()}
    if len(rows) < len(labels) or len(widths) > 1:
        shown = ", ".join(f"{split}: {np.shape(own)}" for split, own in labels.items())
        raise DataError("Labels must be of one kind in all splits.", received=shown, where=name)
    (width,) = widths
    values = {split: own.astype(np.float64) for split, own in rows.items()}
    marks = all(np.isin(own[~np.isnan(own)], (0, 1)).all() for own in values.values())
    if task == "classification":
        fix = "Pass y.argmax(1) if each row has a single 1." if marks else "Pass one column."
        received = f"rows of {width} labels"
        raise ConfigError("Classification needs one label for each sample.", received=received, where=name, fix=fix)
    if task == "multi-label" and not marks:
        raise ConfigError("Several labels are rows of 0 and 1.", received="other numbers", where=name)
    outputs = name_outputs(width, classes, name, several=True, noun="label" if marks else OUTPUT)
    if task == "regression" or not marks:
        return Targets("regression", outputs, values)
    unknown = any(np.isnan(own).any() for own in values.values())
    found = values if unknown else {split: own > 0 for split, own in values.items()}
    single = width > 1 and not unknown and all((own.sum(axis=1) == 1).all() for own in found.values())
    hint = "each sample has exactly one label; y.argmax(1) would make this single-label classification"
    return Targets("multi-label", outputs, found, (hint,) if single else ())


def is_tagged(own: Any) -> bool:
    return isinstance(own, list) and any(isinstance(row, tuple) for row in own)


def number_tags(
    labels: Mapping[str, Any], tagged: Sequence[str], classes: tuple[str, ...] | None, name: str, task: str | None
) -> Targets:
    """The tags of each sample."""
    if task not in (None, "multi-label"):
        received = f"data.task={task}"
        raise ConfigError("A list of names for each sample is several labels.", received=received, where=name)
    if len(tagged) < len(labels):
        raise DataError("Labels must be of one kind in all splits.", received=f"lists in {some(tagged)}", where=name)
    found = sorted({tag for own in labels.values() for row in own for tag in row})
    outputs = classes or tuple(found)
    if unknown := [tag for tag in found if tag not in outputs]:
        raise DataError(f"{name} has no label {unknown[0]!r}.", fix=f"Its labels are {some(outputs, 10)}.")
    place = {tag: k for k, tag in enumerate(outputs)}
    targets = {split: np.zeros((len(own), len(outputs)), bool) for split, own in labels.items()}
    for split, own in labels.items():
        for row, tags in enumerate(own):
            targets[split][row, [place[tag] for tag in tags]] = True
    return Targets("multi-label", outputs, dict(targets))


def name_outputs(
    count: int, classes: tuple[str, ...] | None, name: str, *, several: bool = False, noun: str = OUTPUT
) -> tuple[str, ...]:
    """The names of outputs: those given, or target; of several, target 0, target 1 and so on."""
    if classes:
        if len(classes) != count or len(set(classes)) < count:
            received = f"{some(classes, 8)}, for {count}"
            raise DataError("Each output needs a name of its own.", received=received, where=name)
        return tuple(output_name(each) for each in classes)
    return tuple(f"{noun} {k}" for k in range(count)) if several else (noun,)
