"""The backward pass of a convolutional layer, by hand.

Let delta = dE/dy be given. The layer's sum y[o, i] = b[o] + sum_c sum_m w[o, c, m] x[c, s i + d m - p] is linear in
each of b, w and x, so each derivative is the factor beside the variable, summed over all outputs in which it occurs:

    dE/db[o]       = sum_i delta[o, i]
    dE/dw[o, c, m] = sum_i delta[o, i] x[c, s i + d m - p]
    dE/dx[c, j]    = sum_o sum_(i, m with s i + d m - p = j) delta[o, i] w[o, c, m]

The second is a cross-correlation of x with delta in which stride and dilation have changed places. The third, at stride
1, has i = j + p - d m: the kernel runs against the deltas, a convolution, "full" because every overlap counts. A stride
is put back by stuffing zeros between the deltas. Behind an activation x = f(a), the deltas of a are f'(a) * dE/dx.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError, did_you_mean
from neocog.reference.axes import Array, Axes, Geometry, PaddingLike, check_shape, conv_geometry, floats, maps
from neocog.reference.cross_correlation import convolve, cross_correlate, rotate
from neocog.reference.im2col import columns, fold
from neocog.reference.windows import pad, stuff, unpad

__all__ = [
    "cross_correlate_backward",
    "input_gradient",
    "weight_gradient",
    "weight_gradient_by_convolution",
]

GRADIENT_METHODS = ("direct", "im2col")


def cross_correlate_backward(
    delta: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    stride: Axes = 1,
    padding: PaddingLike = 0,
    dilation: Axes = 1,
    groups: int = 1,
    method: str = "direct",
) -> tuple[Array, Array, Array]:
    """Gradients with respect to input, kernels and bias, given that with respect to the output.

    "direct" uses the convolutions above. "im2col" reads the same from the product of matrices Y = W cols:
    dW = delta cols^T, dcols = W^T delta, and dx adds up each sample's copies in dcols.

    Shapes: delta (N, C_out, *output), x (N, C_in, *spatial), w (C_out, C_in/groups, *kernel) -> (dx, dw, db) of the
    shapes of x, w and (C_out,). Raises GeometryError for shapes that don't belong together.

    >>> dx, dw, db = cross_correlate_backward([[[1, 10]]], [[[1, 2, 3]]], [[[5, 7]]])
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[[5.0, 57.0, 70.0]]], [[[21.0, 32.0]]], [11.0])
    """
    deltas, inputs, kernels = floats(delta), maps(x), floats(w)
    if method not in GRADIENT_METHODS:
        raise ConfigError(f"There is no method {method!r} of gradients. {did_you_mean(method, GRADIENT_METHODS)}")
    geometry = conv_geometry(inputs, kernels, stride, padding, dilation, groups)
    check_shape("delta", deltas, (len(inputs), len(kernels), *geometry.output), "the output")
    db = deltas.sum(axis=(0, *range(2, deltas.ndim)))
    if method == "im2col":
        return *gradients_by_im2col(deltas, inputs, kernels, geometry, groups), db
    return input_gradient(deltas, kernels, geometry, groups), weight_gradient(deltas, inputs, geometry, groups), db


def input_gradient(delta: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """dE/dx = delta, stuffed with s - 1 zeros, conv the kernels, in and out channels changed; then the padding dropped.

    The samples behind the last window got no delta: as many zeros follow the last one.
    """
    rows = zip(geometry.padded, geometry.reach, geometry.stride, geometry.output, strict=True)
    unread = tuple(p - reach - s * (o - 1) - 1 for p, reach, s, o in rows)
    stuffed = stuff(delta, geometry.stride, unread)
    backward = swap_channels(w, groups)
    dx = convolve(stuffed, backward, padding="full", dilation=geometry.dilation, groups=groups)
    return unpad(dx, geometry.padding)


def weight_gradient(delta: Array, x: Array, geometry: Geometry, groups: int) -> Array:
    """dE/dw[o, c, m] = sum_n sum_i delta[n, o, i] x[n, c, s i + d m - p]: cross-correlate the inputs with the deltas.

    Each pair (o, c) is such a sum over all samples n. So the samples take the place of the channels that a
    cross-correlation sums over, and the deltas are its kernels; a step of m is d samples (the stride here), and a step
    of i is s samples (the dilation here).
    """
    inputs, kernels = swap_samples(pad(x, geometry.padding), delta, groups)
    found = cross_correlate(inputs, kernels, stride=geometry.dilation, dilation=geometry.stride, groups=groups)
    return cut_to_kernel(found, geometry)


def weight_gradient_by_convolution(delta: Array, x: Array, geometry: Geometry, groups: int) -> Array:
    """The same as `weight_gradient` with the deltas flipped first and then convolved, which flips them back."""
    inputs, kernels = swap_samples(pad(x, geometry.padding), delta, groups)
    flipped = rotate(kernels)
    found = convolve(inputs, flipped, stride=geometry.dilation, dilation=geometry.stride, groups=groups)
    return cut_to_kernel(found, geometry)


def swap_channels(w: Array, groups: int) -> Array:
    """Kernels that lead from the outputs to the inputs; (C_out, C_in/g, *kernel) -> (C_in, C_out/g, *kernel)."""
    grouped = w.reshape(groups, len(w) // groups, *w.shape[1:]).swapaxes(1, 2)
    return grouped.reshape(groups * w.shape[1], len(w) // groups, *w.shape[2:])


def swap_samples(x: Array, delta: Array, groups: int) -> tuple[Array, Array]:
    """Inputs (C_in/g, g * N, ...) and deltas (C_out, N, ...): samples where a convolution has its channels."""
    n, c_in = x.shape[:2]
    grouped = x.reshape(n, groups, c_in // groups, *x.shape[2:])
    inputs = np.moveaxis(grouped, 0, 2).swapaxes(0, 1)  # (C_in/g, g, N, ...)
    return inputs.reshape(c_in // groups, groups * n, *x.shape[2:]), delta.swapaxes(0, 1)


def cut_to_kernel(found: Array, geometry: Geometry) -> Array:
    """Where the stride leaves samples unread, the sum has more terms than taps; (C_in/g, C_out, ...) -> like w."""
    return found.swapaxes(0, 1)[:, :, *(slice(0, k) for k in geometry.kernel_size)]


def gradients_by_im2col(delta: Array, x: Array, w: Array, geometry: Geometry, groups: int) -> tuple[Array, Array]:
    """dW = delta cols^T, whose sum runs over samples and positions, and dx = col2im(W^T delta), group by group."""
    n, c_out, positions = len(x), len(w), math.prod(geometry.output)
    cols = columns(x, geometry).reshape(groups, w[0].size, n * positions)
    deltas = delta.swapaxes(0, 1).reshape(groups, c_out // groups, n * positions)
    rows = w.reshape(groups, c_out // groups, w[0].size)
    dw = floats(deltas @ cols.swapaxes(1, 2)).reshape(w.shape)
    dx = fold(floats(rows.swapaxes(1, 2) @ deltas).reshape(-1, n, positions), geometry)
    return dx, dw
