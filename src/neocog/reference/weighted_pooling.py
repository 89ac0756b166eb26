"""Pooling in which a sample counts the more the nearer it is to the middle of the window."""

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError
from neocog.reference.axes import Array, Axes, check_shape, floats, maps, pool_geometry
from neocog.reference.cross_correlation import cross_correlate
from neocog.reference.gradients import input_gradient

__all__ = ["distance_weights", "weighted_pool", "weighted_pool_backward"]


def distance_weights(size: tuple[int, ...], sigma: float = 1.0) -> Array:
    """Weights of a window that fall with the distance from its centre, and sum to 1.

        u[m] proportional to exp(-|m - (k - 1)/2|^2 / (2 sigma^2))

    A large sigma gives the mean, a small one the sample in the middle. Shapes: size (*kernel,) -> (*kernel,).

    >>> distance_weights((3,), sigma=1.0).round(3).tolist()
    [0.274, 0.452, 0.274]
    """
    if not sigma > 0:
        raise ConfigError(
            "sigma must be above 0.", received=f"{sigma}", fix="It is the distance at which weights have fallen."
        )
    offsets = np.meshgrid(*(np.arange(k) - (k - 1) / 2 for k in size), indexing="ij")
    squares = np.sum(np.square(offsets), axis=0)
    weights = np.exp(-(squares - squares.min()) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


def weighted_pool(x: ArrayLike, size: Axes, stride: Axes | None = None, padding: Axes = 0, sigma: float = 1.0) -> Array:
    """The mean of each window, weighted by distance from its centre.

        y[i] = sum_m u[m] x[s i + m - p],   padding counts as zeros

    That is a cross-correlation of each map with the same fixed kernel.
    Shapes: (N, C, *spatial) -> (N, C, *output).
    """
    inputs = maps(x)
    geometry = pool_geometry(inputs, size, stride, padding)
    flat, kernel = one_channel(inputs), distance_weights(geometry.kernel_size, sigma)[None, None]
    y = cross_correlate(flat, kernel, stride=geometry.stride, padding=geometry.padding)
    return y.reshape(*inputs.shape[:2], *geometry.output)


def weighted_pool_backward(
    delta: ArrayLike,
    input_shape: tuple[int, ...],
    size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    sigma: float = 1.0,
) -> Array:
    """Each delta shared out over its window by the weights: dE/dx[j] = sum_(i, m with s i + m - p = j) u[m] delta[i].

    Shapes: delta (N, C, *output) -> input_shape, (N, C, *spatial).
    """
    geometry = pool_geometry(maps(np.zeros(input_shape)), size, stride, padding)
    deltas = floats(delta)
    check_shape("delta", deltas, (*input_shape[:2], *geometry.output), "the output")
    kernel = distance_weights(geometry.kernel_size, sigma)[None, None]
    return input_gradient(one_channel(deltas), kernel, geometry, groups=1).reshape(input_shape)


def one_channel(x: Array) -> Array:
    """Every map as a sample of its own; (N, C, ...) -> (N * C, 1, ...)."""
    return x.reshape(-1, 1, *x.shape[2:])
