"""ConvNeXt: a ConvNet for the 2020s (Liu et al., 2022).

Paper: https://arxiv.org/abs/2201.03545. A ResNet with the choices of vision transformers: patches as stem, a depthwise
7x7 convolution where they attend, then a perceptron on the channels of each place; one norm and one activation a block.

Shapes (N batch, C channels, H height, W width, K classes; c the first width, 96 in tiny):

    stem      (N, 3, H, W)   -> (N, c, H/4, W/4)           4x4 patches, norm
    stage i   (N, C, h, w)   -> (N, c * 2**i, h/s, w/s)    s = 1 if i == 0 else 2: norm, 2x2 patches
    head      (N, C, h, w)   -> (N, K)                     mean, norm, dense
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neocog.layers.stochastic_depth import StochasticDepth
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "ConvNeXt", "convnext"]

# name: (blocks in each of the four stages, first width, stochastic depth in training on ImageNet-1k)
VARIANTS = {
    "convnext_tiny": ((3, 3, 9, 3), 96, 0.1),
    "convnext_small": ((3, 3, 27, 3), 96, 0.4),
    "convnext_base": ((3, 3, 27, 3), 128, 0.5),
    "convnext_large": ((3, 3, 27, 3), 192, 0.5),
}


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each place; (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels, eps=1e-6)

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """y = x + drop(scale * branch(x)), with a scale for each channel."""

    def __init__(self, width: int, drop_rate: float, layer_scale: float = 1e-6) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width), ChannelNorm(width),
            nn.Conv2d(width, 4 * width, 1), nn.GELU(),
            nn.Conv2d(4 * width, width, 1),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.full((width, 1, 1), layer_scale))
        self.drop = StochasticDepth(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.scale * self.branch(x))  # type: ignore[no-any-return]


def small_normal(module: nn.Module) -> None:
    """Weights from a normal distribution of standard deviation 0.02, cut at 2; biases zero. Source: appendix A.1."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ConvNeXt(Network):
    """Patches, four stages, a norm, a dense layer; drop rates rise linearly to `stochastic_depth` at the last block.

    `layer_scale` is what a block's branch is multiplied by at first; training changes it, channel by channel.
    """

    def __init__(
        self,
        depths: Sequence[int],
        width: int,
        *,
        in_channels: int,
        num_classes: int,
        stochastic_depth: float,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, width, 4, 4), ChannelNorm(width))
        last = sum(depths) - 1
        rates = (stochastic_depth * i / last for i in range(last + 1))
        self.stages = nn.Sequential()
        for i, depth in enumerate(depths):
            c_out = width * 2**i
            patches = [ChannelNorm(c_out // 2), nn.Conv2d(c_out // 2, c_out, 2, 2)] if i > 0 else []
            self.stages.append(nn.Sequential(*patches, *(Block(c_out, next(rates), layer_scale) for _ in range(depth))))
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(c_out, eps=1e-6),
            nn.Linear(c_out, num_classes),
        )  # fmt: skip
        self.apply(small_normal)


def convnext(
    variant: str,
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    stochastic_depth: float | None = None,
    layer_scale: float = 1e-6,
) -> ConvNeXt:
    """Build a row of VARIANTS, with its stochastic depth unless another is given.

    The paper's layer scale is for long training; where there are few steps, a network of 18 blocks learns sooner
    from one of 0.1 to 1.
    """
    depths, width, published = VARIANTS[variant]
    rate = published if stochastic_depth is None else stochastic_depth
    return ConvNeXt(
        depths,
        width,
        in_channels=in_channels,
        num_classes=num_classes,
        stochastic_depth=rate,
        layer_scale=layer_scale,
    )
