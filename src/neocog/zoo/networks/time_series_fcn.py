"""FCN, fully convolutional network for time series: classification from scratch (Wang, Yan & Oates, 2017).

Paper: https://arxiv.org/abs/1611.06455, section II.B. Convolutions that keep the length and an average over time, so
that the same network takes series of any length. Weights begin by Glorot's rule, as in the authors' program.

Shapes (N batch, C channels of the series, L samples, K classes):

    stem      (N, C, L)   -> (N, 128, L)    convolution 8, norm, ReLU
    stage 0   (N, 128, L) -> (N, 256, L)    convolution 5, norm, ReLU
    stage 1   (N, 256, L) -> (N, 128, L)    convolution 3, norm, ReLU
    head      (N, 128, L) -> (N, K)         average, dense
"""

from torch import Tensor, nn

from neocog.layers.initialization import glorot
from neocog.zoo.network import Network

__all__ = ["TimeSeriesFCN", "TimeSeriesNetwork", "conv_norm", "same_conv"]


def same_conv(c_in: int, c_out: int, kernel_size: int) -> nn.Sequential:
    """(N, c_in, L) -> (N, c_out, L); of an even kernel's padding the larger half follows the signal.

    `Conv1d(padding="same")` computes the same, but warns of a copy at kernels of even size.
    """
    padding = nn.ZeroPad1d(((kernel_size - 1) // 2, kernel_size // 2))
    return nn.Sequential(padding, nn.Conv1d(c_in, c_out, kernel_size, bias=False))


def conv_norm(c_in: int, c_out: int, kernel_size: int) -> nn.Sequential:
    """Convolution then batch norm; (N, c_in, L) -> (N, c_out, L)."""
    return nn.Sequential(same_conv(c_in, c_out, kernel_size), nn.BatchNorm1d(c_out))


class TimeSeriesNetwork(Network):
    """A network for series of any length, whose padding may be marked by a mask.

    If it is `masked`, the last channel of the input is 1 where the series is and 0 in its padding. After each layer the
    maps are zero in the padding, as convolutions find them beyond the ends of a series, and the average is over the
    series alone: outputs are those of the series without its padding. The head ends with an average and a dense layer.
    """

    masked = False

    def forward(self, series: Tensor) -> Tensor:
        """(N, in_channels, L) series -> (N, num_classes) logits."""
        if not self.masked:
            return super().forward(series)
        there = series[:, -1:]
        total = (self.features(series)[-1] * there).sum(dim=2)
        return self.head[-1](total / there.sum(dim=2).clamp(min=1))  # type: ignore[no-any-return, index]

    def features(self, series: Tensor) -> list[Tensor]:
        if not self.masked:
            return super().features(series)
        there = series[:, -1:]
        maps, found = self.stem(series[:, :-1] * there) * there, []
        for stage in self.stages:
            maps = self.run_stage(stage, maps, there)
            found.append(maps)
        return found

    def run_stage(self, stage: nn.Module, maps: Tensor, there: Tensor) -> Tensor:
        """The maps after a stage, zero in the padding; (N, c, L), (N, 1, L) -> (N, c', L)."""
        return stage(maps) * there  # type: ignore[no-any-return]


class TimeSeriesFCN(TimeSeriesNetwork):
    """Three convolutions with 128, 256 and 128 maps, for series of any length."""

    def __init__(self, *, in_channels: int = 1, num_classes: int = 2, masked: bool = False) -> None:
        """`in_channels` counts the mask, if there is one."""
        super().__init__()
        self.masked = masked
        in_channels -= masked
        self.stem = nn.Sequential(conv_norm(in_channels, 128, 8), nn.ReLU())
        self.stages = nn.Sequential(
            nn.Sequential(conv_norm(128, 256, 5), nn.ReLU()),
            nn.Sequential(conv_norm(256, 128, 3), nn.ReLU()),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, num_classes))
        self.apply(glorot)
