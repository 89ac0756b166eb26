"""ResNet for time series: classification from scratch (Wang, Yan & Oates, 2017).

Paper: https://arxiv.org/abs/1611.06455, section II.C: convolutions as in time_series_fcn.py, three times three, each
three with a shortcut around them. As in the authors' program the shortcut is normalised even where it changes nothing
else, and weights begin by Glorot's rule.

Shapes (N batch, C channels of the series, L samples, K classes):

    stem      (N, C, L)   -> (N, C, L)      nothing
    stage i   (N, c, L)   -> (N, W, L)      convolutions 8, 5, 3; W = 64, 128, 128
    head      (N, 128, L) -> (N, K)         average, dense
"""

from torch import Tensor, nn

from neocog.layers.initialization import glorot
from neocog.zoo.networks.time_series_fcn import TimeSeriesNetwork, conv_norm

__all__ = ["Residual", "TimeSeriesResNet"]


class Residual(nn.Module):
    """y = relu(branch(x) + shortcut(x)); (N, c_in, L) -> (N, c_out, L).

    With `there`, (N, 1, L), all maps are zero in the padding.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_norm(c_in, c_out, 8), nn.ReLU(),
            conv_norm(c_out, c_out, 5), nn.ReLU(),
            conv_norm(c_out, c_out, 3),
        )  # fmt: skip
        self.shortcut = nn.BatchNorm1d(c_out) if c_in == c_out else conv_norm(c_in, c_out, 1)
        self.relu = nn.ReLU()

    def forward(self, series: Tensor, there: Tensor | None = None) -> Tensor:
        if there is None:
            return self.relu(self.branch(series) + self.shortcut(series))  # type: ignore[no-any-return]
        maps = series
        for layer in self.branch:
            maps = layer(maps) * there
        return self.relu(maps + self.shortcut(series)) * there  # type: ignore[no-any-return]


class TimeSeriesResNet(TimeSeriesNetwork):
    """Three residual blocks, for series of any length."""

    def __init__(self, *, in_channels: int = 1, num_classes: int = 2, masked: bool = False) -> None:
        """`in_channels` counts the mask, if there is one."""
        super().__init__()
        self.masked = masked
        in_channels -= masked
        self.stem = nn.Identity()
        self.stages = nn.Sequential(Residual(in_channels, 64), Residual(64, 128), Residual(128, 128))
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, num_classes))
        self.apply(glorot)

    def run_stage(self, stage: nn.Module, maps: Tensor, there: Tensor) -> Tensor:
        return stage(maps, there)  # type: ignore[no-any-return]
