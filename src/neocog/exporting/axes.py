"""The places along one axis of any length, as operations that a graph holds: resizing, tiles, and what they cover.

Sizes are known only when a graph runs. What follows from them is computed as tensors, in float64 as on the host.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from neocog.modalities.views import OVERLAP

__all__ = [
    "BITS",
    "Spread",
    "Tiles",
    "blend",
    "cut",
    "enlarge",
    "larger",
    "number",
    "resize_weights",
    "smaller",
    "tiles_of",
]

BITS = 11
"""Pillow rounds weights to 22 bits. A product with 11 of them and 8 of a pixel is exact in float32, and so are sums."""
FINE = 512
"""Steps of a pixel that the sizes of images, up to 2^13, leave exact in float32."""
Length = Any  # int, or torch.SymInt in a graph
COVERS = 3
"""Tiles that a place can lie in at most: they begin more than half of a step apart, and a step is 3/4 of a tile."""


def number(length: Length) -> Tensor:
    """A size as a tensor; () float64."""
    return torch.full((), length, dtype=torch.float64)


def larger(one: Length, other: Length) -> Length:
    """The larger of two sizes."""
    return torch.sym_max(one, other)  # type: ignore[no-untyped-call]


def smaller(one: Length, other: Length) -> Length:
    """The smaller of two sizes."""
    return torch.sym_min(one, other)  # type: ignore[no-untyped-call]


class Spread(NamedTuple):
    """A stretch of an axis, and the part of another axis to which it is brought; () float64 each."""

    begin: Tensor
    end: Tensor
    parts: Tensor
    """How many places it becomes."""
    offset: Tensor
    """The first of these."""
    whole: bool = True
    """Whether the stretch is sure to be all of the axis."""


def resize_weights(length: Length, size: int, spread: Spread) -> tuple[Tensor, Tensor]:
    """The weights of Pillow's antialiased bilinear resize of one axis, times 2^22, as 2^11 high + low; (size, length).

        w[i, x] = max(0, 1 - |x + 1/2 - c[i]| / max(1, s)),  c[i] = begin + (i + 1/2) s,  s = (end - begin) / parts

    and each row is divided by its sum, rounded to 2^-22, and zero beyond the parts. Both are whole numbers in float32.
    Source: `precompute_coeffs` and `normalize_coeffs_8bpc` of Pillow's Resample.c.
    """
    rows = torch.arange(size, dtype=torch.float64) - spread.offset
    inside = ((rows >= 0) & (rows < spread.parts))[:, None].double()
    high, low = whole_weights(length, size, spread)
    if spread.whole:
        return (high * inside).float(), (low * inside).float()
    part = torch.floor(part_weights(length, size, spread) * 2.0 ** (2 * BITS) + 0.5)
    upper = torch.floor(part / 2**BITS)
    is_whole = (spread.begin == 0) & (spread.end == number(length))
    high = torch.where(is_whole, high, upper)
    low = torch.where(is_whole, low, part - upper * 2**BITS)
    return (high * inside).float(), (low * inside).float()


def whole_weights(length: Length, size: int, spread: Spread) -> tuple[Tensor, Tensor]:
    """High and low where a whole axis is resized; (size, length) float64 twice.

    With places counted in halves of 1 / parts, all is whole: OpenVINO computes in float32, where the sum of rounded
    weights would often end on the other side of a rounding. What the first division leaves is exact, so its own
    rounding does no harm.
    """
    parts, full = spread.parts.long(), number(length).long()
    rows = torch.arange(size) - spread.offset.long()
    away = ((2 * torch.arange(length) + 1) * parts - ((2 * rows + 1) * full)[:, None]).abs()
    raw = (2 * torch.maximum(parts, full) - away).clamp(min=0)
    total = raw.sum(dim=1, keepdim=True).clamp(min=1)
    high = torch.floor(raw.double() * 2**BITS / total.double())
    rest = raw * 2**BITS - high.long() * total
    return high, torch.floor(rest.double() * 2**BITS / total.double() + 0.5)


def part_weights(length: Length, size: int, spread: Spread) -> Tensor:
    """Weights where a part of an axis is resized, of which Pillow knows the ends as float32; (size, length) float64.

    Whole numbers and fractions of c are kept apart, since a place beyond 500 has an error of 1e-5 in float32.
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
    return raw / raw.sum(dim=1, keepdim=True).clamp(min=1e-12)


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
    more = larger(length - size, 0)
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
    """Tiles one behind the other put together again, and their weights; (..., T, ...) -> (..., L, ...), (L,).

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
