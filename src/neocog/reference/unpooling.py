"""Unpooling by switches: the way back through max pooling, as deconvnets take it.

Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 2.1.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from neocog.reference.axes import Array, check_shape, floats, maps
from neocog.reference.max_pooling import Winners, check_winners

__all__ = ["unpool", "unpool_backward"]


def unpool(y: ArrayLike, winners: Winners, output_shape: tuple[int, ...]) -> Array:
    """Each value put back to the place that won its window; zeros elsewhere.

        x[winners[i]] = y[i]

    Where windows overlap, one place can win several and gets the last one's value; values that come from the max
    pooling itself are equal there.
    Shapes: y and winners (N, C, *pooled), output_shape (*spatial,) -> (N, C, *spatial).

    >>> unpool([[[5, 4]]], np.array([[[1, 3]]]), output_shape=(4,)).tolist()
    [[[0.0, 5.0, 0.0, 4.0]]]
    """
    values = maps(y)
    check_shape("y", values, winners.shape, "the winners")
    check_winners(winners, output_shape)
    num_maps = math.prod(values.shape[:2])
    x = np.zeros((num_maps, math.prod(output_shape)))
    np.put_along_axis(x, winners.reshape(num_maps, -1), values.reshape(num_maps, -1), 1)
    return x.reshape(*values.shape[:2], *output_shape)


def unpool_backward(delta: ArrayLike, winners: Winners) -> Array:
    """Each value gets the delta of the place that it was put to; the rest of the deltas met zeros.

    Exact where every place won one window, as without overlap; torch does the same.
    Shapes: delta (N, C, *spatial), winners (N, C, *pooled) -> like winners.
    """
    deltas = floats(delta)
    check_winners(winners, deltas.shape[2:])
    num_maps = math.prod(winners.shape[:2])
    flat = deltas.reshape(num_maps, -1)
    return np.take_along_axis(flat, winners.reshape(num_maps, -1), 1).reshape(winners.shape)
