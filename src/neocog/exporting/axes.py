"""The places along one axis of any length, as operations that a graph holds: resizing, tiles, and what they cover.

Sizes are known only when a graph runs. What follows from them is computed as tensors, in float64 as on the host.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from neocog.modalities.views import OVERLAP

__all__ = ["Spread", "Tiles", "blend", "cut", "enlarge", "number", "resize_weights", "tiles_of"]

FINE = 512
"""Steps of a pixel that the sizes of images, up to 2^13, leave exact in float32."""
Length = Any  # int, or torch.SymInt in a graph
COVERS = 3
"""Tiles that a place can lie in at most: they begin more than half of a step apart, and a step is 3/4 of a tile."""


def number(length: Length) -> Tensor:
    """A size as a tensor; () float64."""
    return torch.full((), length, dtype=torch.float64)


class Spread(NamedTuple):
    """A stretch of an axis, and the part of another axis to which it is brought; () float64 each."""

    begin: Tensor
    end: Tensor
    parts: Tensor
    """How many places it becomes."""
    offset: Tensor
    """The first of these."""


def resize_weights(length: Length, size: int, spread: Spread) -> Tensor:
    """The weights of Pillow's antialiased bilinear resize of one axis; (size, length) float64, 0 beyond the parts.

        w[i, x] = max(0, 1 - |x + 1/2 - c[i]| / max(1, s)),  c[i] = begin + (i + 1/2) s,  s = (end - begin) / parts

    and each row is divided by its sum. Whole numbers and fractions of c are kept apart, since some engines compute in
    float32, where a place beyond 500 has an error of 1e-5. Source: `precompute_coeffs` of Pillow's Resample.c, whose box is float32.
    """
    begin, extent = spread.begin.float().double(), (spread.end.float() - spread.begin.float()).double()
    scale = extent / spread.parts
    coarse = torch.floor(scale * FINE) / FINE
    rest = (extent - spread.parts * coarse) / spread.parts
    rows = torch.arange(size, dtype=torch.float64) - spread.offset
    steps = (rows + 0.5) * coarse
    whole = steps.floor() + begin.floor()
    part = (steps - steps.floor()) + (rows + 0.5) * rest + (begin - begin.floor())
    places = torch.arange(length, dtype=torch.float64)
    away = (places - whole[:, None]) + 0.5 - part[:, None]
    raw = (1 - away.abs() / scale.clamp(min=1)).clamp(min=0)
    inside = (rows >= 0) & (rows < spread.parts)
    weights = raw / raw.sum(dim=1, keepdim=True).clamp(min=1e-12)
    return weights * inside[:, None].double()


class Tiles(NamedTuple):
    """Overlapping tiles of an axis."""

    length: Length
    count: Length
    starts: Tensor
    """(count,) int64."""
    size: int


def tiles_of(length: Length, size: int) -> Tiles:
    """Where tiles begin, as `neocog.modalities.views.tile_starts` has it.

    >>> tiles_of(256, 128).starts.tolist(), tiles_of(100, 128).starts.tolist()
    ([0, 64, 128], [0])
    """
    step = max(1, int(size * (1 - OVERLAP)))
    more = torch.sym_max(length - size, 0)
    count = (more + step - 1) // step + 1
    gaps = number(count - 1).clamp(min=1)
    starts = (torch.arange(count, dtype=torch.float64) * number(more) / gaps).round().long()
    return Tiles(length, count, starts, size)


def cut(values: Tensor, axis: int, tiles: Tiles) -> tuple[Tensor, Tensor]:
    """The tiles of an axis one behind the other, and where they lie inside of it; (..., L, ...) -> (..., T, ...), (T,).

    T is count times size. Beyond the end the last value is repeated.
    """
    places = (tiles.starts[:, None] + torch.arange(tiles.size)).flatten()
    last = number(tiles.length).long() - 1
    return values.index_select(axis, torch.minimum(places, last)), places <= last


def blend(values: Tensor, axis: int, tiles: Tiles) -> tuple[Tensor, Tensor]:
    """Tiles one behind the other put together again, and the sum of their weights; (..., T, ...) -> (..., L, ...), (L,).

    Weights fall linearly towards the edges of a tile, as in `neocog.tasks.stitch.edge_weights`.
    """
    places = torch.arange(tiles.length)
    first = (tiles.starts[None] + tiles.size <= places[:, None]).long().sum(dim=1)
    ahead = torch.arange(1, tiles.size + 1)
    ramp = torch.minimum(ahead, ahead.flip(0)).float() / ((tiles.size + 1) / 2)
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    total, weights = torch.zeros(()), torch.zeros(())
    last = number(tiles.count).long() - 1
    for later in range(COVERS):
        tile = torch.minimum(first + later, last)
        within = places - tiles.starts[tile]
        covers = (first + later <= last) & (within >= 0) & (within < tiles.size)
        within = within.clamp(0, tiles.size - 1)
        weight = covers.float() * ramp[within]
        total = total + values.index_select(axis, tile * tiles.size + within) * weight.reshape(shape)
        weights = weights + weight
    return total, weights


def enlarge(values: Tensor, axis: int, length: Length, offset: Tensor, parts: Tensor) -> Tensor:
    """`parts` places from `offset` on stretched linearly to `length`; (..., n, ...) -> (..., length, ...).

    As `neocog.tasks.stitch.linear_rows`, whose last place is the last one of the parts.
    """
    at = ((torch.arange(length, dtype=torch.float64) + 0.5) * parts / number(length) - 0.5).clamp(min=0)
    first = torch.minimum(at.floor(), parts - 1)
    after = torch.minimum(first + 1, parts - 1)
    share = (at - first).float().reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    low = values.index_select(axis, (first + offset).long())
    high = values.index_select(axis, (after + offset).long())
    return low + (high - low) * share
