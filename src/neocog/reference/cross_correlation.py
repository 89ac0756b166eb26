"""The operation of a convolutional layer, and how convolution differs from it.

    cross-correlation   y[i] = b + sum_m w[m] x[i + m]
    convolution         y[i] = b + sum_m w[m] x[i - m]

In the second, writing m for -m turns the kernel round: sum_m w[-m] x[i + m]. Hence a convolution is the
cross-correlation with the kernel rotated by 180 degrees, and a network that learns its kernels can use either.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError, did_you_mean
from neocog.reference.axes import Array, Axes, Geometry, PaddingLike, check_bias, conv_geometry, floats, maps
from neocog.reference.fourier import correlate_by_fft
from neocog.reference.im2col import correlate_by_im2col
from neocog.reference.toeplitz import correlate_by_toeplitz
from neocog.reference.windows import pad, tap_slices
from neocog.reference.winograd import correlate_by_winograd2, correlate_by_winograd4

__all__ = ["METHODS", "convolve", "cross_correlate", "rotate"]


def cross_correlate(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Axes = 1,
    padding: PaddingLike = 0,
    dilation: Axes = 1,
    groups: int = 1,
    method: str = "direct",
) -> Array:
    """Slide the kernels over the maps without turning them: what deep learning calls a convolution.

        y[n, o, i] = b[o] + sum_c sum_m w[o, c, m] x[n, c, s i + d m - p]

    i and m have one entry for each spatial axis, x is zero outside of its samples, and c runs over the channels of
    the group to which o belongs. All methods compute this sum: "direct" as it is written, "im2col" as one product of
    matrices, "toeplitz" with a sparse matrix, "fft" in the frequency domain, "winograd2" and "winograd4" with fewer
    multiplications, for 3x3 kernels alone.

    Shapes: x (N, C_in, *spatial), w (C_out, C_in/groups, *kernel), bias (C_out,) -> (N, C_out, *output).
    Raises GeometryError for shapes that don't belong together, ConfigError for an unknown method.

    >>> ramp = np.arange(5.0)[None, None]
    >>> cross_correlate(ramp, [[[-1, 0, 1]]]).tolist(), convolve(ramp, [[[-1, 0, 1]]]).tolist()
    ([[[2.0, 2.0, 2.0]]], [[[-2.0, -2.0, -2.0]]])
    """
    inputs, kernels = maps(x), floats(w)
    if method not in METHODS:
        raise ConfigError(f"There is no method {method!r} of convolution. {did_you_mean(method, METHODS)}")
    geometry = conv_geometry(inputs, kernels, stride, padding, dilation, groups)
    biases = check_bias(bias, len(kernels))
    return METHODS[method](inputs, kernels, geometry, groups) + biases.reshape(-1, *[1] * (inputs.ndim - 2))


def convolve(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Axes = 1,
    padding: PaddingLike = 0,
    dilation: Axes = 1,
    groups: int = 1,
    method: str = "direct",
) -> Array:
    """Convolution in the sense of mathematics: `cross_correlate` with the kernel rotated by 180 degrees.

        y[n, o, i] = b[o] + sum_c sum_m w[o, c, m] x[n, c, s i + d (k - 1 - m) - p]

    With padding "full" it commutes: x * w = w * x. Shapes and errors: as `cross_correlate`.
    """
    return cross_correlate(x, rotate(w), bias, stride, padding, dilation, groups, method)


def rotate(w: ArrayLike) -> Array:
    """The kernels turned by 180 degrees: every spatial axis reversed.

    >>> rotate([[[[1, 2], [3, 4]]]]).tolist()
    [[[[4.0, 3.0], [2.0, 1.0]]]]
    """
    kernels = floats(w)
    return np.flip(kernels, axis=tuple(range(2, kernels.ndim)))


def correlate_directly(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """The sum as it is written: for each tap m, its weights times the input shifted by m, all positions at once."""
    n, c_in = x.shape[:2]
    c_out = len(w)
    padded = pad(x, geometry.padding)
    y = np.zeros((n, groups, c_out // groups, *geometry.output))
    weights = w.reshape(groups, c_out // groups, c_in // groups, -1)
    for m, slices in enumerate(tap_slices(geometry)):
        shifted = padded[:, :, *slices].reshape(n, groups, c_in // groups, *geometry.output)
        y += np.einsum("goc,ngc...->ngo...", weights[..., m], shifted)
    return y.reshape(n, c_out, *geometry.output)


METHODS: dict[str, Callable[[Array, Array, Geometry, int], Array]] = {
    "direct": correlate_directly,
    "im2col": correlate_by_im2col,
    "toeplitz": correlate_by_toeplitz,
    "fft": correlate_by_fft,
    "winograd2": correlate_by_winograd2,
    "winograd4": correlate_by_winograd4,
}
