"""EfficientNet: rethinking model scaling for convolutional neural networks (Tan & Le, 2019).

Paper: https://arxiv.org/abs/1905.11946. One network, found by search, grows in width, depth and input size together.
Its blocks widen with 1x1, filter each channel on its own, weigh the channels, and narrow again without activation.
Where the authors' code sets batch norm's epsilon to 1e-3 and pads unevenly at stride 2, this is torch's common form:
epsilon 1e-5 and even padding. The published input sizes of B0 to B4 are 224, 240, 260, 300 and 380.

Shapes (N batch, C channels, H height, W width, K classes; channels are those of B0):

    stem      (N, 3, H, W)   -> (N, 32, H/2, W/2)
    stage i   (N, C, h, w)   -> (N, c, h/s, w/s)    c = 16, 24, 40, 80, 112, 192, 320; s = 2 for i = 1, 2, 3, 5, else 1
    head      (N, C, h, w)   -> (N, K)              1x1 to 1280 channels, mean, dropout, dense
"""

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.layers.squeeze_excitation import SqueezeExcitation
from neocog.layers.stochastic_depth import StochasticDepth
from neocog.zoo.network import Network
from neocog.zoo.networks.mobilenet_v2 import conv_norm, scaled

__all__ = ["VARIANTS", "EfficientNet", "depths", "efficientnet"]

# The paper's table 1, for each stage of B0: expansion, kernel size, stride, output channels, blocks.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)

# name: (factor of widths, factor of depths, dropout), as in the authors' code; the paper has them only roughly.
VARIANTS = {
    "efficientnet_b0": (1.0, 1.0, 0.2),
    "efficientnet_b1": (1.0, 1.1, 0.2),
    "efficientnet_b2": (1.1, 1.2, 0.3),
    "efficientnet_b3": (1.2, 1.4, 0.3),
    "efficientnet_b4": (1.4, 1.8, 0.4),
}


def depths(factor: float) -> list[int]:
    """How many blocks each stage has."""
    return [math.ceil(factor * num_blocks) for *_, num_blocks in STAGES]


class Residual(nn.Sequential):
    """y = x + layers(x)."""

    def forward(self, x: Tensor) -> Tensor:
        maps = x
        for layer in self:
            maps = layer(maps)
        return x + maps


def mbconv(c_in: int, c_out: int, expansion: int, kernel_size: int, stride: int, drop_rate: float) -> nn.Sequential:
    """Widen, filter, weigh, narrow; plus the input where shapes agree.

    (N, c_in, H, W) -> (N, c_out, H/stride, W/stride).
    """
    width = expansion * c_in
    widen = [] if expansion == 1 else [conv_norm(c_in, width, 1).append(nn.SiLU())]
    layers = [
        *widen,
        conv_norm(width, width, kernel_size, stride, groups=width).append(nn.SiLU()),
        SqueezeExcitation(width, c_in // 4, activation=nn.SiLU),
        conv_norm(width, c_out, 1),
    ]
    same_shape = stride == 1 and c_in == c_out
    return Residual(*layers, StochasticDepth(drop_rate)) if same_shape else nn.Sequential(*layers)


def make_stages(
    c_in: int, width: float, counts: Sequence[int], stochastic_depth: float, block: Callable[..., nn.Sequential]
) -> nn.Sequential:
    """The rows of STAGES with these numbers of blocks; block i of n drops out with chance `stochastic_depth` i / n."""
    rates = (stochastic_depth * i / sum(counts) for i in range(sum(counts)))
    stages = nn.Sequential()
    for (expansion, kernel_size, stride, channels, _), count in zip(STAGES, counts, strict=True):
        stage, c_out = nn.Sequential(), scaled(channels, width)
        for j in range(count):
            stage.append(block(c_in, c_out, expansion, kernel_size, stride if j == 0 else 1, next(rates)))
            c_in = c_out
        stages.append(stage)
    return stages


class EfficientNet(Network):
    """Seven stages of inverted residuals; block i of n drops out with chance `stochastic_depth` * i / n."""

    def __init__(
        self, width: float, depth: float, *, in_channels: int, num_classes: int, dropout: float, stochastic_depth: float
    ) -> None:
        super().__init__()
        c_in, c_last = scaled(32, width), scaled(1280, width)
        self.stem = conv_norm(in_channels, c_in, 3, 2).append(nn.SiLU())
        self.stages = make_stages(c_in, width, depths(depth), stochastic_depth, mbconv)
        dense = nn.Linear(c_last, num_classes)
        self.head = nn.Sequential(
            *conv_norm(scaled(STAGES[-1][3], width), c_last, 1), nn.SiLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout),
            dense,
        )  # fmt: skip
        self.apply(he)
        nn.init.uniform_(dense.weight, -(num_classes**-0.5), num_classes**-0.5)  # as in the authors' code


def efficientnet(
    variant: str,
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float | None = None,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """Build a row of VARIANTS, with its dropout unless another is given."""
    width, depth, published = VARIANTS[variant]
    rate = published if dropout is None else dropout
    channels = {"in_channels": in_channels, "num_classes": num_classes}
    return EfficientNet(width, depth, **channels, dropout=rate, stochastic_depth=stochastic_depth)
