"""SqueezeNet: AlexNet-level accuracy with 50x fewer parameters (Iandola et al., 2016).

Paper: https://arxiv.org/abs/1602.07360. Few channels go into every 3x3 kernel, and no layer is dense: one map for each
class is averaged. This is version 1.1, which the authors published with their code: a stem of 3x3 instead of 7x7
kernels, and pooling before fire modules 2, 4 and 6 instead of 2, 5 and 9.

Shapes (N batch, C channels, H height, W width, K classes):

    stem      (N, C, H, W)        -> (N, 64, H/4, W/4)
    stage 0   (N, 64, H/4, W/4)   -> (N, 128, H/4, W/4)      fire 2, 3
    stage 1   (N, 128, H/4, W/4)  -> (N, 256, H/8, W/8)      fire 4, 5
    stage 2   (N, 256, H/8, W/8)  -> (N, 512, H/16, W/16)    fire 6 to 9
    head      (N, 512, h, w)      -> (N, K)
"""

from functools import partial

import torch
from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.zoo.network import Network

__all__ = ["SQUEEZED", "Fire", "SqueezeNet"]

# The squeezed channels of each fire module, stage by stage.
SQUEEZED = ((16, 16), (32, 32), (48, 48, 64, 64))


def halve() -> nn.MaxPool2d:
    """(N, C, H, W) -> (N, C, H/2, W/2); a window that begins inside the map counts, as in the authors' Caffe."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


class Fire(nn.Module):
    """1x1 to few channels, then 1x1 and 3x3 side by side; (N, c_in, H, W) -> (N, 8 * squeezed, H, W)."""

    def __init__(self, c_in: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(c_in, squeezed, 1), nn.ReLU())
        self.expand1x1 = nn.Sequential(nn.Conv2d(squeezed, 4 * squeezed, 1), nn.ReLU())
        self.expand3x3 = nn.Sequential(nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        few = self.squeeze(x)
        return torch.cat([self.expand1x1(few), self.expand3x3(few)], dim=1)


class SqueezeNet(Network):
    """Eight fire modules at three resolutions; the mean of one map for each class."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 64, 3, 2), nn.ReLU(), halve())
        c_in, stages = 64, []
        for i, row in enumerate(SQUEEZED):
            parts: list[nn.Module] = [halve()] if i > 0 else []
            for squeezed in row:
                parts.append(Fire(c_in, squeezed))
                c_in = 8 * squeezed
            stages.append(nn.Sequential(*parts))
        self.stages = nn.Sequential(*stages)
        to_maps = nn.Conv2d(c_in, num_classes, 1)
        self.head = nn.Sequential(
            nn.Dropout(dropout), to_maps, nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        # The authors' weights have half this variance, and the signal dies out after this many ReLUs.
        self.apply(partial(he, mode="fan_in", distribution="uniform"))
        nn.init.normal_(to_maps.weight, std=0.01)  # as the authors'
        # Theirs are 0, and the last ReLU soon silences whole classes; AlexNet's ones keep it open.
        to_maps.bias = nn.Parameter(torch.ones(num_classes))
