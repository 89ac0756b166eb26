"""The names of classes, from labels as people write them."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError, some

__all__ = [
    "Spellings",
    "blank_label",
    "cell_label",
    "check_range",
    "in_order",
    "number_classes",
    "number_labels",
    "ordered_names",
]

MAX_DIGITS = 18
MAX_CLASSES = 65_536


def ordered_names(names: Collection[str], where: str) -> tuple[str, ...]:
    """Class names sorted: as numbers where all are whole numbers, else as text.

    Raises DataError for numbers that are no classes, such as 0.35, and for more classes than can be learned.

    >>> ordered_names({"10", "9", "1"}, "labels.csv")
    ('1', '9', '10')
    >>> ordered_names({"cat", "10", "9"}, "labels.csv")
    ('10', '9', 'cat')
    """
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"At most {MAX_CLASSES:,} classes are read. Received: {len(names):,} different labels, first "
            f"{some(map(repr, sorted(names)))}, in {where}. Name the column that holds classes 'label'."
        )
    measured = [name for name in sorted(names) if not is_whole(name)]
    if measured and all(map(is_number, names)):
        raise DataError(
            f"A label is a class: a name or a whole number. Received: {some(measured)}, in {where}. Quantities are not "
            "learned; put them into classes, such as low and high."
        )
    return in_order(names)


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """Names sorted: as numbers where all are whole numbers, else as text.

    >>> in_order(["dog", "cat"]), in_order(["10", "9", "09"])
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

        Raises DataError where another label differs from it in these alone, or in its type in JSON: 1 and "1".
        """
        name = label.strip()
        first, other = self.written.setdefault(name, (label, value))
        if type(other) is not type(value):
            raise DataError(
                f"Labels must be all of one type. Received: {json.dumps(other)} and {json.dumps(value)}. Write them "
                f"alike. Where: {where}."
            )
        if first != label:
            raise DataError(
                f"Labels must differ in more than the spaces around them. Received: {first!r} and {label!r}. Write "
                f"them alike. Where: {where}."
            )
        return name


def cell_label(value: Any, where: str) -> int | str | None:
    """A cell of a column with the labels, as a number or a name; None for a cell without a value.

    Raises DataError for a quantity, such as 0.5, and for anything else that is no class.

    >>> cell_label(True, ""), cell_label(2.0, ""), cell_label("007", ""), cell_label(float("nan"), "")
    (1, 2, '007', None)
    """
    if type(value) is int or (type(value) is str and value):
        return value
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return int(value)
    if not isinstance(value, bool):
        raise DataError(
            f"Each record needs a class: a whole number or a name. Received: {str(value)[:60]!r} "
            f"({type(value).__name__}), in {where}. Leave that row out; put quantities into classes, such as low and "
            "high."
        )
    return int(value)


def blank_label(value: Any, where: str) -> str:
    """What is wrong with an empty text as a label, where other records of its split have one; nothing with others.

    A table writes hidden labels so, of which no cell has any other value.
    """
    if value != "":
        return ""
    return (
        f"Each record needs a class: a whole number or a name. Received: '' (str), in {where}. Leave that row out, or "
        "give it a class."
    )


def is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def is_whole(name: str) -> bool:
    return is_number(name) and float(name).is_integer()


def number_labels(labels: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Class names and class numbers for labels that are texts, by split; each text is a class of its own.

    Where all labels are numbers they are sorted as such, else as texts.

    >>> number_labels({"train": ["10", "-1", "02"], "test": ["2"]})
    (('-1', '02', '2', '10'), {'train': array([3, 0, 1]), 'test': array([2])})
    """
    written = {label for part in labels.values() for label in part}
    numbers = {label: finite_number(label) for label in written}
    numeric = None not in numbers.values()
    classes = sorted(written, key=lambda label: (numbers[label] if numeric else 0, label))
    index = {name: k for k, name in enumerate(classes)}
    return tuple(classes), {
        split: np.array([index[label] for label in part], np.int64) for split, part in labels.items()
    }


def finite_number(text: str) -> float | None:
    """
    >>> finite_number("1.0"), finite_number("nan"), finite_number("walk")
    (1.0, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def number_classes(
    name: str, targets: Mapping[str, NDArray[np.int64]]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Names for labels without names, "0", "1", ...; the class of each record; and a sentence on labels that are none.

    The classes are the labels that occur in any split, up to the highest of the training split; each keeps its number
    as its name. Raises DataError for a label out of this range.

    >>> number_classes("letters", {"train": np.array([1, 3]), "test": np.array([3])})
    (('1', '3'), {'train': array([0, 1]), 'test': array([1])}, ('labels without a sample are no classes: 0, 2',))
    """
    first = targets.get("train", next(iter(targets.values())))
    highest = int(first.max(initial=-1))
    if highest >= MAX_CLASSES:
        raise DataError(f"Labels number the classes from 0; at most {MAX_CLASSES:,} are read. Received: {highest}.")
    names = tuple(str(k) for k in range(highest + 1))
    check_range(name, targets, names)
    counts = sum((np.bincount(labels, minlength=len(names)) for labels in targets.values()), np.zeros(len(names), int))
    if counts.all():
        return names, dict(targets), ()
    place = np.cumsum(counts > 0) - 1
    unused = some([names[k] for k in np.flatnonzero(counts == 0).tolist()])
    return (
        tuple(names[k] for k in np.flatnonzero(counts).tolist()),
        {split: place[labels] for split, labels in targets.items()},
        (f"labels without a sample are no classes: {unused}",),
    )


def check_range(name: str, targets: Mapping[str, NDArray[np.int64]], classes: tuple[str, ...]) -> None:
    """Raises DataError for a label out of range."""
    for split, labels in targets.items():
        bad = np.flatnonzero((labels < 0) | (labels >= len(classes)))
        if bad.size:
            raise DataError(
                f"Labels must be in 0..{len(classes) - 1}, one for each class. Received: {labels[bad[0]]} at record "
                f"{bad[0]} of {name}, {split}; {bad.size:,} out of range in all."
            )
