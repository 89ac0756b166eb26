"""The preprocessing of images as a part of a graph: from decoded pixels of any size to a network's inputs."""

from collections.abc import Callable

import PIL
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.exporting.axes import BITS, Length, Spread, cut, larger, number, resize_weights, smaller, tiles_of
from neocog.modalities.image.preprocess import ImagePreprocess

__all__ = ["ImageReader", "ImageTiles", "fit_axes"]

VERTICAL_FIRST = int(PIL.__version__.partition(".")[0]) >= 13
"""Whether Pillow takes the rows first for some sizes."""


class ImageReader(nn.Module):
    """Whole images resized as Pillow does it, with a border, normalised; (N, H, W, C) -> (N, C, h, w) float32.

    Source: `neocog.modalities.image.resize`, whose results for arrays these are, bit for bit.
    """

    def __init__(self, spec: ImagePreprocess) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, images: Tensor) -> Tensor:
        spec = self.spec
        maps = images.permute(0, 3, 1, 2).float()
        rows, columns = fit_axes(spec, images.shape[1], images.shape[2])
        turn = rows_first(spec, images.shape[1], images.shape[2]) if VERTICAL_FIRST else 0
        maps = resize(maps, rows, columns, spec.size, resample_bytes if spec.bit_depth == 8 else resample_floats, turn)
        if spec.bit_depth == 16:
            maps = maps.round().clamp(0, spec.white)
        if any(spec.pad):
            maps = F.pad(maps, (spec.pad[1], spec.pad[1], spec.pad[0], spec.pad[0]))
        return spec.normalise(maps)


class ImageTiles(nn.Module):
    """Overlapping tiles of images, black beyond their ends, as one batch; (N, H, W, C) -> (N * tiles, C, h, w)."""

    def __init__(self, spec: ImagePreprocess) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, images: Tensor) -> Tensor:
        spec, (num, height, width, channels) = self.spec, images.shape
        rows, columns = tiles_of(height, spec.size[0]), tiles_of(width, spec.size[1])
        parts, there = cut(images.permute(0, 3, 1, 2).float(), 2, rows)
        parts, across = cut(parts, 3, columns)
        parts = parts * (there[:, None] & across).float()
        split = parts.reshape(num, channels, rows.count, spec.size[0], columns.count, spec.size[1])
        tiles = split.permute(0, 2, 4, 1, 3, 5).reshape(num * rows.count * columns.count, channels, *spec.size)
        return spec.normalise(tiles)


def fit_axes(spec: ImagePreprocess, height: Length, width: Length) -> tuple[Spread, Spread]:
    """Which rows and columns of an image reach which of the resized one, by the rule of the preprocessing."""
    full = number(height), number(width)
    size = torch.tensor(float(spec.size[0])).double(), torch.tensor(float(spec.size[1])).double()
    zero = torch.zeros((), dtype=torch.float64)
    if spec.resize == "squash":
        found = [Spread(zero, f, t, zero) for f, t in zip(full, size, strict=True)]
    elif spec.resize == "tile":
        least = [torch.minimum(f, t) for f, t in zip(full, size, strict=True)]
        found = [Spread(zero, each, each, zero, whole=False) for each in least]
    elif spec.resize == "letterbox":
        scale = torch.minimum(size[0] / full[0], size[1] / full[1])
        parts = [torch.minimum((f * scale).round().clamp(min=1), t) for f, t in zip(full, size, strict=True)]
        found = [Spread(zero, f, part, ((t - part) / 2).floor()) for f, t, part in zip(full, size, parts, strict=True)]
    else:
        # Ratios of whole numbers, so that the ends are the same float32 in any precision.
        found = []
        for f, t, other, side in ((full[0], size[0], full[1], size[1]), (full[1], size[1], full[0], size[0])):
            beyond = (f * side - t * other).clamp(min=0)
            ends = beyond / (2 * side), (2 * f * side - beyond) / (2 * side)
            found.append(Spread(*ends, t, zero, whole=False))
    return found[0], found[1]


Pass = Callable[..., Tensor]


def rows_first(spec: ImagePreprocess, height: Length, width: Length) -> Length:
    """1 if Pillow begins with the rows, else 0: where the height loses more than twice as many pixels as the width.

    Source: python-pillow/Pillow, pull request 9549; Pillow 13.0 has it.
    """
    down, across = spec.size
    if spec.resize == "letterbox":
        down, across = (
            smaller(larger((2 * one * side + other) // (2 * other), 1), most)
            for one, side, other, most in ((height, across, width, down), (width, down, height, across))
        )
    more = height - down - 2 * larger(width - across, 0)
    return smaller(larger(more, 0), 1)


def resize(
    maps: Tensor, rows: Spread, columns: Spread, size: tuple[int, int], resample: Pass, turn: Length = 0
) -> Tensor:
    """Both passes of Pillow's resize; (N, C, H, W) -> (N, C, *size). Rows come first if `turn` is 1.

    A graph has no branches: images are turned by an index, so that the axis of the first pass is the last one.
    """
    num, channels, height, width = maps.shape
    if isinstance(turn, int) and turn == 0:
        maps = resample(maps, resize_weights(width, size[1], columns), after=True)
        return resample(maps, resize_weights(height, size[0], rows), after=False)
    first, second = turned(turn, height, width), turned(turn, width, height)
    across, along = torch.arange(second)[:, None], torch.arange(first)
    wide, turns = number(width).long(), number(turn)
    places = torch.where(turns > 0, along * wide + across, across * wide + along)
    maps = maps.flatten(2).index_select(2, places.flatten()).reshape(num, channels, second, first)
    ways = [choose(turns > 0, *order) for order in ((rows, columns), (columns, rows))]
    parts = turned(turn, *size), turned(turn, *size[::-1])
    maps = resample(maps, resize_weights(first, parts[0], ways[0]), after=True)
    maps = resample(maps, resize_weights(second, parts[1], ways[1]), after=False)
    up, to_right = torch.arange(size[0])[:, None], torch.arange(size[1])
    places = torch.where(turns > 0, to_right * size[0] + up, up * size[1] + to_right)
    return maps.flatten(2).index_select(2, places.flatten()).reshape(num, channels, *size)


def choose(first: Tensor, one: Spread, other: Spread) -> Spread:
    """One of two spreads."""
    begin, end, parts, offset = (torch.where(first, *pair) for pair in zip(one[:4], other[:4], strict=True))
    return Spread(begin, end, parts, offset, one.whole and other.whole)


def turned(turn: Length, if_turned: Length, otherwise: Length) -> Length:
    """One of two sizes."""
    return if_turned if if_turned is otherwise else turn * if_turned + (1 - turn) * otherwise


def resample_bytes(maps: Tensor, weights: tuple[Tensor, Tensor], *, after: bool) -> Tensor:
    """One pass of Pillow's resize of 8 bits, in whole numbers that float32 holds; of the last axis, or else of rows.

    floor(sum k p / 2^22 + 1/2),  k = 2^11 high + low
    """
    sums = [maps @ each.T if after else each @ maps for each in weights]
    total = sums[0] + torch.floor(sums[1] / 2**BITS) + 2 ** (BITS - 1)
    found: Tensor = torch.floor(total / 2**BITS).clamp(0, 255)
    return found


def resample_floats(maps: Tensor, weights: tuple[Tensor, Tensor], *, after: bool) -> Tensor:
    """One pass of Pillow's resize of floats, summed in float64."""
    high, low = (each.double() for each in weights)
    share, values = (high + low / 2**BITS) / 2**BITS, maps.double()
    found: Tensor = (values @ share.T if after else share @ values).float()
    return found
