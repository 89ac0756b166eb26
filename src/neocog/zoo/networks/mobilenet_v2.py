"""MobileNetV2: inverted residuals and linear bottlenecks (Sandler et al., 2018).

Paper: https://arxiv.org/abs/1801.04381. Blocks are thin outside, where the shortcut is, and wide inside, where each
channel is filtered on its own; nothing bends the thin maps, as a ReLU there would lose what they hold.

Shapes (N batch, C channels, H height, W width, K classes; channels for width 1):

    stem      (N, C, H, W)       -> (N, 32, H/2, W/2)
    stage 0   (N, 32, H/2, W/2)  -> (N, 16, H/2, W/2)
    stage i   (N, c, h, w)       -> (N, (16, 24, 32, 96, 320)[i], h/2, w/2)    i from 1 to 4
    head      (N, 320, h, w)     -> (N, 1280, h, w) -> (N, K)
"""

from torch import Tensor, nn

from neocog.zoo.network import Network

__all__ = ["STAGES", "InvertedResidual", "MobileNetV2"]

# (expansion, channels, blocks): rows of the paper's table 2, those of one resolution together.
STAGES = (
    ((1, 16, 1),),
    ((6, 24, 2),),
    ((6, 32, 3),),
    ((6, 64, 4), (6, 96, 3)),
    ((6, 160, 3), (6, 320, 1)),
)


def conv_norm(c_in: int, c_out: int, kernel_size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution then batch norm; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    conv = nn.Conv2d(c_in, c_out, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


def scaled(channels: int, width: float) -> int:
    """The multiple of 8 nearest to the product; the next one where more than a tenth of it would be lost."""
    nearest = int(channels * width + 4) // 8 * 8
    return nearest + 8 if nearest < 0.9 * channels * width else nearest


class InvertedResidual(nn.Module):
    """1x1 to wide, 3x3 for each channel, 1x1 to thin, linear; plus the input where the shapes agree.

    (N, c_in, H, W) -> (N, c_out, H/stride, W/stride).
    """

    def __init__(self, c_in: int, c_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * c_in
        widen = [conv_norm(c_in, wide), nn.ReLU6()] if expansion > 1 else []
        self.branch = nn.Sequential(
            *widen,
            conv_norm(wide, wide, 3, stride, groups=wide), nn.ReLU6(),
            conv_norm(wide, c_out),
        )  # fmt: skip
        self.same_shape = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x)
        return x + y if self.same_shape else y


class MobileNetV2(Network):
    """Inverted residuals at five resolutions, a wide 1x1 convolution, global average pool, linear head.

    `width` multiplies the channels of all layers, except that the last convolution has at least 1280.
    """

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 1000, width: float = 1.0, dropout: float = 0.2
    ) -> None:
        super().__init__()
        c_in, stages = scaled(32, width), []
        self.stem = nn.Sequential(conv_norm(in_channels, c_in, 3, 2), nn.ReLU6())
        for i, rows in enumerate(STAGES):
            blocks: list[nn.Module] = []
            for expansion, channels, depth in rows:
                for _ in range(depth):
                    c_out, stride = scaled(channels, width), 2 if i > 0 and not blocks else 1
                    blocks.append(InvertedResidual(c_in, c_out, expansion, stride))
                    c_in = c_out
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        c_last = scaled(1280, max(1.0, width))
        self.head = nn.Sequential(
            conv_norm(c_in, c_last), nn.ReLU6(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Dropout(dropout), nn.Linear(c_last, num_classes),
        )  # fmt: skip
