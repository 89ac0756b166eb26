"""Inputs of any size, as a network of one size receives them: whole and scaled, or as overlapping tiles.

A task whose outputs have places, such as a mask, needs to know where each of them lies in the input. A `View` is one
input of the network, and where it lies; `Views` are those that cover a payload.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from torch import Tensor

__all__ = ["OVERLAP", "View", "Views", "tile_places", "tile_starts"]

OVERLAP = 0.25  # of a tile's side that its neighbour has too, at least


@dataclass(frozen=True, slots=True)
class View:
    """One input of the network. Places are along the axes of the payload: y and x of an image, the sample of a signal.

    place in the payload = origin + place in the view / scale
    """

    inputs: Tensor
    """(C, *shape), decoded."""
    origin: tuple[float, ...]
    """The payload's place of the view's first edge; negative where a border was added."""
    scale: tuple[float, ...]
    """Steps of the view for one of the payload."""


@dataclass(frozen=True, slots=True)
class Views:
    """The views that cover one payload, in the order of their origins."""

    size: tuple[int, ...]
    """Of the payload: height and width, or samples."""
    num: int
    make: Callable[[], Iterator[View]]

    def __iter__(self) -> Iterator[View]:
        return self.make()


def tile_starts(length: int, tile: int, overlap: float = OVERLAP) -> list[int]:
    """Where tiles that cover an axis begin: evenly spread, the first at 0 and the last at the end.

    >>> tile_starts(100, 128), tile_starts(256, 128), tile_starts(129, 128)
    ([0], [0, 64, 128], [0, 1])
    """
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(k * (length - tile) / (count - 1)) for k in range(count)]


def tile_places(size: tuple[int, ...], tile: tuple[int, ...], overlap: float = OVERLAP) -> list[tuple[int, ...]]:
    """The origins of the tiles that cover a payload, row by row.

    >>> tile_places((100, 200), (128, 128))
    [(0, 0), (0, 72)]
    """
    return list(product(*(tile_starts(*axis, overlap) for axis in zip(size, tile, strict=True))))
