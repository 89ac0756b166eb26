"""From labels as people and programs write them to the names of the classes and the number of each sample's class."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.errors import DataError, did_you_mean, some

__all__ = [
    "MAX_CLASSES", "Labels", "Spellings", "blank_label", "cell_label", "check_labels", "check_range",
    "is_hidden", "name_classes", "number_labels", "number_texts", "numbers_of", "order_names", "order_texts",
    "plain_array", "plain_label", "plain_labels",
]  # fmt: skip

MAX_DIGITS, MAX_CLASSES = 18, 65_536
NEEDS_CLASS = "Each sample needs a class: a whole number or a name."
NEEDS_LABELS = "Labels must be whole numbers or names, one for each sample."

Labels = NDArray[np.int64] | list[str]
"""A class's number for each sample, or its name."""


def order_names(names: Collection[str], where: str) -> tuple[str, ...]:
    """Class names sorted as by `order_texts`.

    Raises DataError for more classes than can be learned.

    >>> order_names({"10", "9", "1"}, "labels.csv")
    ('1', '9', '10')
    >>> order_names({"cat", "10", "9"}, "labels.csv")
    ('10', '9', 'cat')
    """
    if len(names) > MAX_CLASSES:
        rule = f"At most {MAX_CLASSES:,} classes are read."
        received = f"{len(names):,} different labels, first {some(map(repr, sorted(names)))}"
        raise DataError(rule, received=received, where=where, fix="Name the column that holds classes 'label'.")
    return order_texts(names)


def order_texts(names: Collection[str]) -> tuple[str, ...]:
    """Names sorted: as numbers if all are whole numbers, else as text.

    >>> order_texts(["dog", "cat"]), order_texts(["10", "9", "09"])
    (('cat', 'dog'), ('09', '9', '10'))
    """
    if all(name.isascii() and name.isdigit() and len(name) <= MAX_DIGITS for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


class Spellings:
    """Labels without the spaces around them, as long as no two become the same by that."""

    def __init__(self) -> None:
        self.written: dict[str, tuple[str, object]] = {}

    def add(self, label: str, value: object, where: str) -> str:
        """A label without spaces around it, for a value of a table.

        Raises DataError if another label differs from it in these alone, or in its type in JSON: 1 and "1".
        """
        name = label.strip()
        first, other = self.written.setdefault(name, (label, value))
        if type(other) is not type(value):
            rule, received = "Labels must be all of one type.", f"{json.dumps(other)} and {json.dumps(value)}"
        elif first != label:
            rule = "Labels must differ in more than the spaces around them."
            received = f"{first!r} and {label!r}"
        else:
            return name
        raise DataError(rule, received=received, where=where, fix="Write them alike.")


def cell_label(value: Any, where: str) -> int | str | None:
    """A cell of a column with the labels, as a number or a name; None for a cell without a value.

    Raises DataError for a quantity, such as 0.5, and for anything else that is not a class.

    >>> cell_label(True, ""), cell_label(2.0, ""), cell_label("007", ""), cell_label(float("nan"), "")
    (1, 2, '007', None)
    """
    if type(value) is int or (type(value) is str and value):
        return value
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, bool):
        return int(value)
    received = f"{str(value)[:60]!r} ({type(value).__name__})"
    fix = "Leave that row out; numbers to predict are read from tables, arrays and .ts files."
    raise DataError(NEEDS_CLASS, received=received, where=where, fix=fix)


def blank_label(value: Any, where: str) -> str:
    """The fault of an empty text as a label, which hides it if its whole split has only such; "" for other values."""
    fix = "Leave that row out, or give it a class."
    return "" if value != "" else str(DataError(NEEDS_CLASS, received="'' (str)", where=where, fix=fix))


def read_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def number_texts(labels: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Class names and class numbers for labels that are texts, by split; each text is a class of its own.

    If all labels are finite numbers they are sorted as such, else as texts.

    >>> number_texts({"train": ["10", "-1", "02"], "test": ["2"]})
    (('-1', '02', '2', '10'), {'train': array([3, 0, 1]), 'test': array([2])})
    """
    written = {label for part in labels.values() for label in part}
    numbers = {label: read_number(label) for label in written}
    numeric = all(number is not None and math.isfinite(number) for number in numbers.values())
    classes = tuple(sorted(written, key=lambda label: (numbers[label] if numeric else 0, label)))
    return classes, {split: numbers_of(part, classes) for split, part in labels.items()}


def numbers_of(labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The place of each label among the classes; (N,)."""
    index = {name: k for k, name in enumerate(classes)}
    return np.array([index[label] for label in labels], np.int64)


def name_classes(
    name: str, targets: Mapping[str, NDArray[np.int64]], classes: Sequence[str] | None = None
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """The classes, the class of each sample by split, and a notice on unused labels, for labels that are numbers.

    Without names given, the classes are the labels that occur in any split, up to the highest of the training split;
    each keeps its number as its name. Raises DataError for a label out of range, and for names that are not unique.

    >>> name_classes("letters", {"train": np.array([1, 3]), "test": np.array([3])})
    (('1', '3'), {'train': array([0, 1]), 'test': array([1])}, ('labels without samples are not classes: 0, 2',))
    """
    if classes:
        check_names(classes, name)
        check_range(name, targets, classes)
        return tuple(classes), dict(targets), ()
    highest = int(targets.get("train", next(iter(targets.values()))).max(initial=-1))
    if highest >= MAX_CLASSES:
        raise DataError(f"Labels number the classes from 0; at most {MAX_CLASSES:,} are read.", received=str(highest))
    names = tuple(str(k) for k in range(highest + 1))
    check_range(name, targets, names)
    used = np.bincount(np.concatenate([*targets.values()]), minlength=len(names)) > 0
    if used.all():
        return names, dict(targets), ()
    place = np.cumsum(used) - 1
    unused = f"labels without samples are not classes: {some(names[k] for k in np.flatnonzero(~used).tolist())}"
    kept = tuple(names[k] for k in np.flatnonzero(used).tolist())
    return kept, {split: place[labels] for split, labels in targets.items()}, (unused,)


def check_names(classes: Sequence[str], where: str) -> None:
    """Raises DataError for class names that are not texts, or not unique."""
    if len(set(classes)) < len(classes) or not all(isinstance(name, str) for name in classes):
        raise DataError("Each class needs a name of its own.", received=some(map(repr, classes), 20), where=where)


def check_range(name: str, targets: Mapping[str, NDArray[np.int64]], classes: Sequence[str]) -> None:
    """Raises DataError for a label out of range."""
    for split, labels in targets.items():
        bad = np.flatnonzero((labels < 0) | (labels >= len(classes)))
        if bad.size:
            rule = f"Labels must be in 0..{len(classes) - 1}, one for each class."
            received = f"{labels[bad[0]]} at sample {bad[0]}; {bad.size:,} out of range in all"
            raise DataError(rule, received=received, where=f"{name}, {split}")


def check_labels(where: str, count: int, labels: NDArray[Any], noun: str) -> None:
    """Raises DataError if labels can't be those of `count` samples."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        rule = f"Labels must be whole numbers, one for each {noun}."
        raise DataError(rule, received=f"{labels.dtype} {labels.shape}", where=where)
    if len(labels) != count:
        received = f"{count:,} {noun}s, {len(labels):,} labels"
        raise DataError(f"Each {noun} needs one label.", received=received, where=where)


def number_labels(
    labels: Mapping[str, Labels], classes: tuple[str, ...] | None, name: str
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """As `name_classes`, for labels that are numbers or names; without classes given, they are what the labels say.

    Raises DataError if labels are names in one split and numbers in another, or name none of the classes.
    """
    check_names(classes or (), name)
    named = {split: own for split, own in labels.items() if isinstance(own, list)}
    numbers = {split: own for split, own in labels.items() if not isinstance(own, list)}
    if named and numbers:
        received = f"names in {some(named)}, numbers in {some(numbers)}"
        raise DataError("Labels must be of one kind in all splits.", received=received, where=name)
    if numbers:
        return name_classes(name, numbers, classes)
    found = {label for own in named.values() for label in own}
    classes = order_names(found, name) if classes is None else classes
    unknown = sorted(found - set(classes))
    if unknown:
        raise DataError(f"{name} has no class {unknown[0]!r}.", fix=did_you_mean(unknown[0], classes))
    return classes, {split: numbers_of(own, classes) for split, own in named.items()}, ()


def plain_array(values: object, where: str) -> NDArray[Any] | None:
    """An array or tensor as an array in main memory; None for anything else. Raises DataError for a sparse tensor."""
    if isinstance(values, torch.Tensor):
        try:
            dense = values.detach().cpu()
            found: NDArray[Any] = (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()
        except (RuntimeError, TypeError) as error:
            raise DataError("A tensor must be dense and hold values.", received=str(error), where=where) from error
        return found
    return values if isinstance(values, np.ndarray) else None


def plain_label(label: Any) -> Any:
    """A label as int or str, if it is one."""
    if isinstance(label, torch.Tensor | np.ndarray) and label.ndim == 0:
        label = label.item()
    if isinstance(label, str):
        return str(label)
    return int(label) if isinstance(label, int | np.integer | np.bool_) else label


def plain_labels(labels: Any, where: str) -> Labels:
    """Numbers as one array, names as a list; a column (N, 1) as a vector. Raises DataError for anything else."""
    array = plain_array(labels, where)
    if array is None and isinstance(labels, list | tuple):
        return listed_labels(labels, where)
    if array is not None and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array is None or array.ndim != 1 or array.dtype.kind not in "iubUO":
        received = type(labels).__name__ if array is None else f"{array.dtype} {array.shape}"
        fix = "Convert floats with y.astype(int), rows of 0 and 1 with y.argmax(1)."
        raise DataError(NEEDS_LABELS, received=received, where=where, fix=fix)
    listed = array.dtype.kind in "UO" or array.dtype == np.uint64
    return listed_labels(array.tolist(), where) if listed else array.astype(np.int64)


def listed_labels(labels: Sequence[Any], where: str) -> Labels:
    found = [plain_label(label) for label in labels]
    if {type(label) for label in found} == {str}:
        return found
    wrong = next((k for k, label in enumerate(found) if not isinstance(label, int)), None)
    if wrong is not None:
        received = f"{str(labels[wrong])[:60]!r} ({type(labels[wrong]).__name__}) at sample {wrong}"
        raise DataError(NEEDS_LABELS, received=received, where=where, fix="Make all of one kind.")
    try:
        return np.array(found, np.int64)
    except OverflowError as error:
        received = str(max(found, key=abs))
        raise DataError("Labels number the classes from 0.", received=received, where=where) from error


def is_hidden(labels: Any) -> bool:
    """Whether no sample has a label: there are none at all, None for each, or -1 for each.

    >>> is_hidden(None), is_hidden([-1, -1]), is_hidden(np.array([-1, 0])), is_hidden([])
    (True, True, False, False)
    """
    if labels is None:
        return True
    array = plain_array(labels, "the labels")
    if array is not None:
        return array.dtype.kind in "iuf" and array.size > 0 and bool(((array == -1) | np.isnan(array)).all())
    found = [plain_label(label) for label in labels] if isinstance(labels, list | tuple) and labels else [0]
    return all(label is None for label in found) or all(isinstance(label, int) and label == -1 for label in found)
