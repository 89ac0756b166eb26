"""Downsampling that smooths first."""

from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BlurPool2d"]


class BlurPool2d(nn.Module):
    """A binomial filter, then every stride-th sample: what would alias is taken out before samples are left out.

        y[c, i, j] = sum over u, v of b[u] b[v] x[c, s i + u - p, s j + v - p]
        b[u] = binomial(k - 1, u) / 2**(k - 1),    p = (k - 1) // 2

    Shapes: (N, C, H, W) -> (N, C, ceil(H / s), ceil(W / s)), for any C and H, W > k / 2. Nothing is trainable. Borders
    are reflected, so that a constant map stays constant up to its border.
    Behind a max pooling of stride 1 it takes the place of one of stride s, behind a convolution of stride 1 that of a
    convolution of stride s. Source: Zhang 2019, "Making convolutional networks shift-invariant again", section 3.2.

    >>> ripple = torch.tensor([1.0, -1.0]).repeat(1, 1, 4, 4)
    >>> BlurPool2d()(5 + ripple)[0, 0].tolist()
    [[5.0, 5.0, 5.0, 5.0], [5.0, 5.0, 5.0, 5.0]]
    """

    def __init__(self, kernel_size: int = 3, stride: int = 2) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        before, after = (kernel_size - 1) // 2, kernel_size // 2
        self.padding = (before, after, before, after)
        row = torch.tensor([comb(kernel_size - 1, u) / 2 ** (kernel_size - 1) for u in range(kernel_size)])
        # Follows from the size alone, so not saved.
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)
        self.kernel: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        channels = maps.shape[1]
        one_each = self.kernel.expand(channels, 1, -1, -1)
        return F.conv2d(F.pad(maps, self.padding, "reflect"), one_each, stride=self.stride, groups=channels)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"
