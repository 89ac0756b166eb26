"""Where each picture is moved, as one affine map each, so that pictures, masks, boxes and points move alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import UNLABELLED, Objects
from neocog.modalities.image.augment.affine import Matrices
from neocog.modalities.image.augment.config import Border
from neocog.modalities.image.augment.sampling import nearest, offsets, resample, windows

__all__ = ["Geometry"]

VISIBLE = 0.1
"""An object stays where at least this share of its moved box is still in the picture."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The moves of a batch.

    Places are in pixels from the upper left corner: pixel columns 3 to 5 reach from x = 3 to x = 6.
    """

    matrices: Matrices
    """From a place (x, y) in the new picture to one in the old: old = matrix[:, :2] @ new + matrix[:, 2]; (N, 2, 3)."""
    size: tuple[int, int]
    """Height and width of the pictures."""
    border: Border = "black"
    """What comes in from outside of the picture."""
    margin: int = 0
    """How far pictures go by whole pixels at most."""
    resampled: bool = True
    """Whether some may be moved by more than mirrors and whole pixels, so that all become floats."""

    def images(self, images: Tensor) -> Tensor:
        """The pictures moved; (N, C, H, W) -> the same.

        Of the same type where they are mirrored and moved by whole pixels only, else float32, bilinear.
        """
        if not self.resampled:
            return windows(images, self.matrices, self.margin, self.border)
        images, whole = images.float(), self.whole()
        if not whole.any():
            return resample(images, self.matrices, self.border)
        moved = torch.empty_like(images)
        for chosen in (np.flatnonzero(whole), np.flatnonzero(~whole)):
            rows = torch.from_numpy(chosen).to(images.device)
            part, matrices = images.index_select(0, rows), self.matrices[chosen]
            straight = len(chosen) and whole[chosen[0]]
            part = (
                windows(part, matrices, self.margin, self.border) if straight else resample(part, matrices, self.border)
            )
            moved.index_copy_(0, rows, part)
        return moved

    def masks(self, masks: Tensor) -> Tensor:
        """Class masks moved, the class of the nearest pixel; (N, H, W) uint8 -> the same.

        What comes in from outside belongs to no class: 255, whatever the border shows.
        """
        return nearest(masks[:, None], self.matrices, UNLABELLED)[:, 0]

    def points(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Where places (x, y) of the old pictures come to lie, also outside of the new; (N, P, 2) -> the same."""
        inverse = np.linalg.inv(self.matrices[:, :, :2])
        return np.asarray((points - self.matrices[:, None, :, 2]) @ inverse.transpose(0, 2, 1))

    def boxes(self, objects: Sequence[Objects]) -> list[Objects]:
        """The objects of each picture moved: boxes that enclose what they enclosed, cut at the picture's edge.

        An object goes where less than a tenth of its moved box is left. Where it is turned or slanted and its mask is
        known, the new box encloses the new mask, which is tighter than around the old box's corners.
        """
        return [self.one(i, given) for i, given in enumerate(objects)]

    def one(self, i: int, given: Objects) -> Objects:
        """The objects of picture i."""
        if not len(given):
            return given
        left, top, right, bottom = given.boxes.astype(np.float64).T
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])  # (4, 2, M)
        part = Geometry(self.matrices[i : i + 1], self.size)
        places = part.points(corners.transpose(2, 0, 1).reshape(1, -1, 2)).reshape(-1, 4, 2)
        boxes = np.concatenate([places.min(axis=1), places.max(axis=1)], axis=1)
        uncut = areas(boxes)
        boxes = boxes.clip(0, [self.size[1], self.size[0]] * 2)
        kept = areas(boxes) >= VISIBLE * uncut
        masks = None
        if given.masks is not None:
            planes = torch.from_numpy(given.masks[None].astype(np.uint8))
            masks = nearest(planes, part.matrices, 0)[0].bool().numpy()
            kept &= masks.any(axis=(1, 2))
            if part.matrices[0, 0, 1] or part.matrices[0, 1, 0]:
                boxes[kept] = [extent(mask) for mask in masks[kept]]
        return Objects(boxes[kept].astype(np.float32), given.labels[kept], None if masks is None else masks[kept])

    def whole(self) -> NDArray[np.bool_]:
        """Which pictures are only mirrored, and moved by whole pixels within the margin; (N,)."""
        (xx, xy), (yx, yy) = self.matrices[:, :, :2].transpose(1, 2, 0)
        straight = (np.abs(xx) == 1) & (np.abs(yy) == 1) & (xy == 0) & (yx == 0)
        if not straight.any():
            return np.asarray(straight)
        moves = offsets(self.matrices, self.size)
        near = (moves == np.round(moves)) & (np.abs(moves) <= self.margin)
        return np.asarray(straight & near.all(axis=1))


def areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of boxes (left, top, right, bottom); (M, 4) -> (M,)."""
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The box around what is true in (H, W)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
