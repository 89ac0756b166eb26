"""A source over Python objects: whatever gives a payload by its place, with a label for each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_names import check_range
from neocog.dataset.labels import Labels, number_labels
from neocog.dataset.record import Modality, Payload, Record, absent_classes
from neocog.dataset.targets import Task
from neocog.errors import DataError, some
from neocog.modalities.image.arrays import ArraySource, Pictures

__all__ = ["Given", "RecordsSource", "source_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """The records of one split, as they were handed over."""

    modality: Modality
    labels: Labels
    read: Callable[[int], Payload]
    """Raises DataError that names the record."""
    content: Callable[[], Iterator[bytes]]
    """What tells these payloads from others'."""
    pictures: Pictures | None = None
    """All payloads at once, where they are pictures of one size: (N, H, W) or (N, H, W, C)."""
    classes: tuple[str, ...] | None = None
    """The names of the classes, where the object knows them."""
    num_unlabelled: int = 0
    """Records without a label, which are left out."""

    def __len__(self) -> int:
        return len(self.labels)

    def labelled(self) -> "Given":
        """These records without those whose label is the number -1."""
        if isinstance(self.labels, list) or not (self.labels == -1).any():
            return self
        kept = np.flatnonzero(self.labels != -1)
        return replace(
            self,
            labels=self.labels[kept],
            read=lambda index: self.read(int(kept[index])),
            pictures=None if self.pictures is None else self.pictures[kept],
            num_unlabelled=self.num_unlabelled + len(self) - len(kept),
        )


class RecordsSource:
    """Records by split, read one by one. A record's key is its split and its place in it."""

    format = "python"
    task: Task = "classification"
    unlabelled: tuple[str, ...] = ()
    """Splits that are left out because their labels are hidden."""

    def __init__(
        self, name: str, parts: Mapping[str, Given], targets: Mapping[str, NDArray[np.int64]], classes: tuple[str, ...]
    ) -> None:
        check_range(name, targets, classes)
        self.name, self.classes = name, classes
        self.parts = list(parts.items())
        self.modality: Modality = self.parts[0][1].modality
        self.starts = np.cumsum([0] + [len(part) for part in parts.values()])
        self.targets = np.concatenate(list(targets.values()))
        self.splits = {
            split: np.arange(start, start + len(part))
            for (split, part), start in zip(self.parts, self.starts, strict=False)
        }
        self.notices: tuple[str, ...] = absent_classes(classes, targets)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def place(self, index: int) -> tuple[int, int]:
        """The part that holds a record, and its place there."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return part, index - int(self.starts[part])

    def key(self, index: int) -> str:
        part, place = self.place(index)
        return f"{self.parts[part][0]}/{place}"

    def content(self) -> Iterator[bytes]:
        for _, part in self.parts:
            yield from part.content()

    def read(self, index: int) -> Record:
        part, place = self.place(index)
        return Record(self.key(index), self.parts[part][1].read(place), int(self.targets[index]))


def source_of(
    parts: Mapping[str, Given], name: str, classes: tuple[str, ...] | None, notices: tuple[str, ...] = ()
) -> ArraySource | RecordsSource:
    """One source over all splits. Raises DataError where they do not belong together."""
    kinds = {split: part.modality for split, part in parts.items()}
    if len(set(kinds.values())) > 1:
        shown = ", ".join(f"{split}: {kind}" for split, kind in kinds.items())
        raise DataError(f"All splits must be of one kind. Received: {shown}, in {name}. Make them alike.")
    parts, reordered = with_one_order(parts, name) if classes is None else (parts, ())
    own = classes or next((part.classes for part in parts.values() if part.classes), None)
    targets, own, about_labels = number_labels({split: part.labels for split, part in parts.items()}, own, name)
    pictures = {split: part.pictures for split, part in parts.items() if part.pictures is not None}
    source: ArraySource | RecordsSource
    if len(pictures) == len(parts):
        arrays = {split: (pixels, targets[split]) for split, pixels in pictures.items()}
        source = ArraySource(name, arrays, own, format="python")
    else:
        source = RecordsSource(name, parts, targets, own)
    source.notices += (*about_labels, *notices, *reordered)
    return source


def with_one_order(parts: Mapping[str, Given], name: str) -> tuple[dict[str, Given], tuple[str, ...]]:
    """The parts with numbers that mean the same classes in all: they are matched by name, in the order of the first.

    Raises DataError where the names differ.
    """
    known = [part.classes for part in parts.values() if part.classes]
    if len({tuple(sorted(names)) for names in known}) > 1:
        shown = " and ".join(map(str, dict.fromkeys(known)))
        raise DataError(
            f"All splits must have the same classes. Received: {shown}, in {name}. Make them alike, or pass classes=."
        )
    found: dict[str, Given] = {}
    reordered = []
    for split, part in parts.items():
        labels = part.labels
        if part.classes and part.classes != known[0] and not isinstance(labels, list):
            reordered.append(split)
            check_range(name, {split: labels}, part.classes)
            labels = np.array([known[0].index(called) for called in part.classes], np.int64)[labels]
        found[split] = replace(part, labels=labels, classes=known[0] if part.classes else None)
    if not reordered:
        return found, ()
    return found, (f"classes are matched by name, for {some(reordered)} numbers them in another order",)
