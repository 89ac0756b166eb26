"""Masks, boxes and points, moved as the preprocessing moves their picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import UNLABELLED, Objects
from neocog.errors import ConfigError, DataError
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.image.resize import FITS

__all__ = ["Placement", "move_mask", "move_objects", "move_points", "placement"]

Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture's pixels go along one axis: x -> x * scale + shift, of which start to stop shows the picture.

    Coordinates are edges: the first pixel reaches from 0 to 1.
    """

    scale: float
    shift: float
    start: int
    stop: int
    length: int
    """Of the preprocessed picture, bars and padding included."""

    def sources(self, pixels: int) -> NDArray[np.int64]:
        """For each pixel that shows the picture, the one of the picture's `pixels` at its centre; (stop - start,)."""
        centres = np.arange(self.start, self.stop) + 0.5
        places: NDArray[np.float64] = np.floor((centres - self.shift) / self.scale)
        return places.clip(0, pixels - 1).astype(np.int64)


def placement(height: int, width: int, spec: ImagePreprocess) -> tuple[Placement, Placement]:
    """Where the rows and the columns of an upright picture of this size go.

    >>> rows, columns = placement(100, 200, ImagePreprocess(size=(50, 50), channels=1, resize="letterbox"))
    >>> (rows.scale, rows.shift, rows.start, rows.stop), (columns.scale, columns.shift)
    ((0.25, 12.0, 12, 37), (0.25, 0.0))
    """
    fit = FITS[spec.resize]((height, width), spec.size)
    (left, top, right, bottom), (rows, columns) = fit.box, fit.size
    return (
        axis(top, bottom, rows, spec.size[0], spec.pad[0]),
        axis(left, right, columns, spec.size[1], spec.pad[1]),
    )


def axis(low: float, high: float, shown: int, target: int, pad: int) -> Placement:
    """The part from low to high becomes `shown` pixels in the middle of `target`, with `pad` on both sides."""
    scale, start = shown / (high - low), pad + (target - shown) // 2
    return Placement(scale, start - low * scale, start, start + shown, target + 2 * pad)


def move_mask(mask: NDArray[np.uint8], spec: ImagePreprocess) -> NDArray[np.uint8]:
    """A mask of class numbers as its picture is preprocessed; (H, W) -> (height, width) of `spec.shape`.

    Each pixel takes the class at its centre. What does not show the picture is UNLABELLED.

    >>> spec = ImagePreprocess(size=(2, 2), channels=1, resize="letterbox", pad=(0, 1))
    >>> move_mask(np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8), spec)
    array([[255,   0,   1, 255],
           [255, 255, 255, 255]], dtype=uint8)
    """
    if mask.ndim != 2 or mask.dtype != np.uint8 or not mask.size:
        raise DataError(f"A mask is (H, W) of uint8. Received: {mask.dtype} {mask.shape}.")
    whole: NDArray[np.uint8] = moved(mask[None], spec, UNLABELLED)[0]
    return whole


def moved(masks: NDArray[Any], spec: ImagePreprocess, fill: int) -> NDArray[Any]:
    """(M, H, W) -> (M, height, width), with `fill` where the picture is not."""
    rows, columns = placement(masks.shape[1], masks.shape[2], spec)
    filled = np.full((len(masks), rows.length, columns.length), fill, masks.dtype)
    picked = masks[:, rows.sources(masks.shape[1])[:, None], columns.sources(masks.shape[2])]
    filled[:, rows.start : rows.stop, columns.start : columns.stop] = picked
    return filled


def move_points(points: Floats, height: int, width: int, spec: ImagePreprocess) -> NDArray[np.float32]:
    """Points of an upright picture of this size in the preprocessed one, which some may leave; (P, 2) of x, y.

    >>> move_points(np.array([[0.0, 0.0], [4.0, 2.0]]), 2, 4, ImagePreprocess(size=(8, 8), channels=1)).tolist()
    [[0.0, 0.0], [8.0, 8.0]]
    """
    rows, columns = placement(height, width, spec)
    scale, shift = np.array([columns.scale, rows.scale]), np.array([columns.shift, rows.shift])
    places: NDArray[np.float64] = np.asarray(points, np.float64) * scale + shift
    return places.astype(np.float32)


def move_objects(objects: Objects, height: int, width: int, spec: ImagePreprocess, min_visible: float = 0.1) -> Objects:
    """The objects of an upright picture of this size, in the pixels of the preprocessed one.

    Boxes are clipped to where the picture shows. An object is left out where less than `min_visible` of its box's area
    shows, or nothing of it. Masks are moved as `move_mask` does, with no around.

    >>> objects = Objects(np.array([[0, 0, 2, 4], [3, 0, 7, 4]], np.float32), np.array([5, 6]))
    >>> kept = move_objects(objects, 4, 8, ImagePreprocess(size=(8, 8), channels=1, resize="crop"))
    >>> kept.boxes.tolist(), kept.labels.tolist()
    ([[2.0, 0.0, 8.0, 8.0]], [6])
    """
    if not 0 <= min_visible <= 1:
        raise ConfigError(f"min_visible is a share of a box's area, 0 to 1. Received: {min_visible}.")
    if objects.masks is not None and objects.masks.shape != (len(objects), height, width):
        raise DataError(
            f"Masks must be of their picture's size. Received: {objects.masks.shape} for {len(objects)} objects on "
            f"{width} x {height} pixels."
        )
    rows, columns = placement(height, width, spec)
    boxes = move_points(objects.boxes.reshape(-1, 2), height, width, spec).reshape(-1, 4)
    low, high = np.array([columns.start, rows.start]), np.array([columns.stop, rows.stop])
    visible = np.hstack([boxes[:, :2].clip(low, high), boxes[:, 2:].clip(low, high)]).astype(np.float32)
    shown = area(visible)
    kept = (shown > 0) & (shown >= min_visible * area(boxes))
    masks = None if objects.masks is None else moved(objects.masks[kept], spec, fill=0).astype(bool, copy=False)
    return Objects(visible[kept], objects.labels[kept], masks)


def area(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M, 4) -> (M,)."""
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    return sides[:, 0] * sides[:, 1]
