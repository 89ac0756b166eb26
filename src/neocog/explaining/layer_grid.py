"""The feature maps of a layer before and after a change of the input, compared unit by unit."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.arithmetic import Field
from neocog.explaining.explainer import Explainer
from neocog.explaining.input_changes import Affine, sample
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid

__all__ = ["Compared", "LayerGrid", "distance"]

SHARE = 0.05  # of a layer's units that must remain for those whose field meets the border to be left out
Compared = tuple[float, float, float, bool]
"""Invariance, equivariance, the share of units that were compared, and whether whole fields decided which."""


class LayerGrid:
    """The fields of a layer's units on the input."""

    def __init__(self, explainer: Explainer, layer: Layer) -> None:
        self.grid = Grid.of(explainer, layer)
        fields, places = layer.row.fields, self.grid.places
        self.moves = (
            len(places) == len(explainer.layers.plan.axes)
            and max(places, default=1) > 1
            and all(field.stride != 0 for field in fields)
        )
        """Whether the layer has places that move with the input."""
        if self.moves:
            self.strides = np.array([float(field.stride) for field in fields])
            self.first = np.array([first_centre(field) for field in fields])
            self.boxes = [unit_boxes(field, size) for field, size in zip(fields, places, strict=True)]

    def maps(self, values: Tensor) -> Tensor:
        """The layer's output as (N, C, *places)."""
        return self.grid.maps(values)

    def compare(
        self, before: Tensor, after: Tensor, affine: Affine | None, outside: NDArray[np.bool_] | None
    ) -> Compared:
        """Feature maps (N, C, *places) before and after a change.

        `affine` says where in the unchanged input each place of the changed one is from, and `outside` marks what the
        change brought in; None for a change that moves nothing.
        """
        if affine is None or outside is None or not self.moves:
            return distance(after, before), np.nan, 1.0, False
        centres = self.centres()
        column = (..., *[None] * len(centres))
        sources = affine.sources(np.stack(np.meshgrid(*centres, indexing="ij")))
        units = np.round((sources - self.first[column]) / self.strides[column], 6)
        carried, within = sample(before, units)
        whole = torch.from_numpy(self.whole(np.zeros_like(outside))).double()
        free = self.whole(outside) & within & (sample(whole[None, None], units)[0][0, 0].numpy() > 1 - 1e-6)
        strict = bool(free.mean() >= SHARE)
        compared = free if strict else within & self.centred(outside)
        if not compared.any():
            return np.nan, np.nan, 0.0, False
        mask = torch.from_numpy(compared).to(before.device)
        now, then, expected = (each[:, :, mask] for each in (after, before, carried))
        return distance(now, then), distance(now, expected), float(compared.mean()), strict

    def centres(self) -> list[NDArray[np.float64]]:
        """The centres of the units' fields along each axis."""
        rows = zip(self.first, self.strides, self.grid.places, strict=True)
        return [first + stride * np.arange(size) for first, stride, size in rows]

    def whole(self, outside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each unit's field is on the input as a whole, and free of what is marked; (*places)."""
        counts, area = (~outside).astype(np.int64), np.ones([1] * outside.ndim, np.int64)
        for axis, (low, high) in enumerate(self.boxes):
            size = outside.shape[axis]
            sums = np.insert(np.cumsum(counts, axis), 0, 0, axis)
            counts = np.take(sums, np.clip(high + 1, 0, size), axis) - np.take(sums, np.clip(low, 0, size), axis)
            area = area * (high + 1 - low).reshape([-1 if axis == other else 1 for other in range(outside.ndim)])
        return np.asarray(counts == area)

    def centred(self, outside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether the centre of each unit's field is on the input, and not on what is marked; (*places)."""
        rounded = np.stack(np.meshgrid(*(np.round(along).astype(int) for along in self.centres()), indexing="ij"))
        last = np.array(outside.shape).reshape(-1, *[1] * outside.ndim) - 1
        there = ((rounded >= 0) & (rounded <= last)).all(0)
        return np.asarray(there & ~outside[tuple(np.clip(rounded, 0, last))])


def first_centre(field: Field) -> float:
    """The centre of unit 0's field; where units take turns behind upsampling, the mean of what each says."""
    return float(np.mean([float(window.centre) for window in field.windows if window]))


def unit_boxes(field: Field, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and last place of each unit's field, padding included; (size,) each. One that sees nothing is empty."""
    boxes = np.array([field.box(unit) or (0, -1) for unit in range(size)])
    return boxes[:, 0], boxes[:, 1]


def distance(now: Tensor, then: Tensor) -> float:
    """|now - then| / |then|; 0 if both are nothing.

    >>> distance(torch.tensor([3.0, 1.0]), torch.tensor([3.0, 4.0]))
    0.6
    """
    size = float(then.double().norm())
    apart = float((now.double() - then.double()).norm())
    return apart / size if size else (0.0 if not apart else float("inf"))
