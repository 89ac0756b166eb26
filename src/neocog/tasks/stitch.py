"""One mask from the logits of overlapping views, in memory that does not grow with the number of tiles."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.views import View

__all__ = ["Stitcher"]

MODES = {1: "linear", 2: "bilinear"}
AT_ONCE = 2**25  # values of enlarged maps that are held at once


class Stitcher:
    """The most probable class at each place of a payload.

    Where tiles overlap, their probabilities are averaged with weights that fall towards a tile's edge, where a network
    has seen little around a pixel. Tiles come row by row, so rows above the next tile are final: only those of one row
    of tiles are held, as K numbers for each place.
    """

    def __init__(self, size: tuple[int, ...], num_classes: int) -> None:
        self.size, self.num_classes = size, num_classes
        self.mask = np.zeros(size, np.uint8)
        self.sure, self.done = 0.0, 0
        """The sum of the probabilities of the predicted classes, and the rows that are final."""
        self.held: Tensor | None = None
        """Probabilities of the rows from `done` on, times weights, and the weights last; (K + 1, rows, ...)."""

    def add(self, view: View, logits: Tensor) -> None:
        """The logits (K, *shape) of a view."""
        probs = logits.float().softmax(dim=0)
        if any(scale != 1 for scale in view.scale):
            self.whole(view, probs)
            return
        start = [round(place) for place in view.origin]
        self.settle(start[0])
        part = tuple(slice(0, n - s) for n, s in zip(self.size, start, strict=True))
        probs = probs[(slice(None), *part)]
        weights = edge_weights(tuple(logits.shape[1:]))[part]
        rows = probs.shape[1]
        self.hold(rows)
        assert self.held is not None
        place = (
            slice(None),
            slice(0, rows),
            *(slice(s, s + n) for s, n in zip(start[1:], probs.shape[2:], strict=True)),
        )
        held = self.held[place]
        held[:-1] += probs * weights
        held[-1] += weights

    def whole(self, view: View, probs: Tensor) -> None:
        """The probabilities of the only view, brought to the size of the payload a few classes at a time."""
        part = []
        for origin, scale, length in zip(view.origin, view.scale, self.size, strict=True):
            first = round(-origin * scale)
            part.append(slice(first, first + max(1, round(length * scale))))
        inside = probs[(slice(None), *part)]
        best = torch.full(self.size, -1.0)
        mask = torch.zeros(self.size, dtype=torch.uint8)
        step = max(1, AT_ONCE // int(np.prod(self.size)))
        for first in range(0, self.num_classes, step):
            maps = F.interpolate(inside[None, first : first + step], self.size, mode=MODES[len(self.size)])[0]
            values, found = maps.max(dim=0)
            higher = values > best
            best = torch.where(higher, values, best)
            mask[higher] = (found + first).to(torch.uint8)[higher]
        self.mask[:] = mask.numpy()
        self.sure, self.done = float(best.double().sum()), self.size[0]

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
        values, found = self.held[:-1, :count].max(dim=0)
        self.mask[self.done : end] = found.to(torch.uint8).numpy()
        self.sure += float((values / self.held[-1, :count]).double().sum())
        self.held, self.done = self.held[:, count:].clone(), end

    def finish(self) -> tuple[NDArray[np.uint8], float]:
        """The mask, and the mean probability of its classes."""
        self.settle(self.size[0])
        self.held = None
        return self.mask, self.sure / max(1, self.mask.size)


def edge_weights(shape: tuple[int, ...]) -> Tensor:
    """Weights that fall linearly towards the edges, a product over axes; (*shape)."""
    weights = torch.ones(shape)
    for axis, length in enumerate(shape):
        ramp = torch.minimum(torch.arange(1, length + 1), torch.arange(length, 0, -1)).float() / ((length + 1) / 2)
        weights = weights * ramp.view([-1 if i == axis else 1 for i in range(len(shape))])
    return weights
