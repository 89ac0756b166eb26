"""A convolution in which each output map reads only some of the input maps."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PartialConv2d"]


class PartialConv2d(nn.Module):
    """A convolution with a connection table: output map m is the sum over the input maps in `table[m]` alone.

    Shapes: (N, C_in, H, W) -> (N, len(table), H - k + 1, W - k + 1). Only connected kernels are parameters:
    sum(len(inputs) for inputs in table) * k * k weights and len(table) biases.
    Source: LeCun et al. 1998, table I.

    >>> conv = PartialConv2d(3, table=[(0,), (0, 2)], kernel_size=5)
    >>> sum(p.numel() for p in conv.parameters())
    77
    """

    def __init__(self, in_channels: int, table: Sequence[Sequence[int]], kernel_size: int) -> None:
        super().__init__()
        self.shape = (len(table), in_channels, kernel_size, kernel_size)
        pairs = [(m, c) for m, inputs in enumerate(table) for c in inputs]
        self.outputs, self.inputs = [m for m, _ in pairs], [c for _, c in pairs]
        self.weight = nn.Parameter(torch.empty(len(pairs), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(table)))
        # Place of each kernel in the full (C_out * C_in) bank; derived from the table, so not saved.
        rows = torch.tensor([m * in_channels + c for m, c in pairs])
        self.register_buffer("rows", rows, persistent=False)
        self.rows: Tensor
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-2.4 / fan-in, the fan-in being that of each output map. Source: the paper's appendix A."""
        fan_in = [self.outputs.count(m) * self.shape[-1] ** 2 for m in range(self.shape[0])]
        bound = 2.4 / torch.tensor(fan_in, dtype=self.weight.dtype)
        with torch.no_grad():
            self.weight.uniform_(-1, 1).mul_(bound[self.outputs][:, None, None])
            self.bias.uniform_(-1, 1).mul_(bound)

    def full_weight(self) -> Tensor:
        """The kernels with zeros where nothing is connected; (C_out, C_in, k, k)."""
        c_out, c_in, *kernel = self.shape
        bank = self.weight.new_zeros(c_out * c_in, *kernel)
        return bank.index_copy(0, self.rows, self.weight).view(self.shape)

    def forward(self, maps: Tensor) -> Tensor:
        return F.conv2d(maps, self.full_weight(), self.bias)

    def extra_repr(self) -> str:
        c_out, c_in, k, _ = self.shape
        return f"{c_in}, {c_out}, kernel_size={k}, connections={len(self.outputs)} of {c_in * c_out}"
