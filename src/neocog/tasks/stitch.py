"""One mask from the logits of overlapping views, in memory that does not grow with the number of tiles."""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.views import View

__all__ = ["BinaryStitcher", "Stitcher", "edge_weights"]

MODES = {1: "linear", 2: "bilinear"}
AT_ONCE = 2**22  # values of enlarged maps that are held at once


class Stitcher:
    """The most probable class at each place of a payload.

    Where tiles overlap, their probabilities are averaged with weights that fall towards a tile's edge, where a network
    has seen little around a pixel. Tiles come row by row, so rows above the next tile are final: only those of one row
    of tiles are held, as K numbers for each place.
    """

    def __init__(self, size: tuple[int, ...], num_classes: int) -> None:
        self.size, self.num_classes = size, num_classes
        self.mask = self.empty()
        self.sure, self.done = 0.0, 0
        """The sum of the probabilities of the predicted classes, and the rows that are final."""
        self.held: Tensor | None = None
        """Probabilities of the rows from `done` on, times weights, and the weights last; (K + 1, rows, ...)."""

    def empty(self) -> NDArray[np.uint8]:
        """The result before any row is decided."""
        return np.zeros(self.size, np.uint8)

    def to_probs(self, logits: Tensor) -> Tensor:
        """Logits (K, ...) as probabilities."""
        return logits.float().softmax(dim=0)

    def decide(self, rows: slice, sums: Tensor, weights: Tensor) -> None:
        """Set these rows by the sums of their probabilities times weights, (K, rows, ...), and of weights."""
        values, found = sums.max(dim=0)
        self.mask[rows] = found.to(torch.uint8).numpy()
        self.sure += float((values / weights).double().sum())

    def add(self, view: View, logits: Tensor) -> None:
        """The logits (K, *shape) of a view."""
        if any(scale != 1 for scale in view.scale):
            self.enlarge(view, self.to_probs(logits))
            return
        start = [round(place) for place in view.origin]
        self.settle(start[0])
        part = tuple(slice(max(0, -s), n - s) for n, s in zip(self.size, start, strict=True))
        start = [max(0, place) for place in start]
        probs = self.to_probs(logits[(slice(None), *part)])
        weights = edge_weights(tuple(logits.shape[1:]))[part]
        rows = probs.shape[1]
        self.hold(rows)
        assert self.held is not None
        places = (slice(0, rows), *(slice(s, s + n) for s, n in zip(start[1:], probs.shape[2:], strict=True)))
        self.held[:-1][(slice(None), *places)] += probs.mul_(weights)
        self.held[-1][places] += weights

    def enlarge(self, view: View, probs: Tensor) -> None:
        """The probabilities of the only view, brought to the size of the payload a few rows at a time, linearly."""
        part = []
        for origin, scale, length in zip(view.origin, view.scale, self.size, strict=True):
            first = round(-origin * scale)
            part.append(slice(first, first + max(1, round(length * scale))))
        inside = probs[(slice(None), *part)]
        step = max(1, AT_ONCE // (self.num_classes * int(np.prod(self.size[1:]))))
        for first in range(0, self.size[0], step):
            rows = linear_rows(inside, self.size[0], first, min(self.size[0], first + step))
            if len(self.size) > 1:
                rows = F.interpolate(rows[None], (rows.shape[1], *self.size[1:]), mode=MODES[len(self.size)])[0]
            self.decide(slice(first, first + step), rows, torch.ones(()))
        self.done = self.size[0]

    def hold(self, rows: int) -> None:
        """Make room for this many rows."""
        there = 0 if self.held is None else self.held.shape[1]
        if there < rows:
            more = torch.zeros(self.num_classes + 1, rows - there, *self.size[1:])
            self.held = more if self.held is None else torch.cat([self.held, more], dim=1)

    def settle(self, end: int) -> None:
        """Decide the rows before `end`, to which no further tile adds anything."""
        count = end - self.done
        if count <= 0 or self.held is None:
            return
        self.decide(slice(self.done, end), self.held[:-1, :count], self.held[-1, :count])
        self.held, self.done = self.held[:, count:].clone(), end

    def finish(self) -> tuple[NDArray[np.uint8], float]:
        """The mask, and the mean probability of its classes."""
        self.settle(self.size[0])
        self.held = None
        return self.mask, self.sure / max(1, int(np.prod(self.size)))


class BinaryStitcher(Stitcher):
    """As `Stitcher`, for classes that may share a place: 1 where a class's probability is above a half, else 0."""

    def empty(self) -> NDArray[np.uint8]:
        return np.zeros((self.num_classes, *self.size), np.uint8)

    def to_probs(self, logits: Tensor) -> Tensor:
        return logits.float().sigmoid()

    def decide(self, rows: slice, sums: Tensor, weights: Tensor) -> None:
        probs = sums / weights
        self.mask[:, rows] = (probs > 0.5).to(torch.uint8).numpy()
        self.sure += float(torch.maximum(probs, 1 - probs).double().mean(dim=0).sum())


def linear_rows(maps: Tensor, length: int, first: int, end: int) -> Tensor:
    """Rows of maps that are stretched linearly to `length` rows; (K, h, ...) -> (K, end - first, ...)."""
    at = ((torch.arange(first, end, dtype=torch.float64) + 0.5) * maps.shape[1] / length - 0.5).clamp(min=0)
    above = at.long().clamp(max=maps.shape[1] - 1)
    below = (above + 1).clamp(max=maps.shape[1] - 1)
    share = (at - above).to(maps.dtype).view(1, -1, *[1] * (maps.ndim - 2))
    return maps[:, above].lerp(maps[:, below], share)


@lru_cache(maxsize=4)
def edge_weights(shape: tuple[int, ...]) -> Tensor:
    """Weights that fall linearly towards the edges, a product over axes; (*shape)."""
    weights = torch.ones(shape)
    for axis, length in enumerate(shape):
        ramp = torch.minimum(torch.arange(1, length + 1), torch.arange(length, 0, -1)).float() / ((length + 1) / 2)
        weights = weights * ramp.view([-1 if i == axis else 1 for i in range(len(shape))])
    return weights
