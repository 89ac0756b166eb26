"""Objects as a network that finds them is trained on them: boxes in its input's pixels, padded to one number.

A row is left, top, right, bottom, label, ignored; the label is -1 where an image has fewer objects than others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import DIFFICULT, Objects
from neocog.modalities.image.augment import SpatialTransform
from neocog.modalities.image.views import place_of
from neocog.modalities.preprocess import Preprocess

__all__ = ["COLUMNS", "NOTHING", "counted", "move_rows", "pad_rows", "place_objects", "valid"]

COLUMNS = 6  # left, top, right, bottom, label, ignored
NOTHING = -1  # the label of padding
VISIBLE = 0.3  # an object of which less than this share is left in the image is ignored

Rows = NDArray[np.float32]


def place_objects(objects: Objects, size: tuple[int, int], preprocess: Preprocess) -> Rows:
    """The rows of the objects of an image of this height and width, as it reaches the network; (M, 6).

    Boxes are cut off at the edge of the input; what lies outside is left out.
    """
    spec: Any = preprocess
    origin, scale = place_of(size, spec.resize, spec.size, spec.pad)
    boxes = (objects.boxes.astype(np.float64) - np.tile(origin[::-1], 2)) * np.tile(scale[::-1], 2)
    ignored = np.zeros(len(objects), np.uint8) if objects.ignored is None else objects.ignored
    return cut_rows(boxes, objects.labels, ignored, (preprocess.shape[1], preprocess.shape[2]))


def cut_rows(boxes: NDArray[Any], labels: NDArray[Any], ignored: NDArray[Any], size: tuple[int, int]) -> Rows:
    """Rows of boxes that are cut off at the edges of an input of this height and width; (M, 4) -> (fewer, 6)."""
    clipped = boxes.clip(0, [size[1], size[0]] * 2)
    inside, whole = (np.prod((each[:, 2:] - each[:, :2]).clip(0), axis=1) for each in (clipped, boxes))
    sliver = (inside < VISIBLE * whole) & (ignored == 0)
    rows = np.concatenate([clipped, labels[:, None], np.where(sliver, DIFFICULT, ignored)[:, None]], axis=1)
    return np.asarray(rows[inside > 0], np.float32)


def pad_rows(rows: Sequence[Rows]) -> Tensor:
    """The rows of N images as one tensor; (N, M, 6) for the M of the image with most objects, and at least one."""
    found = torch.zeros(len(rows), max([1, *map(len, rows)]), COLUMNS)
    found[..., 4] = NOTHING
    for place, each in zip(found, rows, strict=True):
        place[: len(each)] = torch.from_numpy(each)
    return found


def valid(targets: Tensor) -> Tensor:
    """Which rows are objects, ignored ones among them; (N, M, 6) -> (N, M)."""
    return targets[..., 4] >= 0


def counted(targets: Tensor) -> Tensor:
    """Which rows are objects that are to be found; (N, M, 6) -> (N, M)."""
    return valid(targets) & (targets[..., 5] == 0)


def move_rows(targets: Tensor, transform: SpatialTransform) -> Tensor:
    """The rows as their images are moved: boxes enclose what they enclosed, cut off at the edges; (N, M, 6) -> same.

    What leaves its image becomes padding, and an object of which little is left is ignored.
    """
    rows = targets.cpu().double().numpy()
    left, top, right, bottom = np.moveaxis(rows[..., :4], 2, 0)
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=2)  # (N, M, 8)
    places = transform.points(corners.reshape(len(rows), -1, 2)).reshape(*rows.shape[:2], 4, 2)
    boxes = np.concatenate([places.min(axis=2), places.max(axis=2)], axis=2)
    moved = np.array(rows)
    for i, (row, box) in enumerate(zip(rows, boxes, strict=True)):
        there = row[:, 4] >= 0
        cut = cut_rows(box[there], row[there, 4], row[there, 5], transform.size)
        moved[i] = 0
        moved[i, :, 4] = NOTHING
        moved[i, : len(cut)] = cut
    return torch.from_numpy(moved).to(targets)
