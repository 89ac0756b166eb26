"""SpectrumCNN: numbers from spectra and other signals in which the place of a feature says what it is.

After Cui & Fearn 2018, "Modern practical convolutional neural networks for multivariate regression: applications to NIR
calibration", Chemometrics and Intelligent Laboratory Systems 182: convolutions, which learn to smooth and to take
derivatives, then dense layers with ELU, and no average over places. Theirs has one filter and reads a length that is
fixed; this one has two layers of 16 and averages over 32 places, so that signals may have any length. Beside each
channel it reads the channel with mean 0 and deviation 1, which corrects for scatter (Barnes et al. 1989, SNV).

Shapes (N batch, C channels of the signal, L samples, K outputs):

    stem      (N, C, L)      -> (N, 16, L)      both copies, convolution 9, ELU
    stage 0   (N, 16, L)     -> (N, 16, L / 2)  convolution 9, stride 2, ELU
    head      (N, 16, L / 2) -> (N, K)          average over 32 places, dense 64, ELU, dense
"""

import torch
from torch import Tensor, nn

from neocog.zoo.network import Network

__all__ = ["SpectrumCNN", "WithNormalised"]

EPSILON = 1e-5  # of the variance


class WithNormalised(nn.Module):
    """Channels, and behind them the same with mean 0 and deviation 1 over each signal; (N, C, L) -> (N, 2C, L)."""

    def forward(self, signals: Tensor) -> Tensor:
        centred = signals - signals.mean(dim=2, keepdim=True)
        variance = (centred * centred).mean(dim=2, keepdim=True)
        return torch.cat([signals, centred * (variance + EPSILON).rsqrt()], dim=1)


class SpectrumCNN(Network):
    """Two convolutions with 16 maps, and two dense layers on 32 places."""

    def __init__(self, *, in_channels: int = 1, num_classes: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(WithNormalised(), nn.Conv1d(2 * in_channels, 16, 9, padding=4), nn.ELU())
        self.stages = nn.Sequential(nn.Sequential(nn.Conv1d(16, 16, 9, stride=2, padding=4), nn.ELU()))
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool1d(32), nn.Flatten(), nn.Linear(16 * 32, 64), nn.ELU(), nn.Linear(64, num_classes)
        )
