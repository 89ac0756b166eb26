"""NF-ResNet: a residual network that has no norm of its activations (Brock et al., 2021).

Paper: https://arxiv.org/abs/2101.08692, "Characterizing signal propagation to close the performance gap in unnormalized
ResNets". Filters are standardised, ReLUs are scaled to keep variance one, and each block divides its input by the
standard deviation that it must have at first:

    y = s + alpha * gain * branch(z)    z = act(x / beta)    beta**2 = the variance of x
    s = x, so that the variance of y is beta**2 + alpha**2;
    s = conv(z) in each stage's first block, so that it is 1 + alpha**2 again

`gain` is one number, at first zero, as in SkipInit (De & Smith, 2020) and in the authors' code. Theirs has no bias in
the first convolution; here and in timm it has one, so that parameters are those of ResNet and a gain for each block.

Shapes (N batch, C channels, H height, W width, K classes):

    stem      (N, C, H, W)   -> (N, 64, H/4, W/4)
    stage i   (N, C, h, w)   -> (N, 256 * 2**i, h/s, w/s)    s = 1 if i == 0 else 2
    head      (N, C, h, w)   -> (N, K)
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.scaled_conv import ScaledConv2d
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "NFResNet", "ScaledReLU", "nf_resnet"]

ALPHA = 0.2  # the share of a branch in its block's sum


class ScaledReLU(nn.Module):
    """y = sqrt(2 / (1 - 1 / pi)) * max(x, 0), which has variance one for standard normal x. Any shape."""

    SCALE = math.sqrt(2 / (1 - 1 / math.pi))

    def forward(self, maps: Tensor) -> Tensor:
        return self.SCALE * F.relu(maps)


def bottleneck(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """1x1, 3x3, 1x1; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    width = c_out // 4
    return nn.Sequential(
        ScaledConv2d(c_in, width, 1), ScaledReLU(),
        ScaledConv2d(width, width, 3, stride, padding=1), ScaledReLU(),
        ScaledConv2d(width, c_out, 1),
    )  # fmt: skip


class Residual(nn.Module):
    """A block as in this file's head; without a shortcut of its own, the sum has the input itself."""

    def __init__(self, branch: nn.Module, beta: float, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.activation = ScaledReLU()
        self.branch = branch
        self.beta = beta
        self.shortcut = shortcut
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        even = self.activation(maps / self.beta)
        straight: Tensor = maps if self.shortcut is None else self.shortcut(even)
        branch: Tensor = self.branch(even)
        return straight + ALPHA * self.gain * branch


# name: residual blocks in each of the four stages
VARIANTS: dict[str, tuple[int, ...]] = {
    "nf_resnet50": (3, 4, 6, 3),
    "nf_resnet101": (3, 4, 23, 3),
    "nf_resnet152": (3, 8, 36, 3),
    "nf_resnet200": (3, 24, 36, 3),
    "nf_resnet288": (24, 24, 24, 24),
}


class NFResNet(Network):
    """Stem, stages of residual blocks, activation, global average pool, linear head."""

    def __init__(self, depths: Sequence[int], *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(ScaledConv2d(in_channels, 64, 7, 2, padding=3), nn.MaxPool2d(3, 2, 1))
        c_in, variance, stages = 64, 1.0, []
        for i, depth in enumerate(depths):
            c_out, stride, blocks = 256 * 2**i, 1 if i == 0 else 2, []
            for j in range(depth):
                resets = j == 0
                shortcut = ScaledConv2d(c_in, c_out, 1, stride) if resets else None
                blocks.append(Residual(bottleneck(c_in, c_out, stride), math.sqrt(variance), shortcut))
                variance = (1.0 if resets else variance) + ALPHA**2
                c_in, stride = c_out, 1
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        classifier = nn.Linear(c_in, num_classes)
        nn.init.normal_(classifier.weight, std=0.01)
        nn.init.zeros_(classifier.bias)
        self.head = nn.Sequential(ScaledReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier)


def nf_resnet(variant: str, *, in_channels: int = 3, num_classes: int = 1000) -> NFResNet:
    """Build a row of VARIANTS."""
    return NFResNet(VARIANTS[variant], in_channels=in_channels, num_classes=num_classes)
