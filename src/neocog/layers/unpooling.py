"""Max pooling that remembers where each maximum was, and its way back."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SwitchPool2d", "Switches", "Unpool2d"]


class Switches(NamedTuple):
    """Where the maxima were that a pooling kept."""

    places: Tensor
    """(N, C, h, w): the place of each maximum in its map, i * W + j for row i and column j."""
    size: tuple[int, int]
    """Height and width before pooling."""


class SwitchPool2d(nn.Module):
    """Max pooling that gives its switches too: the place of each maximum.

        maps[i] = x[places[i]] = max over window i of x

    Shapes: (N, C, H, W) -> (N, C, h, w) and their `Switches`; h and w as of `nn.MaxPool2d`, the stride being the kernel
    unless given. Among equal values, the first wins.
    Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 2.1.

    >>> maps, switches = SwitchPool2d(2)(torch.tensor([[[[1.0, 5.0, 2.0], [3.0, 4.0, 9.0]]]]))
    >>> maps.tolist(), switches.places.tolist(), switches.size
    ([[[[5.0]]]], [[[[1]]]], (2, 3))
    """

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode

    def forward(self, maps: Tensor) -> tuple[Tensor, Switches]:
        pooled, places = F.max_pool2d(
            maps, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode, return_indices=True
        )
        return pooled, Switches(places, (maps.shape[2], maps.shape[3]))

    def extra_repr(self) -> str:
        ceil = ", ceil_mode=True" * self.ceil_mode
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}{ceil}"


class Unpool2d(nn.Module):
    """Each value put back to the place where the maximum was; zeros elsewhere.

        x[places[i]] = maps[i]

    Shapes: (N, C, h, w) and their `Switches` -> (N, C, H, W), the size before pooling, odd sizes too. Where windows
    overlapped, one place can have won several; it gets one of their values.
    Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 2.1.

    >>> maps, switches = SwitchPool2d(2)(torch.tensor([[[[1.0, 5.0, 2.0], [3.0, 4.0, 9.0]]]]))
    >>> Unpool2d()(10 * maps, switches).tolist()
    [[[[0.0, 50.0, 0.0], [0.0, 0.0, 0.0]]]]
    """

    def forward(self, maps: Tensor, switches: Switches) -> Tensor:
        # F.max_unpool2d asks for the kernel too, only to compare the size with what the kernel could have left.
        restored: Tensor = torch.ops.aten.max_unpool2d.default(maps, switches.places, switches.size)
        return restored
