"""Convolution in the frequency domain, where it is a product.

A shift by m multiplies the transform at frequency f by the wave exp(-2 pi i f m / L), so a sum of shifted copies, each
times a weight, multiplies it by the sum of the waves, each times its weight: the transform of the kernel. For the
cross-correlation, which shifts the other way, by its complex conjugate:

    F(y) = conj(F(w)) F(x)

The transform takes its input to go round in a circle of L samples. With L the padded size, the first L - d(k - 1)
outputs never reach round the end; they are the ones that are wanted, and a stride keeps every s-th of them. The cost is
O(L log L) whatever the size of the kernel.
"""

import numpy as np

from neocog.reference.axes import Array, Geometry
from neocog.reference.windows import pad, stuff

__all__ = ["correlate_by_fft"]


def correlate_by_fft(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    """y = F^-1(sum over the channels of a group of conj(F(w)) F(x)), then every s-th sample."""
    n, c_out, axes = len(x), len(w), tuple(range(2, x.ndim))
    dilated = stuff(w, geometry.dilation, (0,) * len(axes))
    waves = np.fft.rfftn(pad(x, geometry.padding), axes=axes)
    weights = np.fft.rfftn(dilated, s=geometry.padded, axes=axes).conj()
    waves = waves.reshape(n, groups, -1, *waves.shape[2:])
    weights = weights.reshape(groups, c_out // groups, *weights.shape[1:])
    product = np.einsum("ngc...,goc...->ngo...", waves, weights)
    y = np.fft.irfftn(product.reshape(n, c_out, *product.shape[3:]), s=geometry.padded, axes=axes)
    kept = zip(geometry.stride, geometry.output, strict=True)
    return y[:, :, *(slice(0, s * (o - 1) + 1, s) for s, o in kept)]
