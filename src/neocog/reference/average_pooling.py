"""Average pooling: over all samples of a window alike, or over the whole map."""

import math

import numpy as np
from numpy.typing import ArrayLike

from neocog.reference.axes import Array, Axes, Geometry, check_shape, floats, maps, pool_geometry
from neocog.reference.windows import gather, pad, scatter

__all__ = ["avg_pool", "avg_pool_backward", "global_avg_pool", "global_avg_pool_backward"]


def avg_pool(
    x: ArrayLike,
    size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The mean of each window.

        y[i] = 1/n[i] sum_m x[s i + m - p]

    n[i] counts the window's samples, and with `count_include_pad` also its zeros of the padding; never what lies behind
    the padding, where `ceil_mode` lets a window reach.
    Shapes: (N, C, *spatial) -> (N, C, *output).

    >>> avg_pool([[[1, 5, 2, 4]]], size=2).tolist()
    [[[3.0, 3.0]]]
    """
    inputs = maps(x)
    geometry = pool_geometry(inputs, size, stride, padding, 1, ceil_mode)
    sums = gather(pad(inputs, geometry.padding), geometry).sum(0)
    return np.asarray(sums / counts(geometry, padding, count_include_pad))


def avg_pool_backward(
    delta: ArrayLike,
    input_shape: tuple[int, ...],
    size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Each delta shared out evenly over the window that it comes from.

        dE/dx[j] = sum of delta[i] / n[i] over the windows i that read j

    Shapes: delta (N, C, *output) -> input_shape, (N, C, *spatial).

    >>> avg_pool_backward([[[2, 20]]], (1, 1, 3), size=2, stride=1).tolist()
    [[[1.0, 11.0, 10.0]]]
    """
    geometry = pool_geometry(maps(np.zeros(input_shape)), size, stride, padding, 1, ceil_mode)
    deltas = floats(delta)
    check_shape("delta", deltas, (*input_shape[:2], *geometry.output), "the output")
    shares = deltas / counts(geometry, padding, count_include_pad)
    taps = math.prod(geometry.kernel_size)
    return scatter(np.broadcast_to(shares, (taps, *shares.shape)), geometry)


def counts(geometry: Geometry, padding: Axes, count_include_pad: bool) -> Array:
    """How many samples each window's mean is over: the sum of each window over a map of ones."""
    ones = np.ones((1, 1, *geometry.size))
    around = tuple((p, p) for p in np.broadcast_to(padding, len(geometry.size)).tolist())
    counted = pad(ones, around, value=float(count_include_pad))
    behind = tuple((0, whole - have) for whole, have in zip(geometry.padded, counted.shape[2:], strict=True))
    return floats(gather(pad(counted, behind), geometry).sum(0))


def global_avg_pool(x: ArrayLike) -> Array:
    """The mean of each map; (N, C, *spatial) -> (N, C, 1, ...).

    >>> global_avg_pool([[[1, 5, 3]]]).tolist()
    [[[3.0]]]
    """
    inputs = maps(x)
    return np.asarray(inputs.mean(axis=tuple(range(2, inputs.ndim)), keepdims=True))


def global_avg_pool_backward(delta: ArrayLike, input_shape: tuple[int, ...]) -> Array:
    """Every sample gets the delta of its map divided by the number of samples; (N, C, 1, ...) -> input_shape."""
    deltas = floats(delta)
    check_shape("delta", deltas, (*input_shape[:2], *[1] * (len(input_shape) - 2)), "the output")
    return np.broadcast_to(deltas / math.prod(input_shape[2:]), input_shape).copy()
