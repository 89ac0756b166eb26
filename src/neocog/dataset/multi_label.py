"""Several labels for one file: tags in one value, or a column of 0 and 1 for each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.tables import Row
from neocog.errors import DataError

__all__ = ["MAX_CELLS", "marked", "split_tags", "yes_and_no"]

MARKS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
SEPARATORS = "|;"
MAX_CELLS = 2**32
"""Records times classes; above it the table of yes and no would take more than 4 GB."""


def marked(row: Row, columns: Sequence[str], where: str) -> tuple[str, ...]:
    """The columns that hold 1. Raises DataError for a value that is neither 0 nor 1."""
    for column in columns:
        if str(row.values[column]).strip().lower() not in MARKS:
            raise DataError(
                f"Where each class has a column, it holds 0 or 1. Received: {str(row.values[column])[:60]!r} in column "
                f"{column!r}. Remove columns that are no classes, or name the column of the class 'label'. "
                f"Where: {where}."
            )
    return tuple(column for column in columns if MARKS[str(row.values[column]).strip().lower()])


def split_tags(values: Sequence[Any], where: str) -> list[tuple[str, ...]]:
    """The tags in each value: a JSON list, or text with | or ; between them; sorted, each once.

    Raises DataError where both signs occur, for then one of them belongs to the tags.

    >>> split_tags(["sky|sea", "", "sea"], "labels.csv")
    [('sea', 'sky'), (), ('sea',)]
    """
    signs = [sign for sign in SEPARATORS if any(isinstance(value, str) and sign in value for value in values)]
    if len(signs) > 1:
        raise DataError(
            f"{where} can be read in two ways: its labels are separated by '|' or by ';'. Use one of them throughout."
        )
    sign = signs[0] if signs else SEPARATORS[0]
    return [tags_of(value, sign, where) for value in values]


def tags_of(value: Any, sign: str, where: str) -> tuple[str, ...]:
    listed = value.split(sign) if isinstance(value, str) else [] if value is None else value
    if not isinstance(listed, list):
        listed = [listed]
    if not all(isinstance(tag, str | int) and not isinstance(tag, bool) for tag in listed):
        raise DataError(f"Labels are text, or a list of text. Received: {str(value)[:80]!r}, in {where}. Write names.")
    return tuple(sorted({str(tag).strip() for tag in listed} - {""}))


def yes_and_no(labels: Sequence[tuple[str, ...]], classes: tuple[str, ...], where: str) -> NDArray[np.bool_]:
    """Whether each record has each label; (N, K). Raises DataError where that does not fit in memory."""
    if len(labels) * len(classes) > MAX_CELLS:
        raise DataError(
            f"Records times classes may be at most {MAX_CELLS:,}. Received: {len(labels):,} records and "
            f"{len(classes):,} classes, in {where}. Keep the more frequent labels."
        )
    number = {name: k for k, name in enumerate(classes)}
    targets = np.zeros((len(labels), len(classes)), np.bool_)
    for i, names in enumerate(labels):
        targets[i, [number[name] for name in names]] = True
    return targets
