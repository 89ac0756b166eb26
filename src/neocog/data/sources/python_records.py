"""A source over Python objects: whatever gives a payload by its place, with a label for each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.data.record import Modality, Payload, Record, absent_classes
from neocog.data.sources.arrays import ArraySource, Pictures, check_range
from neocog.data.sources.python_labels import Labels, number_labels
from neocog.data.targets import Task
from neocog.errors import DataError

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

    def __len__(self) -> int:
        return len(self.labels)


class RecordsSource:
    """Records by split, read one by one. A record's key is its split and its place in it."""

    format = "python"
    task: Task = "classification"

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
        self.notices = absent_classes(classes, targets)

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
    known = {part.classes for part in parts.values() if part.classes}
    if classes is None and len(known) > 1:
        raise DataError(
            f"All splits must have the same classes. Received: {' and '.join(map(str, known))}, in {name}. Make them "
            "alike, or pass classes=."
        )
    own = classes or next(iter(known), None)
    targets, own, about_labels = number_labels({split: part.labels for split, part in parts.items()}, own, name)
    pictures = {split: part.pictures for split, part in parts.items() if part.pictures is not None}
    source: ArraySource | RecordsSource
    if len(pictures) == len(parts):
        source = ArraySource(name, {split: (pixels, targets[split]) for split, pixels in pictures.items()}, own)
        source.format = "python"
    else:
        source = RecordsSource(name, parts, targets, own)
    source.notices += about_labels + notices
    return source
