"""Predicted boxes matched to true ones, as COCO's evaluation does, for all images at once.

Within an image and a class, boxes are taken from the surest on; each takes the true box with which it overlaps most,
unless a surer one has taken that. This is done for several overlaps that count as a match, and several ranges of area.
The k-th box of all images is matched in one step: images and classes are independent of each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import CROWD

__all__ = ["AREAS", "OVERLAPS", "FoundBoxes", "Matches", "TrueBoxes", "match_boxes", "overlap"]

OVERLAPS = np.linspace(0.5, 0.95, 10)
"""Intersection over union from which a box counts as found; cocodataset.org, "Detection evaluation"."""
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Ranges of area in square pixels, both ends included."""
PAIRS = 2**22  # of predicted and true boxes that are compared at once
NEARLY_ONE = 1 - 1e-10  # the highest overlap that is asked for

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """Predicted boxes of many images."""

    images: Numbers
    """The number of the image of each; (n,)."""
    boxes: Floats
    """Left, top, right, bottom in pixels; (n, 4)."""
    labels: Numbers
    scores: Floats


@dataclass(frozen=True, slots=True)
class TrueBoxes:
    """The objects of many images."""

    images: Numbers
    """The number of the image of each; (m,)."""
    boxes: Floats
    """Left, top, right, bottom in pixels; (m, 4)."""
    labels: Numbers
    ignored: NDArray[np.uint8]
    """As in `neocog.dataset.record.Objects`."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Predicted boxes by image, then class, then falling score, and what each of them met."""

    found: FoundBoxes
    hit: Flags
    """Whether it took a true box; (areas, overlaps, n)."""
    ignored: Flags
    """Whether it counts neither as right nor as wrong; (areas, overlaps, n)."""
    truth: TrueBoxes
    counted: Flags
    """Whether a true box is to be found; (areas, m)."""
    taken: Flags
    """Whether a predicted box took it; (areas, overlaps, m)."""


def overlap(found: Floats, true: Floats, crowd: Flags) -> Floats:
    """Intersection over union of pairs of boxes, or over the predicted box alone for a crowd; (p, 4), (p, 4) -> (p,).

    Computed from widths and heights, as pycocotools does, so that both agree to the last bit.

    >>> box = np.array([[0.0, 0.0, 2.0, 2.0]])
    >>> overlap(box, np.array([[1.0, 0.0, 3.0, 2.0]]), np.array([False])).round(4).tolist()
    [0.3333]
    """
    sides, true_sides = found[:, 2:] - found[:, :2], true[:, 2:] - true[:, :2]
    ends = np.minimum(found[:, :2] + sides, true[:, :2] + true_sides)
    both = (ends - np.maximum(found[:, :2], true[:, :2])).clip(0)
    shared = both[:, 0] * both[:, 1]
    area, true_area = sides[:, 0] * sides[:, 1], true_sides[:, 0] * true_sides[:, 1]
    whole = np.where(crowd, area, area + true_area - shared)
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0))


def match_boxes(
    found: FoundBoxes,
    truth: TrueBoxes,
    *,
    most: int = 100,
    overlaps: Floats = OVERLAPS,
    areas: tuple[tuple[float, float], ...] = tuple(AREAS.values()),
) -> Matches:
    """Match boxes; of each image and class only the `most` surest take part.

    A true box that is ignored, or whose area is out of range, is taken only by a predicted box that takes no other,
    and that one then counts neither way; an ignored one may be taken any number of times. Source: pycocotools'
    `COCOeval`, whose crowds are our ignored objects, and whose figures follow from the result.
    """
    num_labels = 1 + max(*(int(x.labels.max(initial=0)) for x in (found, truth)), 0)
    keys = found.images * num_labels + found.labels
    order = np.lexsort((-found.scores, keys))
    rank = ranks(keys[order])
    order, rank = order[rank < most], rank[rank < most]
    found = FoundBoxes(found.images[order], found.boxes[order], found.labels[order], found.scores[order])
    true_keys = truth.images * num_labels + truth.labels
    order = np.argsort(true_keys, kind="stable")
    truth = TrueBoxes(truth.images[order], truth.boxes[order], truth.labels[order], truth.ignored[order])
    size = area_of(truth.boxes)
    outside = np.stack([(size < low) | (size > high) for low, high in areas])
    counted = ~outside & (truth.ignored == 0)
    shape = (len(areas), len(overlaps))
    hit, ignored = np.zeros((*shape, len(rank)), bool), np.zeros((*shape, len(rank)), bool)
    taken = np.zeros((*shape, len(true_keys)), bool)
    lowest = np.minimum(overlaps, NEARLY_ONE)
    boxes, true, values = pairs_of(found, truth, keys=(found.images * num_labels + found.labels, true_keys[order]),
                                   least=float(lowest.min()))  # fmt: skip
    order = np.lexsort((true, values, boxes, rank[boxes]))
    boxes, true, values = boxes[order], true[order], values[order]
    for part in runs(rank[boxes]):
        take(part, boxes[part], true[part], values[part] >= lowest[:, None], truth.ignored > 0, counted, taken, hit,
             ignored)  # fmt: skip
    size = area_of(found.boxes)
    outside = np.stack([(size < low) | (size > high) for low, high in areas])
    ignored |= ~hit & outside[:, None]
    return Matches(found, hit, ignored, truth, counted, taken)


def take(
    part: slice, boxes: Numbers, true: Numbers, enough: Flags, again: Flags, counted: Flags, taken: Flags,
    hit: Flags, ignored: Flags,
) -> None:  # fmt: skip
    """Let one predicted box of each image and class take its true box; fills `taken`, `hit` and `ignored`.

    `boxes` and `true` are pairs (p,), those of a box together, the best last; `enough` (overlaps, p): whether they
    overlap enough; `again` (m,): what may be taken any number of times.
    """
    starts = np.flatnonzero(np.append(True, boxes[1:] != boxes[:-1]))
    free = (~taken[:, :, true] | again[true]) & enough
    place, counts = np.arange(len(boxes)), counted[:, None, true]
    # The last pair of a box is its best; one that counts comes before any that does not.
    best, other = (
        np.maximum.reduceat(np.where(free & chosen, place, -1), starts, axis=2) for chosen in (counts, ~counts)
    )
    best = np.where(best >= 0, best, other)
    areas, overlaps, rows = np.nonzero(best >= 0)
    took, which = boxes[starts][rows], true[best[areas, overlaps, rows]]
    hit[areas, overlaps, took] = True
    ignored[areas, overlaps, took] = ~counted[areas, which]
    taken[areas, overlaps, which] = True


def pairs_of(
    found: FoundBoxes, truth: TrueBoxes, keys: tuple[Numbers, Numbers], least: float
) -> tuple[Numbers, Numbers, Floats]:
    """Predicted and true boxes of one image and class that overlap by `least` or more, and by how much; (p,) each.

    `keys` number image and class of both; those of true boxes are sorted.
    """
    first, last = np.searchsorted(keys[1], keys[0], "left"), np.searchsorted(keys[1], keys[0], "right")
    counts = last - first
    kept: list[tuple[Numbers, Numbers, Floats]] = []
    for rows in chunks(counts):
        boxes = np.repeat(rows, counts[rows])
        true = np.arange(len(boxes)) + np.repeat(first[rows] - (np.cumsum(counts[rows]) - counts[rows]), counts[rows])
        values = overlap(found.boxes[boxes], truth.boxes[true], truth.ignored[true] == CROWD)
        enough = values >= least
        kept.append((boxes[enough], true[enough], values[enough]))
    if not kept:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    boxes, true, values = (np.concatenate(column) for column in zip(*kept, strict=True))
    return boxes, true, values


def chunks(counts: Numbers) -> Iterator[Numbers]:
    """Rows, (n,), in parts whose counts add up to about as many pairs as fit in memory."""
    parts = np.cumsum(counts) // PAIRS
    for part in runs(parts):
        yield np.arange(part.start, part.stop)


def runs(values: Numbers) -> Iterator[slice]:
    """The slices of equal values in a row."""
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) + 1 if len(values) else np.empty(0, np.int64)
    start = 0
    for end in ends.tolist():
        yield slice(start, end)
        start = end


def ranks(keys: Numbers) -> Numbers:
    """The place of each within its run of equal keys; (n,) -> (n,).

    >>> ranks(np.array([4, 4, 7, 7, 7])).tolist()
    [0, 1, 0, 1, 2]
    """
    place = np.arange(len(keys))
    first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    return np.asarray(place - np.maximum.accumulate(np.where(first, place, 0)))


def area_of(boxes: Floats) -> Floats:
    """Width times height; (n, 4) -> (n,)."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
