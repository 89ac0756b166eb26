"""InceptionTime: finding AlexNet for time series classification (Ismail Fawaz et al., 2020).

Paper: https://arxiv.org/abs/1909.04939. Very long and short kernels side by side, behind a bottleneck that keeps them
affordable; a shortcut around every third module. The paper averages the probabilities of five such networks, trained
from different seeds; this is one of them. Weights begin by Glorot's rule, as in the authors' program.

Shapes (N batch, C channels of the series, L samples, K classes):

    stem      (N, C, L)   -> (N, C, L)      nothing
    stage i   (N, c, L)   -> (N, 128, L)    three inception modules and a shortcut; i = 0, 1
    head      (N, 128, L) -> (N, K)         average, dense
"""

import torch
from torch import Tensor, nn

from neocog.layers.initialization import glorot
from neocog.zoo.networks.time_series_fcn import TimeSeriesNetwork, conv_norm, same_conv

__all__ = ["InceptionTime"]

WIDTH = 32  # of the bottleneck, and of each of a module's four branches


class Inception(nn.Module):
    """Convolutions of 40, 20 and 10 samples behind a common bottleneck, beside a pooling; (N, c_in, L) -> (N, 128, L).

    A series of one channel needs no bottleneck. With `there`, (N, 1, L), all maps are zero in the padding, and pooling
    leaves it out.
    """

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(c_in, WIDTH, 1, bias=False) if c_in > 1 else nn.Identity()
        self.convs = nn.ModuleList(same_conv(WIDTH if c_in > 1 else 1, WIDTH, size) for size in (40, 20, 10))
        self.pooled = nn.Sequential(
            # a pooling along one axis of two, since torch exports MaxPool1d for a single length
            nn.Unflatten(1, (c_in, 1)), nn.MaxPool2d((1, 3), stride=1, padding=(0, 1)), nn.Flatten(1, 2),
            nn.Conv1d(c_in, WIDTH, 1, bias=False),
        )  # fmt: skip
        self.norm_relu = nn.Sequential(nn.BatchNorm1d(4 * WIDTH), nn.ReLU())

    def forward(self, series: Tensor, there: Tensor | None = None) -> Tensor:
        few = self.bottleneck(series)
        pooled = self.pooled(series) if there is None else self.pool_within(series, there)
        maps = self.norm_relu(torch.cat([*(conv(few) for conv in self.convs), pooled], dim=1))
        return maps if there is None else maps * there  # type: ignore[no-any-return]

    def pool_within(self, series: Tensor, there: Tensor) -> Tensor:
        """The pooled branch without the values in the padding."""
        beyond = there == 0
        highest = self.pooled[:3](series.masked_fill(beyond, -torch.inf))
        return self.pooled[3](highest.masked_fill(beyond, 0.0))  # type: ignore[no-any-return]


class ThreeModules(nn.Module):
    """y = relu(branch(x) + shortcut(x)) with three modules in the branch; (N, c_in, L) -> (N, 128, L).

    With `there`, (N, 1, L), all maps are zero in the padding.
    """

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(Inception(c_in), Inception(4 * WIDTH), Inception(4 * WIDTH))
        self.shortcut = conv_norm(c_in, 4 * WIDTH, 1)

    def forward(self, series: Tensor, there: Tensor | None = None) -> Tensor:
        if there is None:
            return torch.relu(self.branch(series) + self.shortcut(series))
        maps = series
        for module in self.branch:
            maps = module(maps, there)
        return torch.relu(maps + self.shortcut(series)) * there


class InceptionTime(TimeSeriesNetwork):
    """Six inception modules in two stages, for series of any length."""

    def __init__(self, *, in_channels: int = 1, num_classes: int = 2, masked: bool = False) -> None:
        """`in_channels` counts the mask, if there is one."""
        super().__init__()
        self.masked = masked
        in_channels -= masked
        self.stem = nn.Identity()
        self.stages = nn.Sequential(ThreeModules(in_channels), ThreeModules(4 * WIDTH))
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4 * WIDTH, num_classes))
        self.apply(glorot)

    def run_stage(self, stage: nn.Module, maps: Tensor, there: Tensor) -> Tensor:
        return stage(maps, there)  # type: ignore[no-any-return]
