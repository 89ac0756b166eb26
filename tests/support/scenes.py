"""A tiny set for each task: the same scenes, each with a target of that task. Seeded, and in memory."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Objects, Record, Target

__all__ = ["Scenes", "SignalScenes"]

NUM, SIDE = 36, 64
SPLITS = {"train": np.arange(20), "val": np.arange(20, 28), "test": np.arange(28, NUM)}
CLASSES = ("background", "square", "disc")


class Scenes:
    """Noisy grey images with one or two bright shapes; the target is that of `task`."""

    modality, format = "image", "scenes"
    notices: tuple[str, ...] = ()

    def __init__(self, task: str, num: int = NUM, side: int = SIDE) -> None:
        self.task: Any = task
        self.name = f"{task.replace(' ', '-')}-scenes"
        generator = np.random.default_rng(0)
        self.images = generator.integers(0, 60, (num, side, side)).astype(np.uint8)
        self.masks = np.zeros((num, side, side), np.uint8)
        self.objects: list[Objects] = []
        for i in range(num):
            boxes, labels = [], []
            for k in range(1 + i % 2):
                size = int(generator.integers(side // 5, side // 3))
                top = int(generator.integers(0, side - size))
                left = int(generator.integers(0, side // 2 - size)) + (side // 2 if k else 0)
                kind = int(generator.integers(2))
                rows, columns = np.ogrid[:size, :size]
                inside = (
                    np.ones((size, size), bool)
                    if kind == 0
                    else (rows - size / 2 + 0.5) ** 2 + (columns - size / 2 + 0.5) ** 2 <= size**2 / 4
                )
                place = (slice(top, top + size), slice(left, left + size))
                self.images[i][place][inside] += 150
                self.masks[i][place][inside] = kind + 1
                boxes.append([left, top, left + size, top + size])
                labels.append(kind)
            self.objects.append(Objects(np.array(boxes, np.float32), np.array(labels, np.int64)))
        self.splits: Mapping[str, NDArray[np.int64]] = SPLITS
        self.classes, self.targets = self.describe()

    def describe(self) -> tuple[tuple[str, ...], NDArray[Any]]:
        """The names of the outputs, and the targets as a source has them."""
        counts = np.array([np.bincount(each.labels, minlength=2) for each in self.objects])
        by_task: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
            "classification": (("one", "two"), (counts.sum(axis=1) == 2).astype(np.int64)),
            "multi-label": (CLASSES[1:], counts > 0),
            "regression": (("bright [%]", "shapes"), self.numbers(counts)),
            "segmentation": (CLASSES, np.full(len(counts), -1)),
            "detection": (CLASSES[1:], np.full(len(counts), -1)),
            "multi-label segmentation": (("shape", "disc"), np.full(len(counts), -1)),
            "signal segmentation": (("background", "shape"), np.full(len(counts), -1)),
        }
        return by_task[self.task]

    def numbers(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        bright = 100 * (self.masks > 0).mean(axis=(1, 2))
        found = np.stack([bright, counts.sum(axis=1)], axis=1).astype(np.float64)
        found[3, 1] = np.nan  # not known
        return found

    def __len__(self) -> int:
        return len(self.images)

    def key(self, index: int) -> str:
        return f"scene {chr(97 + index % 26)}{index}"

    def content(self) -> Iterator[bytes]:
        yield self.images.tobytes()
        yield self.masks.tobytes()

    def target(self, index: int) -> Target:
        if self.task == "segmentation":
            return np.asarray(self.masks[index])
        if self.task == "multi-label segmentation":  # a disc is a shape, too
            return np.stack([self.masks[index] > 0, self.masks[index] == 2]).astype(np.uint8)
        if self.task == "detection":
            return self.objects[index]
        if self.task == "signal segmentation":
            return np.asarray((self.masks[index] > 0).any(axis=0), np.uint8)
        found: Target = self.targets[index]
        return found

    def read(self, index: int) -> Record:
        return Record(self.key(index), self.images[index], self.target(index))


class SignalScenes(Scenes):
    """Noisy signals (1, L) with one or two steps up; for tasks whose target is a row of numbers or labels."""

    modality = "signal"
    channel_names: tuple[str, ...] = ()

    def read(self, index: int) -> Record:
        signal = self.images[index].mean(axis=0)[None].astype(np.float32)
        return Record(self.key(index), signal, self.target(index))
