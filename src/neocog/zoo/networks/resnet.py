"""ResNet: deep residual learning for image recognition (He et al., 2015).

Paper: https://arxiv.org/abs/1512.03385. Each block learns what to add to its input, so that networks of many layers
train; plain networks have the same layers and add nothing, for comparison. In a bottleneck the stride sits on the 3x3
convolution, as is common today ("v1.5"); the paper has it on the first 1x1.

Shapes (N batch, C channels, H height, W width, K classes; c 64, or 256 with bottlenecks):

    stem      (N, C, H, W)   -> (N, 64, H/4, W/4)
    stage 0   (N, 64, h, w)  -> (N, c, h, w)
    stage i   (N, c, h, w)   -> (N, 2c, h/2, w/2)
    head      (N, c, h, w)   -> (N, K)
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.layers.initialization import he, zero_last_norm
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "ResNet", "Residual", "basic", "bottleneck", "conv_norm", "plain", "residual", "resnet"]

Branch = Callable[[int, int, int], nn.Sequential]
Block = Callable[[Branch, int, int, int], nn.Module]


def conv_norm(c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Convolution then batch norm; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    conv = nn.Conv2d(c_in, c_out, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


def basic(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """3x3, 3x3; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    return nn.Sequential(
        conv_norm(c_in, c_out, 3, stride), nn.ReLU(),
        conv_norm(c_out, c_out, 3),
    )  # fmt: skip


def bottleneck(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """1x1, 3x3 in a quarter of the channels, 1x1; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    return nn.Sequential(
        conv_norm(c_in, c_out // 4, 1), nn.ReLU(),
        conv_norm(c_out // 4, c_out // 4, 3, stride), nn.ReLU(),
        conv_norm(c_out // 4, c_out, 1),
    )  # fmt: skip


class Residual(nn.Module):
    """y = relu(branch(x) + shortcut(x)); (N, c_in, H, W) -> (N, c_out, h, w), as both give it."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + self.shortcut(x))  # type: ignore[no-any-return]


def residual(branch: Branch, c_in: int, c_out: int, stride: int) -> nn.Module:
    """A branch and a shortcut, which is the identity where shapes agree and a 1x1 convolution elsewhere."""
    same_shape = stride == 1 and c_in == c_out
    shortcut = nn.Identity() if same_shape else conv_norm(c_in, c_out, 1, stride)
    return Residual(branch(c_in, c_out, stride), shortcut)


def plain(branch: Branch, c_in: int, c_out: int, stride: int) -> nn.Module:
    """A branch alone."""
    return nn.Sequential(branch(c_in, c_out, stride), nn.ReLU())


# name: (block, branch, channels of the first stage, blocks in each of the four stages)
VARIANTS: dict[str, tuple[Block, Branch, int, tuple[int, ...]]] = {
    "resnet18": (residual, basic, 64, (2, 2, 2, 2)),
    "resnet34": (residual, basic, 64, (3, 4, 6, 3)),
    "resnet50": (residual, bottleneck, 256, (3, 4, 6, 3)),
    "resnet101": (residual, bottleneck, 256, (3, 4, 23, 3)),
    "resnet152": (residual, bottleneck, 256, (3, 8, 36, 3)),
    "plain18": (plain, basic, 64, (2, 2, 2, 2)),
    "plain34": (plain, basic, 64, (3, 4, 6, 3)),
}


class ResNet(Network):
    """Stem, four stages of blocks, global average pool, linear head."""

    def __init__(
        self, block: Block, branch: Branch, width: int, depths: Sequence[int], *, in_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(in_channels, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        c_in, stages = 64, []
        for i, depth in enumerate(depths):
            c_out, stride = width * 2**i, 2 if i > 0 else 1
            blocks = [block(branch, c_in, c_out, stride)]
            blocks += [block(branch, c_out, c_out, 1) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            c_in = c_out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, num_classes))
        nn.Sequential(self.stem, self.stages).apply(he)


def resnet(variant: str, *, in_channels: int = 3, num_classes: int = 1000, zero_branches: bool = False) -> ResNet:
    """Build a row of VARIANTS; with `zero_branches` each block begins as its shortcut alone (Goyal et al. 2017).

    Raises ConfigError for that in a plain network, if nothing would pass.
    """
    network = ResNet(*VARIANTS[variant], in_channels=in_channels, num_classes=num_classes)
    if zero_branches:
        branches = [block.branch for block in network.stages.modules() if isinstance(block, Residual)]
        if not branches:
            raise ConfigError("zero_branches needs shortcuts.", received=f"{variant}", fix="Use a residual network.")
        for branch in branches:
            zero_last_norm(branch)
    return network
