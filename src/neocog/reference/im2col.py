"""Convolution as one product of matrices: every window becomes a column.

Write the samples that the window at position i reads as a column of height C_in * k. The output at i is the product of
the kernels, written as rows, with that column; so all outputs are one matrix product, which computers do fastest. The
price is memory: each sample is copied once for every window that reads it, k times at stride 1.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import GeometryError
from neocog.reference.axes import Array, Axes, Geometry, PaddingLike, conv_geometry, floats, maps
from neocog.reference.windows import pad, scatter, tap_slices

__all__ = ["col2im", "columns", "correlate_by_im2col", "fold", "im2col"]


def im2col(x: ArrayLike, kernel_size: Axes, stride: Axes = 1, padding: PaddingLike = 0, dilation: Axes = 1) -> Array:
    """The windows of the maps as columns, first those of the first row of positions.

    Shapes: (N, C, *spatial) -> (N, C * taps, positions), as torch's `unfold`.

    >>> im2col(np.arange(4.0)[None, None], kernel_size=2)[0].tolist()
    [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    """
    inputs = maps(x)
    return columns(inputs, window_geometry(inputs, kernel_size, stride, padding, dilation)).swapaxes(0, 1)


def col2im(
    cols: ArrayLike,
    input_shape: tuple[int, ...],
    kernel_size: Axes,
    stride: Axes = 1,
    padding: PaddingLike = 0,
    dilation: Axes = 1,
) -> Array:
    """The transpose of `im2col`: each entry added to the sample that it was copied from.

    Shapes: (N, C * taps, positions) -> input_shape, (N, C, *spatial), as torch's `fold`. It is not an inverse: a sample
    that is in k windows comes back k times as large.

    >>> col2im(im2col(np.ones((1, 1, 4)), 2), (1, 1, 4), 2).tolist()
    [[[1.0, 2.0, 2.0, 1.0]]]
    """
    like = maps(np.zeros(input_shape))
    geometry = window_geometry(like, kernel_size, stride, padding, dilation)
    found = floats(cols)
    taps = math.prod(geometry.kernel_size)
    expected = (*input_shape[:1], input_shape[1] * taps, math.prod(geometry.output))
    if found.shape != expected:
        raise GeometryError(
            f"Columns of this geometry are (N, C * taps, positions) = {expected}.", received=f"{found.shape}"
        )
    return fold(found.swapaxes(0, 1), geometry)


def window_geometry(x: Array, kernel_size: Axes, stride: Axes, padding: PaddingLike, dilation: Axes) -> Geometry:
    """The geometry of windows alone, each over one channel."""
    num = x.ndim - 2
    sizes = (kernel_size,) * num if isinstance(kernel_size, int) else tuple(kernel_size)
    return conv_geometry(x[:, :1], np.zeros((1, 1, *sizes)), stride, padding, dilation, groups=1)


def columns(x: Array, geometry: Geometry) -> Array:
    """The columns of all samples side by side, so that one product treats them all; (C * taps, N, positions)."""
    n, c_in = x.shape[:2]
    padded = pad(x, geometry.padding).swapaxes(0, 1)
    # Tap by tap, straight to where they belong: the copies are what this method's time goes into.
    cols = np.empty((c_in, math.prod(geometry.kernel_size), n, *geometry.output))
    for m, slices in enumerate(tap_slices(geometry)):
        cols[:, m] = padded[:, :, *slices]
    return cols.reshape(c_in * cols.shape[1], n, math.prod(geometry.output))


def fold(cols: Array, geometry: Geometry) -> Array:
    """The transpose of `columns`; (C * taps, N, positions) -> (N, C, *spatial)."""
    taps = math.prod(geometry.kernel_size)
    parts = cols.reshape(len(cols) // taps, taps, cols.shape[1], *geometry.output)
    return scatter(parts.swapaxes(0, 1).swapaxes(1, 2), geometry)


def correlate_by_im2col(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """Y = W cols, for each group: (C_out/g, C_in/g * taps) times (C_in/g * taps, N * positions)."""
    n, c_out = len(x), len(w)
    cols = columns(x, geometry).reshape(groups, w[0].size, -1)
    rows = w.reshape(groups, c_out // groups, w[0].size)
    return floats(rows @ cols).reshape(c_out, n, *geometry.output).swapaxes(0, 1)
