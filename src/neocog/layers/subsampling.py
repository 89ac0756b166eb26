"""Subsampling that learns: the pooling of the 1998 networks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TrainableSubsampling"]


class TrainableSubsampling(nn.Module):
    """The sum over each window, times one trainable coefficient, plus one trainable bias for each map.

        y[c, i, j] = coefficient[c] * sum(window of x[c] at (i, j)) + bias[c]

    Shapes: (N, C, H, W) -> (N, C, H / k, W / k). Trainable parameters: 2C.
    Source: LeCun et al. 1998, section II.B, layers S2 and S4.

    >>> TrainableSubsampling(3)(torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 3, 2, 2])
    """

    def __init__(self, num_channels: int, kernel_size: int = 2) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.coefficient = nn.Parameter(torch.full((num_channels,), 1.0 / kernel_size**2))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, maps: Tensor) -> Tensor:
        sums = F.avg_pool2d(maps, self.kernel_size) * self.kernel_size**2
        return sums * self.coefficient[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        return f"{len(self.bias)}, kernel_size={self.kernel_size}"
