"""Boxes of one image from the maps of its overlapping tiles, each object once.

Neighbouring tiles share a strip, and both find what lies in it. Its middle is the seam: a tile's core reaches from seam
to seam, and a box is taken from the tile whose core holds its centre. An object that is whole in any tile is whole in
that one, because half of what fits into a strip is at most half of the strip. Two things remain:

- A centre within a few pixels of a seam may be found on the wrong side of it by one tile, or by both. Such boxes are
  taken from either tile, and two of different tiles that overlap by 0.3 or more are one object: the one in its core
  stays, or else the surer one.
- An object that is larger than a strip is whole in no tile. Its pieces end at the edges of their tiles; pieces of two
  tiles that reach through the strip they share, and agree across it, are joined into one box.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.evaluation.box_matching import overlap
from neocog.modalities.views import View, tile_starts
from neocog.tasks.centre_points import split_maps
from neocog.zoo.networks.centernet import STRIDE, peaks

__all__ = ["Gathered", "gather_boxes", "join_tiles", "suppress", "suppressed", "view_boxes"]

MARGIN = 3.0 * STRIDE  # pixels about a seam within which a centre may be found on either side
SAME = 0.3  # intersection over union from which two boxes of neighbouring tiles are one object
AGREE = 0.5  # of the extent along a seam that two pieces of an object share
REACH = 0.15  # of a box's side by which it may end before the edge of its tile and still be cut off there
WITHIN = 0.65  # of a piece's area in another tile's box from which it is a piece of that object
UNSURE = 0.3  # of the score of an object's surest piece, below which a piece is not believed

Floats = NDArray[np.float64]
Axis = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Boxes of one image, left, top, right, bottom in its pixels; (n, 4), (n,), (n,)."""

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]

    def take(self, chosen: NDArray[np.generic]) -> "Gathered":
        return Gathered(self.boxes[chosen], self.scores[chosen], self.labels[chosen])


@dataclass(frozen=True, slots=True)
class Tile:
    """The boxes of a tile whose centre is in its core or near it, and where both lie."""

    found: Gathered
    low: tuple[float, float]
    """Of the tile, along x and y."""
    high: tuple[float, float]
    cut: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    """Whether a box ends at the low or the high edge of the tile, within the image; (n, 2) each, x and y."""
    core: NDArray[np.bool_]
    """Whether the centre of a box is in the core; (n,)."""


def view_boxes(view: View, logits: Tensor, num_classes: int, most: int) -> Gathered:
    """The surest boxes of one view, from its maps (K + 4, h, w), in pixels of the payload, without those of no area."""
    boxes, scores, labels = peaks(split_maps(logits[None].float(), num_classes), most)
    places = boxes[0].double().numpy()
    origin, scale = (np.tile(pair[::-1], 2) for pair in (view.origin, view.scale))
    there = (scores[0].numpy() > 0) & np.all(places[:, 2:] > places[:, :2], axis=1)
    return Gathered(places / scale + origin, scores[0].double().numpy(), labels[0].numpy()).take(there)


def join_tiles(
    found: list[tuple[tuple[float, ...], Gathered]], size: tuple[int, ...], tile: tuple[int, int]
) -> Gathered:
    """The boxes of an image of this height and width, from those of its tiles; `found` has the origin of each."""
    tiles = [core_boxes(origin, boxes, size, tile) for origin, boxes in found]
    starts = np.cumsum([0, *(len(each.found.scores) for each in tiles)])
    every = Gathered(*(np.concatenate([getattr(x.found, name) for x in tiles]) for name in Gathered.__slots__))
    gone = np.zeros(len(every.scores), bool)
    worth = every.scores + np.concatenate([each.core for each in tiles])  # of two boxes, one in its core stays
    owner = np.arange(len(every.scores))
    for i, one in enumerate(tiles):
        for j in range(i + 1, len(tiles)):
            other = tiles[j]
            strip = [
                (max(a, b), min(c, d)) for a, b, c, d in zip(one.low, other.low, one.high, other.high, strict=True)
            ]
            if all(low < high for low, high in strip):
                same, pieces = compare_tiles(one, other, strip)
                join_pieces(owner, pieces, (starts[i], starts[j]))
                drop_doubles(owner, gone, same, worth, (starts[i], starts[j]))
    return merge(every, owner, gone)


def core_boxes(origin: tuple[float, ...], boxes: Gathered, size: tuple[int, ...], tile: tuple[int, int]) -> Tile:
    """The boxes that a tile may keep: their centre is in its core, or a few pixels beyond it."""
    low, high = [], []
    cut_low, cut_high = np.zeros((2, len(boxes.scores), 2), bool)
    kept, core = np.ones((2, len(boxes.scores)), bool)
    for axis, (start, length, side) in enumerate(reversed(list(zip(origin, size, tile, strict=True)))):
        near, far = seams_of(start, length, side)
        end = start + side
        first, last = boxes.boxes[:, axis], boxes.boxes[:, 2 + axis]
        reach = np.maximum(2.0 * STRIDE, REACH * (last - first))
        cut_low[:, axis] = (first <= start + reach) & np.isfinite(near)
        cut_high[:, axis] = (last >= end - reach) & np.isfinite(far)
        centre = (first + last) / 2
        core &= (centre >= near) & (centre < far)
        kept &= (centre >= near - MARGIN) & (centre < far + MARGIN) & (centre >= 0) & (centre < length)
        low.append(float(start))
        high.append(float(end))
    return Tile(boxes.take(kept), (low[0], low[1]), (high[0], high[1]), (cut_low[kept], cut_high[kept]), core[kept])


def seams_of(start: float, length: int, side: int) -> Axis:
    """The middles of the strips that a tile shares with the one before and the one after it, along an axis.

    >>> seams_of(64, 256, 128), seams_of(0, 100, 128)
    ((96.0, 160.0), (-inf, inf))
    """
    starts = tile_starts(length, side)
    k = starts.index(round(start))
    near = (starts[k - 1] + side + starts[k]) / 2 if k else -np.inf
    far = (starts[k] + side + starts[k + 1]) / 2 if k + 1 < len(starts) else np.inf
    return float(near), float(far)


Pairs = NDArray[np.int64]


def compare_tiles(one: Tile, other: Tile, strip: list[Axis]) -> tuple[tuple[Pairs, Floats], Pairs]:
    """Which boxes of two tiles are the same object, with their overlaps, and which are pieces of one; (p, 2) each.

    `strip` is what both tiles see, along x and y.
    """
    a, b = one.found.boxes[:, None], other.found.boxes[None]
    ends, begins = np.minimum(a[..., 2:], b[..., 2:]), np.maximum(a[..., :2], b[..., :2])
    shared = np.prod((ends - begins).clip(0), axis=2)
    areas = [np.prod(each[..., 2:] - each[..., :2], axis=2) for each in (a, b)]
    alike = (one.found.labels[:, None] == other.found.labels[None]) & (shared > 0)
    union = shared / (areas[0] + areas[1] - shared)
    near = [in_strip(each.found.boxes, strip) for each in (one, other)]
    same = alike & (union >= SAME) & near[0][:, None] & near[1][None]
    joined = np.zeros_like(alike)
    for axis in (0, 1):
        across = 1 - axis
        longest = np.maximum(a[..., 2 + across], b[..., 2 + across]) - np.minimum(a[..., across], b[..., across])
        agree = (ends - begins)[..., across] >= AGREE * longest
        facing = cut_towards(one, other, axis)[:, None], cut_towards(other, one, axis)[None]
        both = agree & facing[0] & facing[1]
        # A piece of an object that the other tile holds whole, or more of.
        part = (facing[0] & (shared >= WITHIN * areas[0])) | (facing[1] & (shared >= WITHIN * areas[1]))
        joined |= alike & (both | (part & ~same))
    same = np.argwhere(same & ~joined)
    return (same, union[same[:, 0], same[:, 1]]), np.argwhere(joined)


def cut_towards(one: Tile, other: Tile, axis: int) -> NDArray[np.bool_]:
    """Whether a box of a tile ends at an edge that the other tile reaches beyond; (n,)."""
    low, high = (cut[:, axis] for cut in one.cut)
    return np.asarray((low & (other.low[axis] < one.low[axis])) | (high & (other.high[axis] > one.high[axis])))


def in_strip(boxes: Floats, strip: list[Axis]) -> NDArray[np.bool_]:
    """Whether the centre of a box is in what two tiles share; (n, 4) -> (n,)."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = [(centre[:, axis] >= low) & (centre[:, axis] <= high) for axis, (low, high) in enumerate(strip)]
    return np.asarray(inside[0] & inside[1])


def join_pieces(owner: Pairs, pieces: Pairs, starts: tuple[int, int]) -> None:
    """Give the pieces of an object one owner, in place; the owners of pieces of pieces follow in `merge`."""
    for row, column in (pieces + np.array(starts)).tolist():
        unite(owner, row, column)


def unite(owner: Pairs, one: int, other: int) -> None:
    first, second = root(owner, one), root(owner, other)
    owner[max(first, second)] = min(first, second)


def root(owner: Pairs, place: int) -> int:
    while owner[place] != place:
        place = int(owner[place])
    return place


def drop_doubles(
    owner: Pairs, gone: NDArray[np.bool_], same: tuple[Pairs, Floats], worth: Floats, starts: tuple[int, int]
) -> None:
    """Of two boxes of one object drop that of less worth, in place; those that overlap most first, each box once."""
    pairs, overlaps = same
    used = set[int]()
    for place in np.argsort(-overlaps, kind="stable").tolist():
        row, column = int(pairs[place, 0] + starts[0]), int(pairs[place, 1] + starts[1])
        if row in used or column in used or gone[row] or gone[column]:
            continue
        used |= {row, column}
        gone[column if worth[row] >= worth[column] else row] = True
        unite(owner, row, column)


def merge(every: Gathered, owner: Pairs, gone: NDArray[np.bool_]) -> Gathered:
    """The boxes that remain, pieces joined: the smallest box around them, with the score of the surest.

    Pieces that are much less sure than the surest don't make it larger.
    """
    roots = np.array([root(owner, place) for place in range(len(owner))], np.int64)
    several = np.bincount(roots, minlength=len(owner))[roots] > 1
    boxes, scores, kept = every.boxes.copy(), every.scores.copy(), np.ones(len(roots), bool)
    for place in np.unique(roots[several]).tolist():
        members = np.flatnonzero(roots == place)
        scores[place] = every.scores[members].max()
        staying = members[~gone[members]]
        sure = staying[every.scores[staying] >= UNSURE * every.scores[staying].max()]
        boxes[place] = [*every.boxes[sure, :2].min(axis=0), *every.boxes[sure, 2:].max(axis=0)]
        kept[members] = members == place
    return Gathered(boxes, scores, every.labels).take(kept)


def suppress(found: Gathered, most: float) -> Gathered:
    """Without boxes that a surer one of their class, which stays, overlaps by more than `most`; with 1 all stay.

    Peaks of one object that lie apart give boxes that overlap. The paper, with many training images, does without.

    >>> boxes = np.array([[0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 5.0, 4.0], [9.0, 0.0, 12.0, 4.0]])
    >>> suppress(Gathered(boxes, np.array([0.5, 0.9, 0.4]), np.zeros(3, np.int64)), 0.5).scores.tolist()
    [0.9, 0.4]
    """
    return found if most >= 1 else found.take(suppressed(found, most))


def suppressed(found: Gathered, most: float) -> NDArray[np.bool_]:
    """Which boxes `suppress` leaves; (n,)."""
    kept = np.ones(len(found.scores), bool)
    order = np.lexsort((-found.scores, found.labels))
    starts = np.flatnonzero(np.append(True, np.diff(found.labels[order]) != 0)) if len(order) else np.empty(0, np.int64)
    for rows in np.split(order, starts[1:]):
        boxes = found.boxes[rows]
        for place, row in enumerate(rows.tolist()):
            if kept[row]:
                later = slice(place + 1, None)
                near = overlap(boxes[place : place + 1], boxes[later], np.zeros(len(rows) - place - 1, bool)) > most
                kept[rows[later][near]] = False
    return kept


def gather_boxes(found: Gathered, size: tuple[int, ...]) -> Gathered:
    """Boxes cut off at the edges of the image, height and width, the surest first; without those centred outside."""
    ends = np.array([size[1], size[0]])
    centre = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    boxes = found.boxes.clip(0, np.tile(ends, 2))
    there = np.all((boxes[:, 2:] > boxes[:, :2]) & (centre >= 0) & (centre < ends), axis=1)
    cut = Gathered(boxes, found.scores, found.labels).take(there)
    return cut.take(np.argsort(-cut.scores, kind="stable"))
