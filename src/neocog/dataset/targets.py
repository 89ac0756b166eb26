"""The targets in labels of Python objects and arrays, by the rule of `target_rule`; for cells see `column_targets`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.column_targets import Decision, decide, unify_cells
from neocog.dataset.labels import MAX_CLASSES, number_labels, plain_array, plain_label, plain_labels
from neocog.dataset.record import Task
from neocog.dataset.target_rule import LABEL_TASKS, OUTPUT, are_quantities, check_task, output_name, said
from neocog.errors import ConfigError, DataError, some

__all__ = [
    "LABEL_TASKS", "OUTPUT", "AnyTargets", "Decision", "Targets", "check_task", "check_values", "decide", "known_rows",
    "number_targets", "output_name", "plain_targets", "said_of_unknown", "unify_cells",
]  # fmt: skip


BEYOND = 2.0**63
"""The least float that is too large for int64."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of each split, and what they are."""

    task: Task
    classes: tuple[str, ...]
    by_split: dict[str, NDArray[Any]]
    notices: tuple[str, ...] = ()


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
        refuse_huge(known, name)
        found, targets, more = number_labels({s: y.astype(np.int64) for s, y in labels.items()}, classes, name)
        return Targets("classification", found, targets, (*notices, *more))
    different = np.unique(known)
    names = [f"{value:g}" for value in different.tolist()]
    if len(set(names)) < len(names):
        names = [repr(value) for value in different.tolist()]
    targets = {split: np.searchsorted(different, own).astype(np.int64) for split, own in labels.items()}
    return Targets("classification", tuple(names), targets, notices)


def refuse_huge(known: NDArray[np.float64], name: str) -> None:
    """Raises DataError for whole numbers beyond 64 bits, which can't number classes."""
    largest = known[np.abs(known).argmax()]
    if abs(largest) >= BEYOND:
        rule = f"Labels number the classes from 0; at most {MAX_CLASSES:,} are read."
        raise DataError(rule, received=f"{largest:g}", where=name, fix="To predict numbers: --task regression.")


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
