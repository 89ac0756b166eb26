"""Outlines of objects as COCO writes them: polygons, and run lengths, plain or packed in a string.

A mask is read column by column, top to bottom; its run lengths count pixels outside, inside, outside, ... in turn.
Source: pycocotools, common/maskApi.c (Dollar and Lin 2014). It draws the polygons here. Run lengths are unpacked here:
pycocotools neither checks their sum (it then shows memory that was never written) nor gives them as numbers.

A polygon of COCO can't have a hole. So a region with holes is cut in two along a line of pixels through each of them,
and becomes several polygons that share an edge; their union is the region.
"""

import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = ["MAX_PIXELS", "Outline", "check_runs", "draw_outline", "find_regions", "trace_outline", "unpack_runs"]

Runs = NDArray[np.int64]
Outline = Sequence[NDArray[Any]]
"""Of one object: polygons (P, 2) of x and y, whose union it is; or run lengths, one array (R,)."""

MAX_PIXELS = 80_000_000  # of one mask. Pillow itself warns of images that are slightly larger.
PACKED = re.compile("(?:[P-o]{0,6}[0-O])*")
"""Numbers of 1 to 7 characters with 5 bits each, lowest first; a character from P on is not a number's last."""


def check_runs(runs: Runs, height: int, width: int, where: str) -> Runs:
    """Raises DataError unless the run lengths sum up to the mask's area."""
    # A float sum can't overflow, and is exact up to 2**53, far above any area.
    total = float(np.sum(runs, dtype=np.float64))
    if runs.size == 0 or runs.min() < 0 or total != height * width:
        rule = f"The run lengths of a mask must sum up to its {height} x {width} = {height * width:,} pixels."
        raise DataError(rule, received=f"{runs.size:,} runs, {total:,.0f} pixels", where=where, fix="Export it again.")
    return runs


def unpack_runs(packed: str, where: str = "the mask") -> Runs:
    """Run lengths from COCO's string, in which each run from the fourth on is less the run before the last.

    Raises DataError for a string that isn't one.

    >>> unpack_runs("5X1309").tolist()
    [5, 40, 3, 40, 12]
    """
    if not PACKED.fullmatch(packed):
        rule = "Packed run lengths are numbers of 1 to 7 characters from '0' to 'o'; the last of each is below 'P'."
        raise DataError(rule, received=repr(packed[:40]), where=where, fix="Export it again.")
    bits = np.frombuffer(packed.encode(), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(bits < 32)
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    places = np.arange(len(bits)) - np.repeat(starts, ends - starts + 1)
    runs = np.add.reduceat((bits & 31) << 5 * places, starts) if len(ends) else bits
    runs = runs - ((bits[ends] >= 16).astype(np.int64) << 5 * (places[ends] + 1))
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    if runs.size and not 0 <= runs.min() <= runs.max() <= MAX_PIXELS:
        wrong = runs[(runs < 0) | (runs > MAX_PIXELS)][0]
        raise DataError(f"A run has 0 to {MAX_PIXELS:,} pixels.", received=f"{wrong:,}", where=where)
    return np.asarray(runs)


def draw_outline(outline: Outline, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of one object; (H, W).

    >>> draw_outline([np.array([1, 2, 3])], 2, 3).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    >>> draw_outline([np.array([[1.0, 0], [3, 0], [3, 2], [1, 2]])], 3, 4).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    if outline[0].ndim == 1:
        runs = outline[0]
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
    try:
        from pycocotools import mask as coco
    except ImportError as error:
        rule = "Drawing the polygons of an annotated image needs pycocotools, which is not installed."
        raise DataError(rule, fix="Install it: pip install neocog[annotations].", kind="missing-package") from error
    flat = [np.asarray(polygon, np.float64).ravel().tolist() for polygon in outline]
    with warnings.catch_warnings():  # pycocotools 2.0.11 converts to arrays as NumPy 1 did
        warnings.simplefilter("ignore", DeprecationWarning)
        mask: NDArray[np.bool_] = coco.decode(coco.merge(coco.frPyObjects(flat, height, width))).astype(bool)
    return mask


Region = tuple[NDArray[np.bool_], tuple[int, int]]
"""A part of a mask, (h, w), and the row and column of its first pixel."""


def find_regions(inside: NDArray[np.bool_]) -> Iterator[Region]:
    """The connected regions of a mask (H, W), by rows from the top; pixels that share a corner only are apart.

    >>> [(part.astype(int).tolist(), place) for part, place in find_regions(np.array([[1, 0, 1], [0, 1, 1]], bool))]
    [([[1]], (0, 0)), ([[0, 1], [1, 1]], (0, 1))]
    """
    from scipy import ndimage  # slow to import; only outlines and evaluation need it

    numbers, _ = ndimage.label(inside)
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbers), 1):
        yield numbers[rows, columns] == number, (rows.start, columns.start)


def trace_outline(inside: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Polygons (P, 2) of x and y around the pixels of a mask (H, W), whose union it is; none has a hole.

    The inverse of `draw_outline`: each polygon passes halfway between the centres of a pixel inside and its neighbour
    outside (marching squares), so drawing it gives the same pixels again. It is open: the last point is not the first.

    >>> trace_outline(np.array([[0, 1, 1]], bool))[0].tolist()
    [[1.0, 0.5], [1.5, 0.0], [2.5, 0.0], [3.0, 0.5], [2.5, 1.0], [1.5, 1.0]]
    """
    found = []
    waiting = list(find_regions(inside))[::-1]
    while waiting:
        part, (top, left) = waiting.pop()
        rings = trace_rings(part)
        if len(rings) == 1:
            found.append(rings[0] + np.array([left, top]))
            continue
        for half, (row, column) in reversed(cut_region(part, rings[1])):
            waiting += [(piece, (top + row + y, left + column + x)) for piece, (y, x) in find_regions(half)][::-1]
    return found


def trace_rings(part: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """The outer outline of one region (h, w), and after it those of its holes, each (P, 2)."""
    from contourpy import FillType, contour_generator

    values = np.pad(part, 1).astype(np.float64)
    drawn: Any = contour_generator(z=values, fill_type=FillType.OuterOffset).filled(0.5, 2.0)
    (points,), (offsets,) = drawn
    # Without the border of a pixel, and from the pixels' centres to their edges.
    return [corners_of(points[a : b - 1] - 0.5) for a, b in itertools.pairwise(offsets.tolist())]


def corners_of(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ring (P, 2) without the points that lie on a straight line between their neighbours."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return np.asarray(ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]])


def cut_region(part: NDArray[np.bool_], hole: NDArray[np.float64]) -> list[Region]:
    """The halves of a region (h, w) on both sides of a line through the middle of a hole, across its longer side."""
    low, high = hole.min(axis=0), hole.max(axis=0)
    x, y = np.ceil((low + high) / 2).astype(int).tolist()
    if high[0] - low[0] >= high[1] - low[1]:
        return [(part[:, :x], (0, 0)), (part[:, x:], (0, x))]
    return [(part[:y], (0, 0)), (part[y:], (y, 0))]
