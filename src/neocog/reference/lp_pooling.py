"""Pooling by the p-norm, between the sum of a window's magnitudes and its largest one."""

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError
from neocog.reference.axes import Array, Axes, Geometry, check_shape, floats, maps, pool_geometry
from neocog.reference.windows import gather, pad, scatter

__all__ = ["lp_pool", "lp_pool_backward"]


def lp_pool(
    x: ArrayLike,
    size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
    p: float = 2.0,
) -> Array:
    """The p-norm of each window: L2 pooling by default.

        y[i] = (sum_m |x[s i + d m - p]|^p)^(1/p)

    For p = 1 the sum of magnitudes; for large p it comes near the largest one. torch's takes no padding and no
    dilation, scales windows up that reach over the end in ceil mode, and for odd p lets negative samples cancel.
    Shapes: (N, C, *spatial) -> (N, C, *output).

    >>> lp_pool([[[3, -4, 0, 2]]], size=2).tolist()
    [[[5.0, 2.0]]]
    """
    inputs = maps(x)
    geometry = pool_geometry(inputs, size, stride, padding, dilation, ceil_mode)
    return norms(inputs, geometry, p)


def lp_pool_backward(
    delta: ArrayLike,
    x: ArrayLike,
    size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
    p: float = 2.0,
) -> Array:
    """The gradient with respect to the input.

        dy[i]/dx[j] = sign(x[j]) (|x[j]| / y[i])^(p - 1)

    from d(S^(1/p)) = 1/p S^(1/p - 1) dS with S = y^p and dS/dx = p |x|^(p - 1) sign(x). Where a window holds zeros
    alone, the norm has a corner; 0 is taken for its slope.
    Shapes: delta (N, C, *output), x (N, C, *spatial) -> like x.
    """
    deltas, inputs = floats(delta), maps(x)
    geometry = pool_geometry(inputs, size, stride, padding, dilation, ceil_mode)
    check_shape("delta", deltas, (*inputs.shape[:2], *geometry.output), "the output")
    y = norms(inputs, geometry, p)
    read = gather(pad(inputs, geometry.padding), geometry)
    slopes = np.sign(read) * (np.abs(read) / np.where(y > 0, y, 1.0)) ** (p - 1)
    return scatter(deltas * slopes, geometry)


def norms(x: Array, geometry: Geometry, p: float) -> Array:
    """The p-norm of each window of a known geometry."""
    if not p >= 1:
        raise ConfigError("p of a p-norm must be at least 1.", received=f"{p}")
    read = np.abs(gather(pad(x, geometry.padding), geometry))
    largest = read.max(0)  # taken out first, so that no power overflows
    scale = np.where(largest > 0, largest, 1.0)
    return np.asarray(scale * ((read / scale) ** p).sum(0) ** (1 / p))
