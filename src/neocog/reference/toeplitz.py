"""Convolution as the matrix that it is: a linear map, sparse, with the same few weights in every row.

In one dimension, without stride, row i holds the kernel from column i on, so every diagonal is constant: a Toeplitz
matrix. In two dimensions both the blocks and the numbers within each block are arranged like that: doubly block
Toeplitz. If the input wraps around, so do the diagonals: doubly block circulant. All such matrices have
the same eigenvectors, the waves of the Fourier transform, and as eigenvalues the transform of the kernel; hence the FFT
method.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from neocog.errors import GeometryError
from neocog.reference.axes import Array, Axes, Geometry, PaddingLike, conv_geometry, floats, maps
from neocog.reference.windows import gather, pad

__all__ = ["circulant", "correlate_by_toeplitz", "toeplitz", "toeplitz_matrix"]


def toeplitz(
    w: ArrayLike,
    input_shape: tuple[int, ...],
    stride: Axes = 1,
    padding: PaddingLike = 0,
    dilation: Axes = 1,
    groups: int = 1,
) -> sparse.csr_array:
    """The matrix M with cross_correlate(x, w, ...) = M x for every x, both read in row-major order.

    Shapes: w (C_out, C_in/groups, *kernel), input_shape (C_in, *spatial) -> (C_out * prod(output), C_in *
    prod(spatial)). Its transpose is the backward pass, and the transposed convolution.

    >>> toeplitz([[[1, 2, 3]]], input_shape=(1, 5)).toarray().astype(int)
    array([[1, 2, 3, 0, 0],
           [0, 1, 2, 3, 0],
           [0, 0, 1, 2, 3]])
    """
    kernels = floats(w)
    geometry = conv_geometry(maps(np.zeros((1, *input_shape))), kernels, stride, padding, dilation, groups)
    return toeplitz_matrix(kernels, geometry, groups)


def toeplitz_matrix(w: Array, geometry: Geometry, groups: int) -> sparse.csr_array:
    """`toeplitz` for a geometry that is known.

    Number the inputs 0, 1, 2, ... and let the convolution's own windows read the numbers instead of the values. What
    the window of row i finds under tap m is the column of w[m] in that row; -1 is padding, no column.
    """
    c_out, c_in = len(w), w.shape[1] * groups
    numbers = np.arange(c_in * math.prod(geometry.size)).reshape(1, c_in, *geometry.size)
    read = gather(pad(numbers.astype(np.float64), geometry.padding, value=-1), geometry).astype(np.int64)
    shape = (groups, c_out // groups, c_in // groups, len(read), math.prod(geometry.output))  # g, o, c, tap, position
    columns = np.broadcast_to(read.reshape(shape[3], groups, 1, shape[2], shape[4]).transpose(1, 2, 3, 0, 4), shape)
    rows = np.broadcast_to(np.arange(c_out * shape[4]).reshape(groups, shape[1], 1, 1, shape[4]), shape)
    weights = np.broadcast_to(w.reshape(*shape[:4], 1), shape)
    inside = columns >= 0
    size = (c_out * shape[4], numbers.size)
    return sparse.csr_array((weights[inside], (rows[inside], columns[inside])), shape=size)


def correlate_by_toeplitz(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """y = M x for each sample."""
    matrix = toeplitz_matrix(w, geometry, groups)
    return floats((matrix @ x.reshape(len(x), -1).T).T).reshape(len(x), len(w), *geometry.output)


def circulant(kernel: ArrayLike, shape: tuple[int, ...]) -> sparse.csr_array:
    """The matrix C of circular convolution: (C x)[i] = sum_m kernel[m] x[(i - m) mod shape].

    One map, without channels: kernel (*kernel,), shape (*spatial,) -> (prod(spatial), prod(spatial)).
    With F the Fourier transform, F(C x) = F(kernel) F(x): the eigenvalues of C are the transform of the kernel, padded
    with zeros to the shape. Raises GeometryError if the kernel is larger than the shape.

    >>> circulant([1, 2], shape=(4,)).toarray().astype(int)
    array([[1, 0, 0, 2],
           [2, 1, 0, 0],
           [0, 2, 1, 0],
           [0, 0, 2, 1]])
    """
    taps = floats(kernel)
    if taps.ndim != len(shape) or any(k > i for k, i in zip(taps.shape, shape, strict=True)):
        raise GeometryError(
            "A circular kernel has the axes of its map and is at most as large.",
            received=f"kernel {taps.shape}, shape {shape}",
            fix="Use a larger shape.",
        )
    numbers = np.arange(math.prod(shape)).reshape(shape)
    axes = tuple(range(len(shape)))
    columns = np.stack([np.roll(numbers, tap, axes).ravel() for tap in np.ndindex(*taps.shape)])
    rows = np.broadcast_to(numbers.ravel(), columns.shape)
    data = np.broadcast_to(taps.reshape(-1, 1), columns.shape)
    return sparse.csr_array((data.ravel(), (rows.ravel(), columns.ravel())), shape=(numbers.size, numbers.size))
