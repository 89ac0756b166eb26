"""The names of classes, from labels as people write them."""

import json
import math
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from neocog.data.sources.arrays import MAX_CLASSES
from neocog.errors import DataError, some

__all__ = ["Spellings", "blank_label", "cell_label", "in_order", "ordered_names"]

MAX_DIGITS = 18


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
