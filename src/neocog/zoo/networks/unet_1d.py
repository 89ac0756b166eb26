"""A one-dimensional U-Net, for a class at each sample of a signal: U-Time (Perslev et al., 2019).

Paper: https://arxiv.org/abs/1910.11162, section 2.2: convolutions of five taps spread over nine samples, batch norm
behind each ReLU, nearest-neighbour upsampling with a convolution of the pooling's size. The paper pools by 10, 8, 6 and
4, and averages over windows of 30 s, since sleep is scored in these. Here every sample has a class, so nothing is
averaged, and three poolings by 4 serve windows from a few hundred samples on.

Shapes (N batch, C channels, L samples, K classes; lengths after pooling are rounded up):

    stem      (N, C, L)                    -> (N, 32, L)
    stage 0   (N, 32, L)                   -> (N, 32, L)
    stage i   (N, 16 * 2**i, 4 l)          -> (N, 32 * 2**i, l)     i from 1 to 3
    head      the maps of all stages       -> (N, K, L)
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.initialization import glorot
from neocog.zoo.network import Network
from neocog.zoo.networks.time_series_fcn import same_conv

__all__ = ["WIDTHS", "UNet1d"]

WIDTHS = (32, 64, 128, 256)  # channels of each stage
POOL = 4


def conv(c_in: int, c_out: int) -> nn.Sequential:
    """Five taps two samples apart, ReLU, norm; (N, c_in, L) -> (N, c_out, L)."""
    return nn.Sequential(nn.Conv1d(c_in, c_out, 5, padding=4, dilation=2), nn.ReLU(), nn.BatchNorm1d(c_out))


def pool(channels: int) -> nn.Sequential:
    """(N, c, L) -> (N, c, L / 4), rounded up.

    A pooling along one axis of two, since torch exports MaxPool1d for a single length.
    """
    along = nn.MaxPool2d((1, POOL), ceil_mode=True)
    return nn.Sequential(nn.Unflatten(1, (channels, 1)), along, nn.Flatten(1, 2))


class StepUp(nn.Module):
    """The skipped maps' length at their number of channels, beside them, then two convolutions.

    (N, 2c, l) and (N, c, L) -> (N, c, L).
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(same_conv(2 * c, c, POOL), nn.ReLU(), nn.BatchNorm1d(c))
        self.convs = nn.Sequential(conv(2 * c, c), conv(c, c))

    def forward(self, maps: Tensor, skipped: Tensor) -> Tensor:
        wide = F.interpolate(maps, scale_factor=float(POOL), mode="nearest")
        narrow = self.narrow(F.pad(wide, (0, skipped.shape[2] - wide.shape[2])))  # less where pooling had rounded up
        return self.convs(torch.cat([skipped, narrow], 1))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """The path up, from the deepest maps to logits for each sample."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(StepUp(c) for c in reversed(WIDTHS[:-1]))
        self.classify = nn.Conv1d(WIDTHS[0], num_classes, 1)

    def forward(self, found: Sequence[Tensor]) -> Tensor:
        *skipped, maps = found
        for step, skip in zip(self.steps, reversed(skipped), strict=True):
            maps = step(maps, skip)
        return self.classify(maps)  # type: ignore[no-any-return]


class UNet1d(Network):
    """Four resolutions down, three up again, two convolutions at each, for signals of any length."""

    def __init__(self, *, in_channels: int = 1, num_classes: int = 2) -> None:
        super().__init__()
        self.stem = conv(in_channels, WIDTHS[0])
        stages = [conv(WIDTHS[0], WIDTHS[0])]
        for c_in, c_out in pairwise(WIDTHS):
            stages.append(nn.Sequential(pool(c_in), conv(c_in, c_out), conv(c_out, c_out)))
        self.stages = nn.Sequential(*stages)
        self.head = Decoder(num_classes)
        self.apply(glorot)

    def forward(self, signals: Tensor) -> Tensor:
        """(N, in_channels, L) signals -> (N, num_classes, L) logits."""
        return self.head(self.features(signals))  # type: ignore[no-any-return]
