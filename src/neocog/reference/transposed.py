"""Transposed convolution: the way back through a convolution's matrix.

A convolution that takes maps of size o to maps of size i is a matrix M, (i values) x (o values). Its transpose takes
maps of size i to maps of size o, with the same connections: each input writes its window instead of reading one,

    y[s i + d m - p] += w[m] x[i]        of size o = s(i - 1) + d(k - 1) + 1 - 2p + output_padding

This is the sum that the backward pass of the convolution makes, so it is that of `input_gradient`: zeros are stuffed
between the inputs, and a convolution "full" follows. It is not an inverse: shapes come back, values do not.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from neocog.arithmetic import conv_transpose_output
from neocog.errors import ConfigError, GeometryError, did_you_mean
from neocog.reference.axes import (
    Array,
    Axes,
    Geometry,
    PaddingLike,
    check_bias,
    check_groups,
    check_shape,
    each_axis,
    floats,
    maps,
    padding_pairs,
)
from neocog.reference.cross_correlation import cross_correlate
from neocog.reference.gradients import input_gradient, weight_gradient
from neocog.reference.toeplitz import toeplitz_matrix

__all__ = ["TRANSPOSED_METHODS", "conv_transpose", "conv_transpose_backward"]


def conv_transpose(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Axes = 1,
    padding: PaddingLike = 0,
    output_padding: Axes = 0,
    dilation: Axes = 1,
    groups: int = 1,
    method: str = "stuffing",
) -> Array:
    """The transposed convolution, by "stuffing" zeros or with the transposed "toeplitz" matrix.

    Shapes: x (N, C_in, *spatial), w (C_in, C_out/groups, *kernel), as torch lays it out: the kernels of the
    convolution that leads back. bias (C_out,) -> (N, C_out, *output). `padding` is that of the convolution that leads
    back, so it makes the output smaller. Raises GeometryError for shapes that don't belong together, ConfigError for
    an unknown method.

    >>> conv_transpose([[[1, 10]]], [[[1, 2, 3]]], stride=2).tolist()
    [[[1.0, 2.0, 13.0, 20.0, 30.0]]]
    """
    inputs, kernels = maps(x), floats(w)
    if method not in TRANSPOSED_METHODS:
        raise ConfigError(
            f"There is no method {method!r} of transposed convolution. {did_you_mean(method, TRANSPOSED_METHODS)}"
        )
    geometry = back_geometry(inputs, kernels, stride, padding, output_padding, dilation, groups)
    biases = check_bias(bias, kernels.shape[1] * groups)
    return TRANSPOSED_METHODS[method](inputs, kernels, geometry, groups) + biases.reshape(-1, *[1] * (inputs.ndim - 2))


def conv_transpose_backward(
    delta: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    stride: Axes = 1,
    padding: PaddingLike = 0,
    output_padding: Axes = 0,
    dilation: Axes = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Gradients with respect to input, kernels and bias, given that with respect to the output.

    y = M^T x gives dE/dx = M delta: the convolution itself. In dE/dw inputs and deltas have changed places.
    Shapes: delta (N, C_out, *output) -> (dx, dw, db) of the shapes of x, w and (C_out,).
    """
    deltas, inputs, kernels = floats(delta), maps(x), floats(w)
    geometry = back_geometry(inputs, kernels, stride, padding, output_padding, dilation, groups)
    check_shape("delta", deltas, (len(inputs), kernels.shape[1] * groups, *geometry.size), "the output")
    dx = cross_correlate(deltas, kernels, None, geometry.stride, geometry.padding, geometry.dilation, groups)
    dx = dx[:, :, *(slice(0, i) for i in geometry.output)]  # output_padding may be long enough for one more window
    return dx, weight_gradient(inputs, deltas, geometry, groups), deltas.sum(axis=(0, *range(2, deltas.ndim)))


def back_geometry(
    x: Array, w: Array, stride: Axes, padding: PaddingLike, output_padding: Axes, dilation: Axes, groups: int
) -> Geometry:
    """The geometry of the convolution that leads back: its input is our output, its output our input."""
    num = x.ndim - 2
    if w.ndim != x.ndim or len(w) != x.shape[1]:
        raise GeometryError(
            "Kernels of a transposed convolution are (C_in, C_out/groups, *kernel) for maps (N, C_in, *spatial).",
            received=f"x {x.shape}, w {w.shape}",
        )
    check_groups(x.shape[1], w.shape[1] * groups, groups)
    if isinstance(padding, str):
        raise GeometryError(
            "padding of a transposed convolution is given in numbers.",
            received=f"{padding!r}, which depends on the size that is sought",
        )
    strides, dilations = each_axis(stride, num, "stride"), each_axis(dilation, num, "dilation")
    extra = each_axis(output_padding, num, "output_padding")
    pairs = padding_pairs(padding, x.shape[2:], w.shape[2:], strides, dilations)
    rows = zip(x.shape[2:], w.shape[2:], strides, pairs, extra, dilations, strict=True)
    return Geometry(
        kernel_size=w.shape[2:],
        stride=strides,
        padding=pairs,
        dilation=dilations,
        size=tuple(back_size(*row) for row in rows),
        output=x.shape[2:],
    )


def back_size(size: int, kernel: int, stride: int, padding: tuple[int, int], extra: int, dilation: int) -> int:
    """Output size along one axis, where both sides may differ in padding."""
    whole = conv_transpose_output(size, kernel, stride, 0, extra, dilation)
    if whole <= sum(padding):
        raise GeometryError(
            "A transposed convolution must leave something.",
            received=f"{whole} samples, from which padding {padding[0]} + {padding[1]} is cut off",
            fix="Use less padding.",
        )
    return whole - sum(padding)


def transpose_by_stuffing(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """Zeros between the inputs, then a full convolution: what carries deltas back through a convolution."""
    return input_gradient(x, w, geometry, groups)


def transpose_by_toeplitz(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """y = M^T x, with M the matrix of the convolution that leads back."""
    matrix = toeplitz_matrix(w, geometry, groups)
    flat = (matrix.T @ x.reshape(len(x), -1).T).T
    return np.asarray(flat).reshape(len(x), w.shape[1] * groups, *geometry.size)


TRANSPOSED_METHODS: dict[str, Callable[[Array, Array, Geometry, int], Array]] = {
    "stuffing": transpose_by_stuffing,
    "toeplitz": transpose_by_toeplitz,
}
