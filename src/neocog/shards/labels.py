"""Classes while shards are gone through: numbers or names, and which names there are shows only at the end."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import MAX_CLASSES
from neocog.dataset.record import LeftOut, unlabelled_samples, unlabelled_split
from neocog.errors import DataError, some
from neocog.shards.names import Split

__all__ = ["Labels", "Unlabelled"]

Meaning = Literal["places", "lines"]


class Labels:
    """Numbers each label. Without `classes` that is by its first appearance, until all are known.

    `meaning` says what `classes` are: the names of numbers ("places"), or lines of classes.txt ("lines"), which a label
    may number or name.

    >>> labels = Labels()
    >>> [labels.number(name, "train", "") for name in ("dog", "cat", "dog")]
    [0, 1, 0]
    >>> labels.finish()
    (('cat', 'dog'), array([1, 0]))
    """

    def __init__(self, classes: Sequence[str] | None = None, meaning: Meaning = "places") -> None:
        if classes is not None and len(set(classes)) < len(classes):
            raise DataError(f"Each class needs a name of its own. Received: {some(classes, 20)}.")
        self.classes, self.meaning = classes, meaning
        self.place = {name: k for k, name in enumerate(classes or ())}
        self.written: dict[int | str, int] = {}
        """Each label as it was met, by the number that it has until the end."""
        self.first: dict[type, str] = {}
        self.found: dict[str, set[int]] = {}
        self.notices: tuple[str, ...] = ()

    @property
    def seen(self) -> dict[str, NDArray[np.int64]]:
        """The numbers that occur, by split."""
        return {split: np.array(sorted(numbers), np.int64) for split, numbers in self.found.items()}

    def number(self, label: int | str, split: str, where: str) -> int:
        """The number of a label. Raises DataError where numbers and names are mixed, or it is out of range."""
        if label not in self.written:
            self.check(label, where)
        number = self.written.setdefault(label, len(self.written))
        if self.classes is not None and self.meaning == "places":
            number = label if isinstance(label, int) else self.place[label]
        self.found.setdefault(split, set()).add(number)
        return number

    def check(self, label: int | str, where: str) -> None:
        """Raises DataError for a label that can't stand beside those before."""
        if self.classes is None:
            kind = type(label) if isinstance(label, int) or not is_padded(label) else None
            if kind is not None:
                self.first.setdefault(kind, where)
            if len(self.first) > 1:
                raise DataError(
                    f"Labels are all numbers or all names. Received: {label!r}, in {where}, after the other kind."
                )
        if isinstance(label, int):
            limit = MAX_CLASSES if self.classes is None else len(self.classes)
            if not 0 <= label < limit and str(label) not in self.place:
                raise DataError(f"Labels number the classes from 0 to {limit - 1:,}. Received: {label}, in {where}.")
            return
        listed = label in self.place or (self.meaning == "lines" and is_padded(label) and int(label) < len(self.place))
        if (self.classes is not None and not listed) or len(self.written) >= MAX_CLASSES:
            known = self.classes if self.classes is not None else tuple(self.written)
            raise DataError(
                f"A label is one of the {len(known):,} classes: {some(known)}. Received: {label[:100]!r}, "
                f"in {where}. Add it to classes.txt, or mend the record."
            )

    def finish(self) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
        """The classes, sorted where nobody has numbered them, and each class's number by the one given before."""
        if self.classes is not None:
            return tuple(self.classes), None if self.meaning == "places" else self.lines()
        labels = list(self.written)
        if all(isinstance(label, int) for label in labels):
            values = [int(label) for label in labels]
            unused = sorted(set(range(max(values) + 1)) - set(values))
            if unused:
                self.notices = (f"labels without a sample are no classes: {some(unused)}",)
            return tuple(map(str, sorted(values))), np.argsort(np.argsort(values))
        names = [str(label) for label in labels]
        padded = all(isinstance(label, int) or is_padded(label) for label in labels)
        ordered = sorted(names, key=lambda name: (int(name), name)) if padded else sorted(names)
        place = {name: k for k, name in enumerate(ordered)}
        return tuple(ordered), np.array([place[name] for name in names], np.int64)

    def lines(self) -> NDArray[np.int64]:
        """The line of classes.txt that each label means: the one it is, or the one it numbers.

        Raises DataError where both could be meant, and for two labels that number one line.
        """
        numbers = {label: int(label) for label in self.written if isinstance(label, int) or label not in self.place}
        named = all(str(label) in self.place for label in numbers)
        numbering = all(number < len(self.place) for number in numbers.values())
        differ = next(
            (label for label in numbers if self.place.get(str(label), numbers[label]) != numbers[label]), None
        )
        if numbers and named and numbering and differ is not None:
            assert self.classes is not None
            raise DataError(
                f"classes.txt can be read in two ways: the label {differ} may be the class of this name, or number "
                f"{differ}, counted from 0, which is {self.classes[numbers[differ]]!r}. Give the classes names that "
                "are no numbers."
            )
        if not numbering and not named:
            worst = max(numbers.values())
            raise DataError(f"Labels number the classes from 0 to {len(self.place) - 1:,}. Received: {worst}.")
        found: dict[int, int | str] = {}
        places = []
        for label in self.written:
            by_name = label not in numbers or not numbering
            place = self.place[str(label)] if by_name else numbers[label]
            other = found.setdefault(place, label)
            if other != label:
                raise DataError(
                    f"Two labels may not mean one class. Received: {other!r} and {label!r}, which both are "
                    f"line {place + 1} of classes.txt. Write all labels in one way."
                )
            places.append(place)
        return np.array(places, np.int64)


class Unlabelled:
    """Records without a label, by split: those of a split without any are left out, as are single ones."""

    def __init__(self) -> None:
        self.counts: Counter[Split] = Counter()
        self.labelled: set[Split] = set()
        """Splits in which a record has a label."""
        self.faults: dict[Split, str] = {}

    def add(self, split: Split, fault: str) -> None:
        """One record without a label; `fault` is what is wrong with it where others of its split have one."""
        self.counts[split] += 1
        if fault:
            self.faults.setdefault(split, fault)
        self.check(split)

    def add_labelled(self, split: Split) -> None:
        if split not in self.labelled:
            self.labelled.add(split)
            self.check(split)

    def check(self, split: Split) -> None:
        if split in self.faults and (split in self.labelled or split in ("all", "train")):
            raise DataError(self.faults[split])

    @property
    def hidden(self) -> tuple[Split, ...]:
        """Splits in which no record has a label."""
        return tuple(split for split in self.counts if split not in self.labelled)

    def notices(self, root: str) -> tuple[LeftOut, ...]:
        """A sentence for each split. Raises DataError where there is nothing to train on; `root` is where it lies."""
        found = []
        for split, count in self.counts.items():
            if split not in self.hidden:
                found.append(unlabelled_samples(split, count))
            elif split in ("all", "train"):
                raise DataError(
                    f"Each record needs a label. Received: none in all {count:,} training records, in {root}. Write "
                    "the labels, or name the files that have some."
                )
            else:
                found.append(unlabelled_split(split, count))
        return tuple(found)


def is_padded(label: str) -> bool:
    """Whether a text is a number that is written with zeros before it.

    >>> is_padded("007"), is_padded("7"), is_padded("1_0")
    (True, False, False)
    """
    return label.isascii() and label.isdecimal() and len(label) < 19 and str(int(label)) != label
