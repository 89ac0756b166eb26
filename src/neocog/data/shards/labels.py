"""Classes while shards are gone through: numbers or names, and which names there are shows only at the end."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data.sources.arrays import MAX_CLASSES
from neocog.errors import DataError, some

__all__ = ["Labels"]


class Labels:
    """Numbers each label, where `classes` are known by them, else names by their first appearance.

    >>> labels = Labels()
    >>> [labels.number(name, "train", "") for name in ("dog", "cat", "dog")]
    [0, 1, 0]
    >>> labels.finish()
    (('cat', 'dog'), array([1, 0]))
    """

    def __init__(self, classes: Sequence[str] | None = None) -> None:
        if classes is not None and len(set(classes)) < len(classes):
            raise DataError(f"Each class needs a name of its own. Received: {some(classes, 20)}.")
        self.classes = classes
        self.names = {name: k for k, name in enumerate(classes or ())}
        self.highest = -1
        self.kind: type | None = None
        self.found: dict[str, set[int]] = {}

    @property
    def seen(self) -> dict[str, NDArray[np.int64]]:
        """The numbers that occur, by split."""
        return {split: np.array(sorted(numbers), np.int64) for split, numbers in self.found.items()}

    def number(self, label: int | str, split: str, where: str) -> int:
        """The number of a label. Raises DataError where numbers and names are mixed, or it is out of range."""
        if self.classes is None and self.kind not in (None, type(label)):
            raise DataError(
                f"Labels are all numbers or all names. Received: {label!r}, in {where}, after the other kind."
            )
        self.kind = type(label)
        number = self.named(label, where) if isinstance(label, str) else self.checked(label, where)
        self.found.setdefault(split, set()).add(number)
        return number

    def named(self, label: str, where: str) -> int:
        if label not in self.names and (self.classes is not None or len(self.names) >= MAX_CLASSES):
            raise DataError(
                f"A label is one of the {len(self.names):,} classes: {some(self.names)}. Received: {label[:100]!r}, "
                f"in {where}. Add it to classes.txt, or mend the record."
            )
        return self.names.setdefault(label, len(self.names))

    def checked(self, label: int, where: str) -> int:
        limit = MAX_CLASSES if self.classes is None else len(self.classes)
        if not 0 <= label < limit:
            raise DataError(f"Labels number the classes from 0 to {limit - 1:,}. Received: {label}, in {where}.")
        self.highest = max(self.highest, label)
        return label

    def finish(self) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
        """The classes, sorted where nobody has numbered them, and each class's number by the one given before."""
        if self.classes is not None:
            return tuple(self.classes), None
        if self.kind is not str:
            return tuple(str(k) for k in range(self.highest + 1)), None
        place = {name: k for k, name in enumerate(sorted(self.names))}
        return tuple(place), np.array([place[name] for name in self.names], np.int64)
