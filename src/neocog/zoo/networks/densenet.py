"""DenseNet: densely connected convolutional networks (Huang et al., 2016).

Paper: https://arxiv.org/abs/1608.06993. Each layer reads the maps of all layers before it in its block, side by side,
and adds `growth` maps. All are of the form DenseNet-BC: a 1x1 convolution to 4 * growth maps goes before each 3x3 one,
and a transition halves maps and resolution. A stage works at one resolution: it begins with the transition to it, and
the last ends with the norm and ReLU that follow the last block.

Shapes (N batch, C channels, H height, W width, K classes; g growth, d layers):

    stem      (N, C, H, W)   -> (N, 2g, H/4, W/4)              for CIFAR (N, 2g, H, W)
    stage i   (N, C, h, w)   -> (N, C/s + d[i] * g, h/s, w/s)  s = 1 if i == 0 else 2
    head      (N, C, h, w)   -> (N, K)
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "DenseNet", "densenet"]

Stem = Callable[[int, int], nn.Sequential]


def imagenet_stem(c_in: int, c_out: int) -> nn.Sequential:
    """(N, c_in, H, W) -> (N, c_out, H/4, W/4)."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )  # fmt: skip


def cifar_stem(c_in: int, c_out: int) -> nn.Sequential:
    """(N, c_in, H, W) -> (N, c_out, H, W)."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False))


def bottleneck(c_in: int, growth: int, dropout: float) -> nn.Sequential:
    """1x1, 3x3, each behind norm and ReLU; (N, c_in, H, W) -> (N, growth, H, W)."""
    width = 4 * growth
    return nn.Sequential(
        nn.BatchNorm2d(c_in), nn.ReLU(), nn.Conv2d(c_in, width, 1, bias=False), nn.Dropout(dropout),
        nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, growth, 3, padding=1, bias=False), nn.Dropout(dropout),
    )  # fmt: skip


def transition(c_in: int, dropout: float) -> nn.Sequential:
    """(N, c_in, H, W) -> (N, c_in/2, H/2, W/2)."""
    return nn.Sequential(
        nn.BatchNorm2d(c_in), nn.ReLU(), nn.Conv2d(c_in, c_in // 2, 1, bias=False), nn.Dropout(dropout), nn.AvgPool2d(2)
    )  # fmt: skip


class Dense(nn.Module):
    """y = x with branch(x) behind it; (N, C, H, W) -> (N, C + growth, H, W)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps, self.branch(maps)], dim=1)


# name: (stem, growth, dense layers in each stage); densenet100_12_cifar is the paper's L = 100, k = 12
VARIANTS: dict[str, tuple[Stem, int, tuple[int, ...]]] = {
    "densenet121": (imagenet_stem, 32, (6, 12, 24, 16)),
    "densenet161": (imagenet_stem, 48, (6, 12, 36, 24)),
    "densenet169": (imagenet_stem, 32, (6, 12, 32, 32)),
    "densenet201": (imagenet_stem, 32, (6, 12, 48, 32)),
    "densenet100_12_cifar": (cifar_stem, 12, (16, 16, 16)),
}


class DenseNet(Network):
    """Stem, stages of a transition and a dense block, global average pool, linear head.

    `dropout` acts behind every convolution but the first; the paper has 0.2 where data is not augmented.
    """

    def __init__(
        self,
        stem: Stem,
        growth: int,
        depths: Sequence[int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels = 2 * growth
        self.stem = stem(in_channels, channels)
        stages = []
        for i, depth in enumerate(depths):
            entrance: nn.Module = nn.Identity()
            if i > 0:
                entrance, channels = transition(channels, dropout), channels // 2
            layers = [Dense(bottleneck(channels + j * growth, growth, dropout)) for j in range(depth)]
            stages.append(nn.Sequential(entrance, nn.Sequential(*layers)))
            channels += depth * growth
        stages[-1].extend([nn.BatchNorm2d(channels), nn.ReLU()])
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
        self.apply(initialise)


def initialise(module: nn.Module) -> None:
    """Convolutions by He et al. 2015, as the paper says; the fan-out and the head's bias of zero are the authors'."""
    if isinstance(module, nn.Conv2d):
        he(module)
    elif isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def densenet(variant: str, *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0) -> DenseNet:
    """Build a row of VARIANTS."""
    return DenseNet(*VARIANTS[variant], in_channels=in_channels, num_classes=num_classes, dropout=dropout)
