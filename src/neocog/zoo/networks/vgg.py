"""VGG: very deep convolutional networks for large-scale image recognition (Simonyan & Zisserman, 2014).

Paper: https://arxiv.org/abs/1409.1556, configurations A, B, D and E; those with batch norm came later. All convolutions
are 3x3 and all poolings 2x2: two 3x3 see as much as one 5x5, with fewer weights and one more nonlinearity. Most
parameters are in the first dense layer; before it, maps of other sizes than 7x7 are averaged to 7x7, which images of
224 do not need.

Plain networks this deep did not learn from small random values: the paper set out from its shallowest network's
weights, or from those of Glorot & Bengio. Here convolutions start by He et al. 2015, as has been usual since.

Shapes (N batch, C channels, H height, W width, K classes; w 64, 128, 256, 512, 512):

    stem      (N, C, H, W)          -> (N, 64, H, W)               convolutions
    stage i   (N, w[i], 2*h, 2*w)   -> (N, w[i + 1], h, w)         pooling, convolutions
    head      (N, 512, H/16, W/16)  -> (N, K)                      pooling to 7x7, dense 4096, 4096, K
"""

from collections.abc import Sequence

from torch import nn

from neocog.layers.initialization import gaussian_with_ones, he
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "VGG", "convs", "vgg"]

# name: (convolutions at each of the five resolutions, batch norm)
VARIANTS: dict[str, tuple[tuple[int, ...], bool]] = {
    "vgg11": ((1, 1, 2, 2, 2), False),
    "vgg13": ((2, 2, 2, 2, 2), False),
    "vgg16": ((2, 2, 3, 3, 3), False),
    "vgg19": ((2, 2, 4, 4, 4), False),
    "vgg11_bn": ((1, 1, 2, 2, 2), True),
    "vgg13_bn": ((2, 2, 2, 2, 2), True),
    "vgg16_bn": ((2, 2, 3, 3, 3), True),
    "vgg19_bn": ((2, 2, 4, 4, 4), True),
}


def convs(c_in: int, c_out: int, depth: int, norm: bool) -> list[nn.Module]:
    """3x3 convolutions, each with batch norm if asked for and ReLU; (N, c_in, H, W) -> (N, c_out, H, W)."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Conv2d(c_out if i else c_in, c_out, 3, padding=1))
        layers += [nn.BatchNorm2d(c_out), nn.ReLU()] if norm else [nn.ReLU()]
    return layers


class VGG(Network):
    """Convolutions at five resolutions, three dense layers; `dropout` acts on the two hidden ones."""

    def __init__(
        self,
        depths: Sequence[int],
        norm: bool,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convs(in_channels, 64, depths[0], norm))
        c_in, stages = 64, []
        for c_out, depth in zip((128, 256, 512, 512), depths[1:], strict=True):
            stages.append(nn.Sequential(nn.MaxPool2d(2), *convs(c_in, c_out, depth, norm)))
            c_in = c_out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(7), nn.Flatten(),
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        self.stem.apply(he)
        self.stages.apply(he)
        gaussian_with_ones(self.head)  # small logits at the start; no layer gets ones


def vgg(variant: str, *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Build a row of VARIANTS."""
    return VGG(*VARIANTS[variant], in_channels=in_channels, num_classes=num_classes, dropout=dropout)
