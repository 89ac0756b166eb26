"""Convolution with fewer multiplications: Winograd's F(2x2, 3x3) and F(4x4, 3x3).

F(m, r) computes m outputs of a kernel with r taps from m + r - 1 inputs with m + r - 1 multiplications instead of m r.

1. Multiplying polynomials with m and r coefficients gives n = m + r - 1. A polynomial with n coefficients is known from
   its values at n points, and there the product is a product of values. With V the matrix of powers of the points
   (the point "infinity" reads off the highest coefficient), and V_m and V_r its first m and r columns,

       a times g  =  V^-1 [(V_r g) * (V_m a)]

2. For a fixed g that is a linear map of a, with the matrix of a full convolution; its transpose is the
   cross-correlation of n inputs d with g. Transposing the product from the right to the left gives

       y  =  V_m^T [(V_r g) * (V^-T d)]        that is, A^T [(G g) * (B^T d)]

3. In two dimensions the rows are treated so and then the columns: Y = A^T [(G g G^T) * (B^T d B)] A. A tile of 4x4
   outputs of a 3x3 kernel needs 36 multiplications instead of 144.

Source: Lavin & Gray 2016, "Fast algorithms for convolutional neural networks". Their matrices are these up to a factor
for each point, which they move from B to G.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from neocog.errors import GeometryError
from neocog.reference.axes import Array, Geometry, floats
from neocog.reference.windows import pad

__all__ = ["correlate_by_winograd2", "correlate_by_winograd4", "winograd_matrices"]

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0)
TAPS = 3


def winograd_matrices(m: int, r: int) -> tuple[Array, Array, Array]:
    """A^T (m, n), G (n, r) and B^T (n, n) of F(m, r), for n = m + r - 1 up to 6.

    >>> a, g, b = winograd_matrices(2, 3)
    >>> taps, inputs = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 2.0, 5.0])
    >>> (a @ ((g @ taps) * (b @ inputs))).tolist()  # 1*1 + 0*2 + 2*3 and 0*1 + 2*2 + 5*3
    [7.0, 19.0]
    """
    n = m + r - 1
    powers = np.vander(POINTS[: n - 1], n, increasing=True)
    v = np.vstack([powers, np.eye(n)[-1]])
    infinity = np.eye(n)[-1:]
    v_m = np.vstack([powers[:, :m], infinity[:, n - m :]])
    v_r = np.vstack([powers[:, :r], infinity[:, n - r :]])
    return v_m.T, v_r, np.linalg.inv(v).T


def correlate_by_winograd2(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """F(2x2, 3x3): 16 multiplications for a tile of 4 outputs instead of 36."""
    return correlate_in_tiles(x, w, geometry, groups, tile=2)


def correlate_by_winograd4(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """F(4x4, 3x3): 36 multiplications for a tile of 16 outputs instead of 144."""
    return correlate_in_tiles(x, w, geometry, groups, tile=4)


def correlate_in_tiles(x: Array, w: Array, geometry: Geometry, groups: int, tile: int) -> Array:
    """Tiles of the output, each from the tile + 2 inputs along each axis that it reads."""
    if geometry.kernel_size != (TAPS, TAPS) or geometry.stride != (1, 1) or geometry.dilation != (1, 1):
        raise GeometryError(
            "Winograd's method takes 3x3 kernels with stride 1 and dilation 1, in two dimensions.",
            received=f"kernel {geometry.kernel_size}, stride {geometry.stride}, dilation {geometry.dilation}",
            fix="Use method='im2col'.",
        )
    a, g, b = winograd_matrices(tile, TAPS)
    n, c_out, (high, wide) = len(x), len(w), geometry.output
    rows, cols = -(-high // tile), -(-wide // tile)
    # Zeros at the end, so that the last tiles are whole; what they add is cut off below.
    more = ((0, rows * tile - high), (0, cols * tile - wide))
    padded = pad(pad(x, geometry.padding), more)
    tiles = sliding_window_view(padded, (len(b), len(b)), axis=(2, 3))[:, :, ::tile, ::tile]
    inputs = (b @ tiles @ b.T).reshape(n, groups, -1, rows, cols, *b.shape)
    kernels = (g @ w @ g.T).reshape(groups, c_out // groups, -1, *b.shape)
    products = np.einsum("ngcijpq,gocpq->ngoijpq", inputs, kernels)
    outputs = (a @ products @ a.T).reshape(n, c_out, rows, cols, tile, tile)
    whole = outputs.swapaxes(3, 4).reshape(n, c_out, rows * tile, cols * tile)
    return floats(whole[:, :, :high, :wide])
