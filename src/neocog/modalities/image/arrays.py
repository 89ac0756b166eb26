"""A source whose pictures are one array for each split: what idx, CIFAR and .npz files hold."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_names import check_range, number_classes
from neocog.dataset.record import Modality, Record, absent_classes
from neocog.dataset.targets import Task
from neocog.errors import DataError, some
from neocog.modalities.image.pixels import MAX_CHANNELS, MIN_SIDE, channels_first

__all__ = ["ArraySource"]

Pictures = NDArray[np.uint8] | NDArray[np.uint16]


class ArraySource:
    """Pictures (N, H, W) or (N, H, W, C) and labels (N,) by split.

    Labels number the classes 0..K-1. Raises DataError where counts or types differ, or a label is out of range.

    >>> x, y = np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    >>> source = ArraySource("tiny", {"train": (x, y)})
    >>> len(source), source.classes, source.read(3).key
    (4, ('0', '1'), 'train/3')
    """

    modality: Modality = "image"
    task: Task = "classification"
    unlabelled: tuple[str, ...] = ()
    """Splits that are left out because their labels are hidden."""

    def __init__(
        self,
        name: str,
        parts: Mapping[str, tuple[Pictures, NDArray[np.integer]]],
        classes: Sequence[str] | None = None,
        *,
        format: str = "arrays",
    ) -> None:
        """`format` is the layout in which the arrays came."""
        self.name, self.format = name, format
        for split, (pictures, labels) in parts.items():
            check_part(f"{name}, {split}", pictures, labels)
        kinds = {(pictures.dtype, pictures.shape[1:]) for pictures, _ in parts.values()}
        if len(kinds) > 1:
            shown = ", ".join(f"{split}: {pictures.dtype} {pictures.shape}" for split, (pictures, _) in parts.items())
            raise DataError(f"All splits must have pictures of one type and size. {name} has {shown}.")
        targets = {split: np.asarray(labels, np.int64) for split, (_, labels) in parts.items()}
        self.notices: tuple[str, ...] = ()
        if classes:
            self.classes = tuple(classes)
        else:
            self.classes, targets, self.notices = number_classes(name, targets)
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"Each class needs a name of its own. {name} has {some(self.classes, 20)}.")
        check_range(name, targets, self.classes)
        self.notices += absent_classes(self.classes, targets)
        self.parts = [(split, pictures) for split, (pictures, _) in parts.items()]
        self.starts = np.cumsum([0] + [len(pictures) for _, pictures in self.parts])
        self.targets = np.concatenate(list(targets.values()))
        self.splits = {
            split: np.arange(start, start + len(pictures))
            for (split, pictures), start in zip(self.parts, self.starts, strict=False)
        }

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
        return (np.ascontiguousarray(pictures).tobytes() for _, pictures in self.parts)

    def read(self, index: int) -> Record:
        part, place = self.place(index)
        return Record(self.key(index), self.parts[part][1][place], int(self.targets[index]))

    def pictures(self, indices: NDArray[np.int64]) -> Pictures:
        """Many pictures at once; (N,) -> (N, H, W) or (N, H, W, C)."""
        first = self.parts[0][1]
        gathered = np.empty((len(indices), *first.shape[1:]), first.dtype)
        part_of = np.searchsorted(self.starts, indices, side="right") - 1
        for part, (_, pictures) in enumerate(self.parts):
            here = part_of == part
            gathered[here] = pictures[indices[here] - self.starts[part]]
        return gathered


def check_part(where: str, pictures: Pictures, labels: NDArray[np.integer]) -> None:
    """Raises DataError where pictures and labels can't belong together."""
    if pictures.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"Pictures must be of 8 or 16 bits (uint8, uint16). Received: {pictures.dtype}, in {where}. "
            "Scale them to 0..255 and convert them to uint8."
        )
    if pictures.ndim not in (3, 4) or (pictures.ndim == 4 and not 1 <= pictures.shape[3] <= MAX_CHANNELS):
        raise DataError(
            f"Pictures must be (N, H, W) or (N, H, W, C) with 1 to {MAX_CHANNELS} channels. "
            f"Received: {pictures.shape}, in {where}."
        )
    if pictures.ndim == 4 and channels_first(pictures.shape[1:]):
        raise DataError(
            f"The channels of pictures come last. Received: {pictures.shape}, in {where}, which looks as if they came "
            "first. Move them with np.moveaxis(pictures, 1, -1)."
        )
    if min(pictures.shape[1:3]) < MIN_SIDE:
        raise DataError(
            f"A picture must be at least {MIN_SIDE} pixels on each side. Received: {pictures.shape}, in {where}."
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"Labels must be whole numbers, one for each picture. Received: {labels.dtype} {labels.shape}, in {where}."
        )
    if len(pictures) != len(labels):
        raise DataError(
            f"Each picture needs one label. Received: {len(pictures):,} pictures, {len(labels):,} labels, in {where}."
        )
