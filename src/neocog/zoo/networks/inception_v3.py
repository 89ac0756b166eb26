"""Inception v3: rethinking the inception architecture for computer vision (Szegedy et al., 2015).

Paper: https://arxiv.org/abs/1512.00567. Large convolutions are taken apart: 5x5 into two of 3x3, 7x7 into 1x7 and 7x1.
Resolution falls by strided convolutions and a pooling side by side. 23,834,568 parameters, and with the auxiliary
classifier 27,161,264.

It is the network that the authors published, whose weights it takes; there the stem ends in a pooling, a 1x1, a 3x3
and a pooling, and blocks at 35x35 keep a 5x5, where the paper's table and figure have more 3x3.

Shapes (N batch, C channels, K classes), for images of 299 pixels; all from 75 on work:

    stem      (N, C, 299, 299) -> (N, 192, 35, 35)    32@3x3 stride 2, 32@3x3, 64@3x3, pool, 80@1x1, 192@3x3, pool
    stage 0   (N, 192, 35, 35) -> (N, 288, 35, 35)    three blocks of 1x1, 5x5, two 3x3, pooling
    stage 1   (N, 288, 35, 35) -> (N, 768, 17, 17)    reduction, four blocks of 1x1, 7x7, two 7x7, pooling
    stage 2   (N, 768, 17, 17) -> (N, 2048, 8, 8)     reduction, two blocks of 1x1, 3x3, two 3x3, pooling
    head      (N, 2048, 8, 8)  -> (N, K)              global average pooling, dense
"""

import torch.nn.functional as F
from torch import Tensor, nn

from neocog.zoo.network import Network, WithAuxiliary
from neocog.zoo.networks.googlenet import Branches

__all__ = ["InceptionV3"]

Kernel = tuple[int, int]


def conv_norm(c_in: int, c_out: int, kernel: Kernel, stride: int = 1, padding: Kernel = (0, 0)) -> nn.Sequential:
    """Convolution, batch norm, ReLU; without padding (N, c_in, H, W) -> (N, c_out, (H - k)/stride + 1, ..)."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out, eps=0.001), nn.ReLU())


def chain(c_in: int, *convs: tuple[int, int, int]) -> nn.Sequential:
    """Convolutions one behind the other, each as (channels, kernel's height, width); keeps height and width."""
    layers = nn.Sequential()
    for c_out, k_h, k_w in convs:
        layers.append(conv_norm(c_in, c_out, (k_h, k_w), padding=(k_h // 2, k_w // 2)))
        c_in = c_out
    return layers


def pooled(c_in: int, c_out: int) -> nn.Sequential:
    """Average pooling and a 1x1; keeps height and width. Zeros of the padding count, as the weights expect."""
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1), conv_norm(c_in, c_out, (1, 1)))


def halved(c_in: int, c_out: int) -> nn.Sequential:
    """A 3x3 with stride 2; (N, c_in, H, W) -> (N, c_out, (H - 1)/2, (W - 1)/2)."""
    return conv_norm(c_in, c_out, (3, 3), stride=2)


def fork() -> Branches:
    """1x3 and 3x1 side by side; (N, 384, H, W) -> (N, 768, H, W)."""
    return Branches(
        conv_norm(384, 384, (1, 3), padding=(0, 1)),
        conv_norm(384, 384, (3, 1), padding=(1, 0)),
    )


def block_35(c_in: int, c_pool: int) -> Branches:
    """The paper's figure 5, with a 5x5; (N, c_in, H, W) -> (N, 224 + c_pool, H, W)."""
    return Branches(
        chain(c_in, (64, 1, 1)),
        chain(c_in, (48, 1, 1), (64, 5, 5)),
        chain(c_in, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
        pooled(c_in, c_pool),
    )


def reduction_35() -> Branches:
    """The way from 35x35 to 17x17; (N, 288, H, W) -> (N, 768, (H - 1)/2, (W - 1)/2)."""
    deep = nn.Sequential(*chain(288, (64, 1, 1), (96, 3, 3)), halved(96, 96))
    return Branches(halved(288, 384), deep, nn.MaxPool2d(3, 2))


def block_17(width: int) -> Branches:
    """The paper's figure 6, `width` channels between 7x1 and 1x7; (N, 768, H, W) -> (N, 768, H, W)."""
    return Branches(
        chain(768, (192, 1, 1)),
        chain(768, (width, 1, 1), (width, 1, 7), (192, 7, 1)),
        chain(768, (width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7)),
        pooled(768, 192),
    )


def reduction_17() -> Branches:
    """The way from 17x17 to 8x8; (N, 768, H, W) -> (N, 1280, (H - 1)/2, (W - 1)/2)."""
    shallow = nn.Sequential(*chain(768, (192, 1, 1)), halved(192, 320))
    deep = nn.Sequential(*chain(768, (192, 1, 1), (192, 1, 7), (192, 7, 1)), halved(192, 192))
    return Branches(shallow, deep, nn.MaxPool2d(3, 2))


def block_8(c_in: int) -> Branches:
    """The paper's figure 7; (N, c_in, H, W) -> (N, 2048, H, W)."""
    return Branches(
        chain(c_in, (320, 1, 1)),
        nn.Sequential(*chain(c_in, (384, 1, 1)), fork()),
        nn.Sequential(*chain(c_in, (448, 1, 1), (384, 3, 3)), fork()),
        pooled(c_in, 192),
    )


class AuxiliaryHead(nn.Module):
    """A classifier of the maps of 17x17; (N, 768, h, w) -> (N, num_classes)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv_norm(768, 128, (1, 1)), conv_norm(128, 768, (5, 5)))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(768, num_classes))

    def forward(self, maps: Tensor) -> Tensor:
        # Windows of 5 with stride 3 make 5x5 of 17x17, which the 5x5 needs; from smaller images it is made otherwise.
        published = min(maps.shape[-2:]) >= 17
        means = F.avg_pool2d(maps, 5, 3) if published else F.adaptive_avg_pool2d(maps, 5)
        return self.head(self.convs(means))  # type: ignore[no-any-return]


class InceptionV3(Network):
    """Eleven inception blocks at three resolutions; an `auxiliary` classifier reads the maps of 17x17 in training.

    The paper names neither first values, which are torch's, nor `dropout`, nor the auxiliary loss's weight; those two
    are from the authors' code (TensorFlow's slim models).
    """

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 1000, auxiliary: bool = True, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            halved(in_channels, 32), conv_norm(32, 32, (3, 3)), conv_norm(32, 64, (3, 3), padding=(1, 1)),
            nn.MaxPool2d(3, 2),
            conv_norm(64, 80, (1, 1)), conv_norm(80, 192, (3, 3)),
            nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.stages = nn.Sequential(
            nn.Sequential(block_35(192, 32), block_35(256, 64), block_35(288, 64)),
            nn.Sequential(reduction_35(), block_17(128), block_17(160), block_17(160), block_17(192)),
            nn.Sequential(reduction_17(), block_8(1280), block_8(2048)),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(2048, num_classes)
        )
        self.auxiliary = AuxiliaryHead(num_classes) if auxiliary else None

    def forward(self, images: Tensor) -> Tensor | WithAuxiliary:  # type: ignore[override]  # more only in training
        """(N, C, H, W) images -> (N, K) logits; in training, with those of the auxiliary classifier if there is one."""
        if not self.training or self.auxiliary is None:
            return super().forward(images)
        first, second, third = self.stages
        maps = second(first(self.stem(images)))
        return WithAuxiliary(self.head(third(maps)), (self.auxiliary(maps),), weight=0.4)
