"""Masks as COCO writes them: run lengths, plain or packed in a string, and polygons.

A mask is read column by column, top to bottom; `counts` are the lengths of its runs of no, yes, no, yes, ...
Source: pycocotools, common/maskApi.c (Dollar and Lin 2014), to which every function here is equal bit for bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = [
    "MAX_PIXELS",
    "Counts",
    "Outline",
    "check_counts",
    "counts_mask",
    "mask_counts",
    "outline_mask",
    "pack_counts",
    "polygon_counts",
    "unpack_counts",
]

Counts = NDArray[np.int64]
Outline = Sequence[NDArray[Any]]
"""Of one object: polygons (P, 2) of x and y, of which it is the union; or run lengths, one array (R,)."""

MAX_PIXELS = 80_000_000
"""Of one mask. Pillow itself warns of pictures a little above."""
FINE = 5
"""COCO draws polygons on a grid that is finer by this factor."""
LONGEST = 7
"""Characters of one packed number; of 5 bits each."""


def counts_mask(counts: Counts, height: int, width: int) -> NDArray[np.bool_]:
    """The mask that has these runs, which must sum up to its area; (R,) -> (H, W).

    >>> counts_mask(np.array([1, 2, 3]), 2, 3).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def mask_counts(mask: NDArray[np.bool_]) -> Counts:
    """The run lengths of a mask; (H, W) -> (R,).

    >>> mask_counts(np.array([[False, True, False], [True, False, False]])).tolist()
    [1, 2, 3]
    """
    flat = np.asarray(mask, bool).T.ravel()
    ends = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff(np.concatenate([[0], ends, [flat.size]])).astype(np.int64)


def check_counts(counts: Counts, height: int, width: int, where: str) -> Counts:
    """Raises DataError where runs do not sum up to the mask's area."""
    # A float sum can't overflow, and is exact up to 2**53, far above any area.
    total = float(np.sum(counts, dtype=np.float64))
    if counts.size == 0 or counts.min() < 0 or total != height * width:
        raise DataError(
            f"The runs of a mask must sum up to its {height} x {width} = {height * width:,} pixels. Received: "
            f"{counts.size:,} runs, {total:,.0f} pixels, in {where}. Export it again."
        )
    return counts


def pack_counts(counts: Counts) -> str:
    """Run lengths as COCO's string: from the fourth on less the run before the last; 5 bits a character.

    >>> pack_counts(np.array([5, 40, 3, 40, 12]))
    '5X1309'
    """
    values = counts.astype(np.int64).copy()
    values[3:] -= counts[1:-2]
    packed = []
    for value in values.tolist():
        more = True
        while more:
            low, value = value & 0x1F, value >> 5
            more = value != (-1 if low & 0x10 else 0)
            packed.append(chr(48 + (low | 0x20 if more else low)))
    return "".join(packed)


def unpack_counts(packed: str, where: str = "the mask") -> Counts:
    """The inverse of `pack_counts`. Raises DataError for a string that it can't have written.

    >>> unpack_counts("5X1309").tolist()
    [5, 40, 3, 40, 12]
    """
    counts: list[int] = []
    value = shift = 0
    for character in packed:
        low = ord(character) - 48
        if not 0 <= low < 64 or shift >= 5 * LONGEST:
            raise DataError(f"Packed runs are characters from '0' to 'o'. Received: {packed[:40]!r}, in {where}.")
        value |= (low & 0x1F) << shift
        shift += 5
        if low & 0x20:
            continue
        if low & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        if not 0 <= counts[-1] <= MAX_PIXELS:
            raise DataError(f"A run has 0 to {MAX_PIXELS:,} pixels. Received: {counts[-1]:,}, in {where}.")
        value = shift = 0
    if shift:
        raise DataError(f"Packed runs are truncated. Received: ...{packed[-40:]!r}, in {where}.")
    return np.array(counts, np.int64)


def outline_mask(outline: Outline, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of one object; (H, W)."""
    mask = np.zeros((height, width), bool)
    for part in outline:
        counts = part if part.ndim == 1 else polygon_counts(part, height, width)
        mask |= counts_mask(counts, height, width)
    return mask


def polygon_counts(polygon: NDArray[np.float64], height: int, width: int) -> Counts:
    """The runs, some of them empty, of what a polygon encloses, by the even-odd rule; (P, 2) of x and y -> (R,).

    >>> counts_mask(polygon_counts(np.array([[1, 0], [3, 0], [3, 2], [1, 2]]), 3, 4), 3, 4).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    corners = (FINE * polygon + 0.5).astype(np.int64).tolist()
    pairs = zip(corners, corners[1:] + corners[:1], strict=True)
    crossings = [crossed(start, end, height, width) for start, end in pairs]
    return np.diff(np.sort(np.concatenate([*crossings, [height * width]])), prepend=0).astype(np.int64)


def crossed(start: list[int], end: list[int], height: int, width: int) -> Counts:
    """The places, counted column by column, at which an edge crosses the middle of a column."""
    (x0, y0), (x1, y1) = start, end
    flat = abs(x1 - x0) >= abs(y1 - y0)
    if (x0 > x1) if flat else (y0 > y1):
        (x0, y0), (x1, y1) = (x1, y1), (x0, y0)
    steps = np.arange((x1 - x0 if flat else y1 - y0) + 1)
    if flat:
        x, y = x0 + steps, (y0 + (y1 - y0) / max(1, x1 - x0) * steps + 0.5).astype(np.int64)
    else:
        x, y = (x0 + (x1 - x0) / (y1 - y0) * steps + 0.5).astype(np.int64), y0 + steps
    left, upper = np.minimum(x[1:], x[:-1]), np.minimum(y[1:], y[:-1])
    column, off = np.divmod(left - FINE // 2, FINE)
    here = (x[1:] != x[:-1]) & (off == 0) & (column >= 0) & (column < width)
    rows = -((FINE // 2 - upper[here]) // FINE)
    places: Counts = column[here] * height + np.clip(rows, 0, height)
    return places
