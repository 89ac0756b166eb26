"""A look at the objects of a data set before training: their size as a network sees them, and their symmetries."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.data import ImageConfig, Preprocess, Source, open_source
from neocog.dataset.record import Objects, Record, source_train
from neocog.errors import NeocogError
from neocog.look.symmetry import Symmetry, measure_symmetries
from neocog.modalities.choose import spread_evenly
from neocog.modalities.image.choose import choose_image
from neocog.tasks.box_targets import place_objects
from neocog.tasks.detection import size_of

__all__ = ["ObjectLook", "look_at_objects"]

MOST_IMAGES, MOST_PATCHES = 100, 150
FEWEST = 40
"""Patches of objects below which no symmetry is measured."""
CONTEXT = 1.25  # of the longer side of an object's box that its patch has
SIDE = 32  # pixels of a patch
SMALL = 0.1  # of the objects may be smaller than `ObjectLook.side`
FREE = 0.1  # of a patch of the background that objects may cover
TRIES = 10
SEED = 0

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ObjectLook:
    """Facts about the objects of some training images."""

    num_images: int
    num_objects: int
    has_colours: bool
    """Whether images are RGB."""
    side: float
    """The square root of the area of a box that nine of ten objects have, in pixels of the network's input."""
    symmetries: dict[str, Symmetry]
    """As of `measure_symmetries`, by whether transformed objects are told from other classes and from the background;
    none of too few objects."""

    def holds(self, symmetry: str) -> bool:
        """Whether it was found to hold; unknown is no."""
        return symmetry in self.symmetries and self.symmetries[symmetry].holds

    def fails(self, symmetry: str) -> bool:
        """Whether it was found not to hold."""
        return symmetry in self.symmetries and self.symmetries[symmetry].verdict == "no"


def look_at_objects(data: str, source: Source | None = None) -> ObjectLook | None:
    """Look at up to a hundred training images. None if they can't be opened or have no objects: training says why.

    The same data gives the same look.
    """
    try:
        source = source or open_source(data)
        if source.task != "detection":
            return None
        chosen = spread_evenly(source_train(source))[:MOST_IMAGES]
        spec, _ = choose_image(source, chosen, ImageConfig(), (3, 512, 512), skip=True, dense=True)
        placed = [(spec.decode(record.payload), place(record, spec)) for record in map(source.read, chosen.tolist())]
    except NeocogError:
        return None
    rows = [row for _, each in placed for row in each]
    if not rows:
        return None
    sides = np.sqrt([(right - left) * (bottom - top) for left, top, right, bottom, *_ in rows])
    patches, labels = cut_patches(placed, len(source.classes))
    enough = (labels < len(source.classes)).sum() >= FEWEST
    found = measure_symmetries(patches, labels, SEED) if enough else {}
    return ObjectLook(len(placed), len(rows), spec.channels == 3, float(np.quantile(sides, SMALL)), found)


def place(record: Record, spec: Preprocess) -> Rows:
    """The objects that count, in the network's input: left, top, right, bottom, label, ignored; (M, 6)."""
    assert isinstance(record.target, Objects), "objects"
    rows = place_objects(record.target, size_of(record), spec)
    return np.asarray(rows[rows[:, 5] == 0])


def cut_patches(placed: list[tuple[Tensor, Rows]], num_classes: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Square patches around objects, and as many of the background beside them, whose label is the number of classes.

    (C, H, W) images with rows (M, 6) -> (N, C, 32, 32) in 0..1, (N,). Labels of fewer than five patches are left out.
    """
    rng = np.random.default_rng(SEED)
    every = [(image, rows, row) for image, rows in placed for row in rows]
    patches, labels = list[Tensor](), list[int]()
    for number in rng.permutation(len(every))[:MOST_PATCHES].tolist():
        image, rows, (left, top, right, bottom, label, _) = every[number]
        side = CONTEXT * max(right - left, bottom - top)
        middle = np.array([left + right, top + bottom]) / 2
        patches.append(cut_square(image, middle, side))
        labels.append(int(label))
        for _ in range(TRIES):
            middle = rng.uniform(0, [image.shape[2], image.shape[1]])
            if covered(middle, side, rows) <= FREE:
                patches.append(cut_square(image, middle, side))
                labels.append(num_classes)
                break
    known = np.array(labels, np.int64)
    kept = np.bincount(known, minlength=num_classes + 1)[known] >= 5
    return torch.stack(patches)[torch.from_numpy(kept)], known[kept]


def cut_square(image: Tensor, middle: NDArray[np.floating], side: float) -> Tensor:
    """The square about a place (x, y), moved into the image (C, H, W), as (C, 32, 32) in 0..1."""
    height, width = image.shape[1:]
    length = max(1, min(round(side), height, width))
    x, y = (
        min(max(0, round(float(at) - length / 2)), size - length)
        for at, size in zip(middle, (width, height), strict=True)
    )
    part = image[None, :, y : y + length, x : x + length].float() / (255 if image.dtype == torch.uint8 else 65535)
    return F.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True)[0]


def covered(middle: NDArray[np.floating], side: float, rows: Rows) -> float:
    """The share of a square about a place (x, y) that boxes cover, at most: where boxes overlap, both count."""
    low, high = middle - side / 2, middle + side / 2
    shared = (np.minimum(rows[:, 2:4], high) - np.maximum(rows[:, :2], low)).clip(0)
    return float(shared.prod(axis=1).sum() / side**2)
