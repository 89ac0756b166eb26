"""The cells of the neocognitron that make it tolerant of shift."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["CCells", "bell"]


def bell(size: int, sigma: float) -> Tensor:
    """Weights that fall off with the distance from the middle, where they are 1; (size, size).

        exp(-distance**2 / (2 sigma**2))

    >>> bell(3, sigma=1.0)[1]
    tensor([0.6065, 1.0000, 0.6065])
    """
    distance = torch.arange(size) - (size - 1) / 2
    across = torch.exp(-distance.square() / (2 * sigma**2))
    return across[:, None] * across


class CCells(nn.Module):
    """Each plane blurred and thinned out, planes inhibiting each other, the response saturating.

        u[k] = psi[(1 + sum_d(s[k])) / (1 + mean_k(sum_d(s[k]))) - 1]      psi[x] = phi[x] / (alpha + phi[x])

    where sum_d is the sum over the window, weighted by a bell that is 1 in its middle, and phi is the rectifier. A
    C-cell thus responds when any of the S-cells that it reads does, wherever exactly that one lies; and it responds
    less, where S-cells of most other planes respond as well.
    Shapes: (N, K, H, W) -> (N, K, ceil(H / stride), ceil(W / stride)) for an odd kernel. Nothing is learnt.
    Source: Fukushima 1980, with its alpha of 0.5.

    >>> one_cell = torch.zeros(1, 1, 5, 5).index_fill(3, torch.tensor(2), 1.0)
    >>> CCells(5, stride=2, sigma=1.0)(one_cell).shape
    torch.Size([1, 1, 3, 3])
    """

    ALPHA = 0.5

    def __init__(self, kernel_size: int, stride: int, sigma: float) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.register_buffer("weight", bell(kernel_size, sigma), persistent=False)
        self.weight: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        num_planes = maps.shape[1]
        weight = self.weight.expand(num_planes, 1, -1, -1)
        sums = F.conv2d(maps, weight, stride=self.stride, padding=self.kernel_size // 2, groups=num_planes)
        drive = F.relu((1 + sums) / (1 + sums.mean(1, keepdim=True)) - 1)
        return drive / (self.ALPHA + drive)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"
