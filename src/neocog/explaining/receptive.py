"""The receptive field of a unit: its box on the input, its true support, and where its gradient is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.explaining.tape import at_once
from neocog.planning import fields

__all__ = ["Box", "EffectiveField", "box", "effective_field", "support"]

Box = tuple[tuple[int, int], ...]
"""The first and last place along each axis of the input, both included."""
ENERGY = 0.95  # of the gradient that the effective field holds


def support(explainer: Explainer, layer: Layer, unit: Sequence[int], channel: int | None = None) -> NDArray[np.bool_]:
    """The values of the input that a unit is made of, (*input shape) of bool; of all channels, unless one is given.

    `unit` is a place in the layer's feature maps, one number for each axis. Padding is not of the input, so the support
    is smaller at the border. Raises ConfigError for a unit that the layer does not have.
    """
    grid = Grid.of(explainer, layer)
    place = grid.index(tuple(unit), channel)
    return fields.support(explainer.layers.plan.trace, grid.value, place)  # type: ignore[arg-type]


def box(explainer: Explainer, layer: Layer, unit: Sequence[int], channel: int | None = None) -> Box | None:
    """The receptive field of a unit on the input, clipped at the border; None if the unit reads nothing of it.

    The first and last place along each axis. Raises ConfigError for a unit that the layer does not have.

    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.MaxPool2d(2))
    >>> explainer = Explainer(net, (1, 8, 8))
    >>> box(explainer, explainer.layers["1"], (0, 1))
    ((0, 2), (1, 4))
    """
    return around(support(explainer, layer, unit, channel), len(explainer.layers.plan.axes))


def around(marks: NDArray[np.bool_], axes: int) -> Box | None:
    """The smallest box that holds all marks, along the last `axes` dimensions."""
    places = np.nonzero(marks)[marks.ndim - axes :]
    return tuple((int(along.min()), int(along.max())) for along in places) if places[0].size else None


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveField:
    """How strongly a unit depends on each place of the input."""

    energy: Tensor
    """The squared gradient at each place, summed over channels, the mean over inputs; (*places of the input)."""
    centre: tuple[float, ...]
    """Of the theoretical field, padding included."""
    box: Box | None
    """The theoretical field, clipped at the border."""
    side_95: int
    """The side of the smallest box around the centre that holds 95% of the energy; 0 if there is no gradient at all."""
    share: float
    """The part of the theoretical field, as an area on the input, that this box covers; 0 to 1."""


def effective_field(
    explainer: Explainer, layer: Layer, unit: Sequence[int], inputs: Tensor, channel: int | None = None
) -> EffectiveField:
    """The effective receptive field of a unit over inputs (N, *shape), normalised.

        energy[i, j] = mean over inputs of sum_c (dy / dx[c, i, j])^2

    y is the unit of one channel, or of all channels added up, as in Luo et al. 2016, "Understanding the effective
    receptive field in deep convolutional neural networks", section 3. Raises ConfigError for a unit that the layer does
    not have.

    >>> net = torch.nn.Conv2d(1, 1, 5, padding=2)
    >>> _ = torch.nn.init.ones_(net.weight)
    >>> explainer = Explainer(net, (1, 9, 9))
    >>> found = effective_field(explainer, explainer.layers[0], (4, 4), torch.zeros(1, 1, 9, 9))
    >>> found.side_95, found.share, found.energy.sum().item()
    (5, 1.0, 25.0)
    """
    grid = Grid.of(explainer, layer)
    place = tuple(unit)
    grid.check(place, channel)
    total = torch.zeros(explainer.layers.plan.axes, dtype=torch.float64)
    for part in torch.split(inputs, at_once(inputs)):
        tape = explainer.tape(part, [layer])
        picked = grid.maps(tape.values[layer])[:, slice(None) if channel is None else channel, *place]
        (gradient,) = tape.gradient(picked)
        squares = gradient.double().square()
        total += squares.reshape(len(part), -1, *total.shape).sum((0, 1)).cpu()
    energy = total / max(len(inputs), 1)
    seen = box(explainer, layer, place, channel)
    centre = field_centre(layer, grid, place, seen)
    side, share = concentration(energy.numpy(), centre, seen)
    return EffectiveField(energy, centre, seen, side, share)


def field_centre(layer: Layer, grid: Grid, unit: tuple[int, ...], seen: Box | None) -> tuple[float, ...]:
    """The middle of a unit's field, padding included; of its box, if the field is of all units together."""
    at = dict(zip(grid.input_axes, unit, strict=True))
    middles = []
    for axis, field in enumerate(layer.row.fields):
        window = field.box(at.get(axis, 0))
        if window is None or field.stride == 0:
            window = seen[axis] if seen else (0, 0)
        middles.append((window[0] + window[1]) / 2)
    return tuple(middles)


def concentration(energy: NDArray[np.float64], centre: Sequence[float], seen: Box | None) -> tuple[int, float]:
    """The side of the centred box that holds 95% of the energy, and the share of the field that it covers."""
    if seen is None or not energy.sum() > 0:
        return 0, 0.0
    grids = np.meshgrid(*(np.arange(size) for size in energy.shape), indexing="ij")
    reach = np.max([np.abs(grid - middle) for grid, middle in zip(grids, centre, strict=True)], axis=0)
    distances, inverse = np.unique(reach, return_inverse=True)
    held = np.cumsum(np.bincount(inverse.ravel(), energy.ravel())) / energy.sum()
    least = distances[int(np.searchsorted(held, ENERGY - 1e-12))]
    inside = np.zeros(energy.shape, bool)
    inside[tuple(slice(low, high + 1) for low, high in seen)] = True
    return int(np.ceil(2 * least)) + 1, float((inside & (reach <= least)).sum() / inside.sum())
