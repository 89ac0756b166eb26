"""The 8 symmetries of a square board: turned by 0 to 270 degrees, and the same of its mirror image.

Symmetry k turns by 90 degrees k % 4 times, after left and right were exchanged if k is 4 or more.
Source: Silver et al. 2016, Methods, "Symmetries".
"""

import functools

import torch
from torch import Tensor

__all__ = ["NUM_SYMMETRIES", "move_planes", "moved_points"]

NUM_SYMMETRIES = 8


def move_planes(planes: Tensor, symmetry: int) -> Tensor:
    """Planes under a symmetry; (..., S, S) -> the same.

    >>> move_planes(torch.tensor([[1, 2], [3, 4]]), 1), move_planes(torch.tensor([[1, 2], [3, 4]]), 4)
    (tensor([[2, 4],
            [1, 3]]), tensor([[2, 1],
            [4, 3]]))
    """
    mirrored = planes.flip(-1) if symmetry >= 4 else planes
    return torch.rot90(mirrored, symmetry % 4, dims=(-2, -1))


@functools.cache
def moved_points(size: int) -> Tensor:
    """Where each point, and a pass, goes under each symmetry; (8, S * S + 1). A pass, the last, stays.

    What a network rates in a moved position is brought back by `rates[moved_points(size)[k]]`.

    >>> moved_points(2)[1].tolist(), moved_points(2)[4].tolist()
    ([2, 0, 3, 1, 4], [1, 0, 3, 2, 4])
    """
    points = torch.arange(size * size)
    table = torch.full((NUM_SYMMETRIES, size * size + 1), size * size)
    for symmetry in range(NUM_SYMMETRIES):
        table[symmetry, move_planes(points.reshape(size, size), symmetry).flatten()] = points
    return table
