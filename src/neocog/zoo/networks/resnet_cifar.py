"""ResNet for small images: the networks of deep residual learning for CIFAR-10 (He et al., 2015, section 4.2).

Paper: https://arxiv.org/abs/1512.03385. 6n + 2 layers: one convolution, three stages of n blocks, one dense layer. No
shortcut has parameters ("option A"): where maps are halved, it takes every other value and adds channels of zeros.

Shapes (N batch, C channels, H height, W width, K classes):

    stem      (N, C, H, W)   -> (N, 16, H, W)
    stage 0   (N, 16, H, W)  -> (N, 16, H, W)
    stage i   (N, c, h, w)   -> (N, 2c, h/2, w/2)
    head      (N, 64, h, w)  -> (N, K)
"""

import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.zoo.network import Network
from neocog.zoo.networks.resnet import Residual, basic, conv_norm

__all__ = ["VARIANTS", "ResNetCifar", "Shrink", "resnet_cifar"]

# name: blocks in each of the three stages
VARIANTS = {
    "resnet20_cifar": 3,
    "resnet32_cifar": 5,
    "resnet44_cifar": 7,
    "resnet56_cifar": 9,
    "resnet110_cifar": 18,
}


class Shrink(nn.Module):
    """Every other value of every other row, and as many channels of zeros behind; (N, c, H, W) -> (N, 2c, H/2, W/2)."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, 0, maps.shape[1]))


class ResNetCifar(Network):
    """Stem, three stages of `depth` residual blocks, global average pool, linear head."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(in_channels, 16, 3), nn.ReLU())
        firsts = (
            Residual(basic(16, 16, 1), nn.Identity()),
            Residual(basic(16, 32, 2), Shrink()),
            Residual(basic(32, 64, 2), Shrink()),
        )
        self.stages = nn.Sequential()
        for first, width in zip(firsts, (16, 32, 64), strict=True):
            others = [Residual(basic(width, width, 1), nn.Identity()) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(first, *others))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))
        nn.Sequential(self.stem, self.stages).apply(he)


def resnet_cifar(variant: str, *, in_channels: int = 3, num_classes: int = 10) -> ResNetCifar:
    """Build a row of VARIANTS."""
    return ResNetCifar(VARIANTS[variant], in_channels=in_channels, num_classes=num_classes)
