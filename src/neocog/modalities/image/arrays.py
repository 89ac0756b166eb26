"""A source whose images are one array for each split: what idx, CIFAR and .npz files hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import check_labels, name_classes
from neocog.dataset.list_source import SplitSource
from neocog.dataset.record import Payload, Task, absent_classes
from neocog.dataset.targets import check_values
from neocog.errors import DataError
from neocog.modalities.image.pixels import MAX_CHANNELS, MIN_SIDE, channels_first

__all__ = ["ArraySource", "Images"]

Images = NDArray[np.uint8] | NDArray[np.uint16]


class ArraySource(SplitSource):
    """Images (N, H, W) or (N, H, W, C) and labels (N,) by split.

    Labels number the classes 0..K-1; of another `task` they are its targets, and `classes` names them. `format` is the
    layout that they came in.
    Raises DataError if counts or types differ, or a label is out of range.

    >>> x, y = np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    >>> source = ArraySource("tiny", {"train": (x, y)})
    >>> len(source), source.classes, source.read(3).key
    (4, ('0', '1'), 'train/3')
    """

    def __init__(
        self,
        name: str,
        parts: Mapping[str, tuple[Images, NDArray[Any]]],
        classes: Sequence[str] | None = None,
        *,
        format: str = "arrays",
        task: Task = "classification",
    ) -> None:
        for split, (images, labels) in parts.items():
            check_images(f"{name}, {split}", images)
            if task == "classification":
                check_labels(f"{name}, {split}", len(images), labels, "image")
            else:
                check_values(f"{name}, {split}", len(images), labels, len(classes or ()), "image")
        if len({(images.dtype, images.shape[1:]) for images, _ in parts.values()}) > 1:
            shown = ", ".join(f"{split}: {images.dtype} {images.shape}" for split, (images, _) in parts.items())
            raise DataError("All splits must have images of one type and size.", received=shown, where=name)
        targets = {split: np.asarray(labels) for split, (_, labels) in parts.items()}
        names, notices = tuple(classes or ()), tuple[str, ...]()
        if task == "classification":
            targets = {split: labels.astype(np.int64) for split, labels in targets.items()}
            names, targets, notices = name_classes(name, targets, classes)
            notices = (*notices, *absent_classes(names, targets))
        self.format, self.task = format, task
        super().__init__(name, targets, names, notices)
        self.parts = [images for images, _ in parts.values()]

    def content(self) -> Iterator[bytes]:
        return (np.ascontiguousarray(images).tobytes() for images in self.parts)

    def payload(self, index: int) -> Payload:
        number, place = self.place(index)
        image: Images = self.parts[number][place]
        return image

    def pictures(self, indices: NDArray[np.int64]) -> Images:
        """Many images at once; (N,) -> (N, H, W) or (N, H, W, C)."""
        first = self.parts[0]
        gathered = np.empty((len(indices), *first.shape[1:]), first.dtype)
        split_of = np.searchsorted(self.starts, indices, side="right") - 1
        for number, images in enumerate(self.parts):
            here = split_of == number
            gathered[here] = images[indices[here] - self.starts[number]]
        return gathered


def check_images(where: str, images: Images) -> None:
    """Raises DataError for anything but images."""
    shape, fix = images.shape, ""
    received = str(shape)
    if images.dtype not in (np.uint8, np.uint16):
        rule, received = "Images must have 8 or 16 bits (uint8, uint16).", str(images.dtype)
        fix = "Scale them to 0..255 and convert them to uint8."
    elif len(shape) not in (3, 4) or (len(shape) == 4 and not 1 <= shape[3] <= MAX_CHANNELS):
        rule = f"Images must be (N, H, W) or (N, H, W, C) with 1 to {MAX_CHANNELS} channels."
    elif len(shape) == 4 and channels_first(shape[1:]):
        rule, fix = "The channels of images come last.", "Move them with np.moveaxis(images, 1, -1)."
        received = f"{shape}, which looks as if they came first"
    elif min(shape[1:3]) < MIN_SIDE:
        rule = f"An image must be at least {MIN_SIDE} pixels on each side."
    else:
        return
    raise DataError(rule, received=received, where=where, fix=fix)
