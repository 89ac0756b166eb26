"""ShuffleNet V2: practical guidelines for efficient CNN architecture design (Ma et al., 2018).

Paper: https://arxiv.org/abs/1807.11164. In each unit half of the channels pass by untouched, without an addition, and
a shuffle lets the next unit's halves hold some of both.

Shapes (N batch, C channels, H height, W width, K classes; w channels of the first stage, l of the head):

    stem      (N, C, H, W)       -> (N, 24, H/4, W/4)
    stage i   (N, c, h, w)       -> (N, 2**i * w, h/2, w/2)    i from 0 to 2
    head      (N, 4 * w, h, w)   -> (N, l, h, w) -> (N, K)
"""

import torch
from torch import Tensor, nn

from neocog.zoo.network import Network

__all__ = ["DEPTHS", "VARIANTS", "ShuffleNetV2", "Unit", "shuffle", "shufflenet_v2"]

DEPTHS = (4, 8, 4)  # units in each stage

# name: (channels of the first stage, channels of the head)
VARIANTS: dict[str, tuple[int, int]] = {
    "shufflenet_v2_x0_5": (48, 1024),
    "shufflenet_v2": (116, 1024),
    "shufflenet_v2_x1_5": (176, 1024),
    "shufflenet_v2_x2_0": (244, 2048),
}


def pointwise(c_in: int, c_out: int) -> nn.Sequential:
    """1x1, which mixes channels; (N, c_in, H, W) -> (N, c_out, H, W)."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


def depthwise(channels: int, stride: int) -> nn.Sequential:
    """3x3 for each channel alone; (N, C, H, W) -> (N, C, H/stride, W/stride)."""
    conv = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


def shuffle(maps: Tensor, groups: int) -> Tensor:
    """Channels taken from each group in turn: 0 1 2 3 4 5 in two groups become 0 3 1 4 2 5; (N, C, H, W), same."""
    n, c, h, w = maps.shape
    return maps.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Unit(nn.Module):
    """Two halves of the channels: one passes, one is worked on. With a stride, each half is made from all channels.

    (N, c_in, H, W) -> (N, c_out, H/stride, W/stride); c_in == c_out where stride == 1.
    """

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        half, c_read = c_out // 2, c_in // 2 if stride == 1 else c_in
        self.splits = stride == 1
        self.passing = nn.Identity() if self.splits else nn.Sequential(depthwise(c_in, stride), pointwise(c_in, half))
        self.working = nn.Sequential(pointwise(c_read, half), depthwise(half, stride), pointwise(half, half))

    def forward(self, x: Tensor) -> Tensor:
        passing, working = x.chunk(2, dim=1) if self.splits else (x, x)
        return shuffle(torch.cat([self.passing(passing), self.working(working)], dim=1), groups=2)


class ShuffleNetV2(Network):
    """Stem, three stages of units, a wide 1x1 convolution, global average pool, linear head."""

    def __init__(self, c_first: int, c_last: int, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 24, 3, 2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
        )  # fmt: skip
        c_in, stages = 24, []
        for i, depth in enumerate(DEPTHS):
            c_out = c_first * 2**i
            units = [Unit(c_in, c_out, stride=2), *(Unit(c_out, c_out, stride=1) for _ in range(depth - 1))]
            stages.append(nn.Sequential(*units))
            c_in = c_out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            pointwise(c_in, c_last),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_last, num_classes),
        )  # fmt: skip


def shufflenet_v2(variant: str, *, in_channels: int = 3, num_classes: int = 1000) -> ShuffleNetV2:
    """Build a row of VARIANTS."""
    return ShuffleNetV2(*VARIANTS[variant], in_channels=in_channels, num_classes=num_classes)
