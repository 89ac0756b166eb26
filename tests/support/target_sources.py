"""Small sources of images with several labels, or with numbers, drawn from a seed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import Record

SPLITS = {"train": np.arange(80), "val": np.arange(80, 120), "test": np.arange(120, 160)}


class Drawn:
    """Noisy grey images of 28x28 with three bars, each bright or dark."""

    name, modality, format = "drawn", "image", "drawn"
    splits: dict[str, NDArray[np.int64]] = SPLITS
    notices: tuple[str, ...] = ()
    classes: tuple[str, ...]
    targets: NDArray[Any]

    def __init__(self, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self.levels = generator.integers(30, 226, (160, 3))
        bars = np.repeat(self.levels, 9, axis=1)[:, None, :]
        noise = generator.integers(-20, 20, (160, 27, 27))
        self.images = np.pad((bars + noise).clip(0, 255).astype(np.uint8), ((0, 0), (0, 1), (0, 1)))

    def __len__(self) -> int:
        return len(self.images)

    def key(self, index: int) -> str:
        return f"image {index}"

    def content(self) -> Any:
        yield self.images.tobytes()

    def read(self, index: int) -> Record:
        return Record(self.key(index), self.images[index], self.targets[index])


class TaggedImages(Drawn):
    """A label for each bright bar; one in ten labels is not known."""

    task, classes = "multi-label", ("left", "middle", "right")

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.targets = (self.levels > 127).astype(np.float64)
        self.targets[np.random.default_rng(seed + 1).random((160, 3)) < 0.1] = np.nan


class MeasuredImages(Drawn):
    """Two numbers, of very different size; one in ten is not known."""

    task, classes = "regression", ("brightness", "balance [mm]")

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.targets = np.stack([self.levels.mean(axis=1), 1000 + (self.levels[:, 0] - self.levels[:, 2]) / 100], 1)
        self.targets[np.random.default_rng(seed + 1).random((160, 2)) < 0.1] = np.nan
