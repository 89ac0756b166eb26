"""CenterNet on EfficientNet-Lite0: the centre-point detector for small machines.

The method is that of Zhou et al. 2019, "Objects as points" (https://arxiv.org/abs/1904.07850), the backbone that of
the Lite variants of Tan & Le 2019. The decoder is a feature pyramid (Lin et al. 2017,
https://arxiv.org/abs/1612.03144) down to 1/4 of the input's size: coarse maps are enlarged and added to finer ones,
which keeps small objects apart. After each addition come a 3x3 filter of each channel and a 1x1 convolution.

Shapes (N batch, C channels, H height, W width, K classes; H/32 and W/32 are rounded up, h and w 8 times that):

    stem      (N, C, H, W) -> (N, 32, H/2, W/2)    EfficientNet-Lite0's
    stages    those        -> 24, 40, 112, 320 channels at 1/4, 1/8, 1/16, 1/32
    head      these four   -> (N, 64, h, w) -> heat (N, K, h, w), size (N, 2, h, w), offset (N, 2, h, w)

With `shrink` s, stem and stages see images of 1/s of the sides, which take 1/s^2 of the time, and the branches give s^2
values for each of their cells, so that the maps have h x w cells again: sub-pixel convolution (Shi et al. 2016,
https://arxiv.org/abs/1609.05158). It suits objects that are large enough to be recognised at that size.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.zoo.network import Network
from neocog.zoo.networks.centernet import SCORE, Points
from neocog.zoo.networks.efficientnet_lite import efficientnet_lite
from neocog.zoo.networks.resnet import conv_norm

__all__ = ["CenterNetLite"]

STAGES, CHANNELS = (1, 2, 4, 6), (24, 40, 112, 320)  # of the backbone whose maps are read, from fine to coarse
WIDTH, BRANCH = 64, 32


def smooth(channels: int) -> nn.Sequential:
    """3x3 of each channel, then 1x1; (N, channels, h, w) -> the same."""
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(channels), *conv_norm(channels, channels, 1), nn.ReLU())


def branch(c_out: int, shrink: int, bias: float = 0.0) -> nn.Sequential:
    """3x3 and 1x1, of which the bias alone is seen at first; (N, WIDTH, h, w) -> (N, c_out, shrink h, shrink w)."""
    last = nn.Conv2d(BRANCH, c_out * shrink**2, 1)
    layers = nn.Sequential(nn.Conv2d(WIDTH, BRANCH, 3, padding=1), nn.ReLU(), last).apply(he)
    nn.init.normal_(last.weight, std=0.001)
    last.bias = nn.Parameter(torch.full((c_out * shrink**2,), bias))
    return layers if shrink == 1 else layers.append(nn.PixelShuffle(shrink))


class PyramidHead(nn.Module):
    """Each backbone's maps brought to one width, added from coarse to fine, then a branch for each of the outputs."""

    def __init__(self, num_classes: int, shrink: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_norm(channels, WIDTH, 1) for channels in CHANNELS)
        self.smooth = nn.ModuleList(smooth(WIDTH) for _ in CHANNELS[:-1])
        self.apply(he)
        self.heat = branch(num_classes, shrink, bias=math.log(SCORE / (1 - SCORE)))
        self.size, self.offset = branch(2, shrink), branch(2, shrink)

    def forward(self, found: Sequence[Tensor]) -> Points:
        maps = self.lateral[-1](found[STAGES[-1]])
        for i in reversed(range(len(STAGES) - 1)):
            maps = F.interpolate(maps, scale_factor=2.0, mode="nearest")
            finer = self.lateral[i](found[STAGES[i]])
            # Maps of an odd size are one row or column larger once enlarged; nothing is there.
            beyond = (0, maps.shape[3] - finer.shape[3], 0, maps.shape[2] - finer.shape[2])
            maps = self.smooth[i](maps + F.pad(finer, beyond))
        return Points(self.heat(maps), self.size(maps), self.offset(maps))


class CenterNetLite(Network):
    """EfficientNet-Lite0's stem and stages, and a light head that gives `Points`; `peaks` makes boxes of them."""

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 80, stochastic_depth: float = 0.0, shrink: int = 1
    ) -> None:
        super().__init__()
        backbone = efficientnet_lite("efficientnet_lite0", in_channels=in_channels, stochastic_depth=stochastic_depth)
        self.stem, self.stages, self.shrink = backbone.stem, backbone.stages, shrink
        self.head = PyramidHead(num_classes, shrink)

    def forward(self, images: Tensor) -> Points:  # type: ignore[override]
        """(N, in_channels, H, W) images -> three maps at stride 4."""
        if self.shrink == 1:
            return self.head(self.features(images))  # type: ignore[no-any-return]
        small = F.avg_pool2d(images, self.shrink, ceil_mode=True)
        points = self.head(self.features(small))
        height, width = (8 * ((side + 31) // 32) for side in images.shape[2:])
        return Points(*(maps[:, :, :height, :width] for maps in points))
