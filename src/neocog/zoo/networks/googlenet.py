"""GoogLeNet: going deeper with convolutions (Szegedy et al., 2014). Inception v1, with batch norm.

Paper: https://arxiv.org/abs/1409.4842. Convolutions of several sizes side by side, behind 1x1 that make them cheap, and
two auxiliary classifiers halfway, whose losses bring gradients to the early layers. 6,624,904 parameters, and with
the auxiliary classifiers 13,004,888. The paper names no first values; they are torch's.

As in torchvision, whose weights need it: batch norm (from the next paper) with eps 0.001, 3x3 where the paper has 5x5,
2x2 in the last pooling. Auxiliary classifiers average maps of any size to 4x4, as there.

Shapes (N batch, C channels, H height, W width, K classes):

    stem      (N, C, H, W)         -> (N, 192, H/8, W/8)      64@7x7 stride 2, pooling, 64@1x1, 192@3x3, pooling
    stage 0   (N, 192, H/8, W/8)   -> (N, 480, H/8, W/8)      inception 3a, 3b
    stage 1   (N, 480, H/8, W/8)   -> (N, 832, H/16, W/16)    pooling, inception 4a to 4e
    stage 2   (N, 832, H/16, W/16) -> (N, 1024, H/32, W/32)   pooling, inception 5a, 5b
    head      (N, 1024, h, w)      -> (N, K)                  global average pooling, dense
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from neocog.zoo.network import Network, WithAuxiliary

__all__ = ["Branches", "GoogLeNet"]

# The paper's table 1. name: (input, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj)
WIDTHS: dict[str, tuple[int, int, int, int, int, int, int]] = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class Branches(nn.Module):
    """Several ways side by side, whose channels are put one behind the other.

    Shapes: (N, C, H, W) -> (N, sum of the branches' channels, h, w), where all branches give the same h and w.
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


def conv_norm(c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    conv = nn.Conv2d(c_in, c_out, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out, eps=0.001), nn.ReLU())


def inception(name: str) -> Branches:
    """1x1, 3x3, "5x5" and pooling side by side; keeps height and width."""
    c_in, one, before_three, three, before_five, five, pooled = WIDTHS[name]
    return Branches(
        conv_norm(c_in, one, 1),
        nn.Sequential(conv_norm(c_in, before_three, 1), conv_norm(before_three, three, 3)),
        nn.Sequential(conv_norm(c_in, before_five, 1), conv_norm(before_five, five, 3)),
        nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv_norm(c_in, pooled, 1)),
    )


def stage(*names: str, pool: int | None = None) -> nn.Sequential:
    """A pooling with this kernel size if any, and blocks under their names of the paper."""
    start = {"pool": nn.MaxPool2d(pool, 2, ceil_mode=True)} if pool else {}
    return nn.Sequential(OrderedDict[str, nn.Module](start | {name: inception(name) for name in names}))


def auxiliary_head(c_in: int, num_classes: int) -> nn.Sequential:
    """A classifier of maps halfway; (N, c_in, h, w) -> (N, num_classes)."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4), conv_norm(c_in, 128, 1), nn.Flatten(),
        nn.Linear(128 * 4 * 4, 1024), nn.ReLU(), nn.Dropout(0.7),
        nn.Linear(1024, num_classes),
    )  # fmt: skip


class GoogLeNet(Network):
    """Nine inception blocks at three resolutions; `auxiliary` classifiers read the maps of 4a and 4d in training."""

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 1000, auxiliary: bool = True, dropout: float = 0.4
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_norm(in_channels, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True),
            conv_norm(64, 64, 1), conv_norm(64, 192, 3), nn.MaxPool2d(3, 2, ceil_mode=True),
        )  # fmt: skip
        self.stages = nn.Sequential(
            stage("3a", "3b"),
            stage("4a", "4b", "4c", "4d", "4e", pool=3),
            stage("5a", "5b", pool=2),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(1024, num_classes)
        )
        taps = {"4a": 512, "4d": 528} if auxiliary else {}
        self.auxiliary = nn.ModuleDict({name: auxiliary_head(c_in, num_classes) for name, c_in in taps.items()})

    def forward(self, images: Tensor) -> Tensor | WithAuxiliary:  # type: ignore[override]  # more only in training
        """(N, C, H, W) images -> (N, K) logits; in training, with those of the auxiliary classifiers if there are."""
        if not (self.training and self.auxiliary):
            return super().forward(images)
        third, fourth, fifth = self.stages
        maps, logits = third(self.stem(images)), []
        for name, block in fourth.named_children():
            maps = block(maps)
            if name in self.auxiliary:
                logits.append(self.auxiliary[name](maps))
        return WithAuxiliary(self.head(fifth(maps)), tuple(logits), weight=0.3)  # the paper's section 5
