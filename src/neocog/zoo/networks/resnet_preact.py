"""Pre-activation ResNet: identity mappings in deep residual networks (He et al., 2016).

Paper: https://arxiv.org/abs/1603.05027. Norm and ReLU come before the convolutions, so that nothing bends what goes
along the shortcuts. The stem's output meets them before the paths part for the first time, the last sum in the head.
Where a block changes shape, its shortcut is a 1x1 convolution of what its branch reads. In a bottleneck the stride sits
on the 3x3 convolution, as in resnet.py.

Shapes (N batch, C channels, H height, W width, K classes; c 256, or 64 without bottlenecks and for CIFAR):

    stem      (N, C, H, W)   -> (N, 64, H/4, W/4)    for CIFAR (N, 16, H, W)
    stage 0   (N, 64, h, w)  -> (N, c, h, w)
    stage i   (N, c, h, w)   -> (N, 2c, h/2, w/2)
    head      (N, c, h, w)   -> (N, K)
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "PreActResNet", "PreActivation", "resnet_preact"]

Stem = Callable[[int, int], nn.Sequential]
Branch = Callable[[int, int, int], nn.Sequential]


def conv(c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """(N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    return nn.Conv2d(c_in, c_out, kernel_size, stride, padding=kernel_size // 2, bias=False)


def norm_relu(channels: int) -> nn.Sequential:
    """Batch norm then ReLU; the shape stays."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


def large_stem(c_in: int, c_out: int) -> nn.Sequential:
    """7x7 and pooling, for ImageNet; (N, c_in, H, W) -> (N, c_out, H/4, W/4)."""
    return nn.Sequential(conv(c_in, c_out, 7, 2), norm_relu(c_out), nn.MaxPool2d(3, 2, 1))


def small_stem(c_in: int, c_out: int) -> nn.Sequential:
    """3x3, for CIFAR; (N, c_in, H, W) -> (N, c_out, H, W)."""
    return nn.Sequential(conv(c_in, c_out, 3), norm_relu(c_out))


def basic(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """3x3, 3x3; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    return nn.Sequential(
        conv(c_in, c_out, 3, stride),
        norm_relu(c_out), conv(c_out, c_out, 3),
    )  # fmt: skip


def bottleneck(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """1x1, 3x3 in a quarter of the channels, 1x1; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    inner = c_out // 4
    return nn.Sequential(
        conv(c_in, inner, 1),
        norm_relu(inner), conv(inner, inner, 3, stride),
        norm_relu(inner), conv(inner, c_out, 1),
    )  # fmt: skip


class PreActivation(nn.Module):
    """y = branch(a) + x with a = relu(norm(x)); where shapes differ, y = branch(a) + projection(a).

    (N, c_in, H, W) -> (N, c_out, H/stride, W/stride). An `activated` x is a already.
    """

    def __init__(self, branch: Branch, c_in: int, c_out: int, stride: int = 1, activated: bool = False) -> None:
        super().__init__()
        self.activation = nn.Identity() if activated else norm_relu(c_in)
        self.branch = branch(c_in, c_out, stride)
        same_shape = stride == 1 and c_in == c_out
        self.projection = None if same_shape else conv(c_in, c_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activation(x)
        shortcut = x if self.projection is None else self.projection(activated)
        return self.branch(activated) + shortcut  # type: ignore[no-any-return]


# name: (stem, its channels, branch, channels of the first stage, blocks in each stage)
VARIANTS: dict[str, tuple[Stem, int, Branch, int, tuple[int, ...]]] = {
    "preact_resnet18": (large_stem, 64, basic, 64, (2, 2, 2, 2)),
    "preact_resnet34": (large_stem, 64, basic, 64, (3, 4, 6, 3)),
    "preact_resnet50": (large_stem, 64, bottleneck, 256, (3, 4, 6, 3)),
    "preact_resnet101": (large_stem, 64, bottleneck, 256, (3, 4, 23, 3)),
    "preact_resnet152": (large_stem, 64, bottleneck, 256, (3, 8, 36, 3)),
    "preact_resnet200": (large_stem, 64, bottleneck, 256, (3, 24, 36, 3)),
    "preact_resnet164_cifar": (small_stem, 16, bottleneck, 64, (18, 18, 18)),
}


class PreActResNet(Network):
    """Stem, stages of pre-activation blocks; norm, ReLU, global average pool and dense layer as the head."""

    def __init__(
        self, stem: nn.Module, c_in: int, branch: Branch, width: int, depths: Sequence[int], *, num_classes: int
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.Sequential()
        for i, depth in enumerate(depths):
            c_out = width * 2**i
            first = PreActivation(branch, c_in, c_out, stride=2 if i > 0 else 1, activated=i == 0)
            others = [PreActivation(branch, c_out, c_out) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(first, *others))
            c_in = c_out
        self.head = nn.Sequential(
            norm_relu(c_in), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(c_in, num_classes),
        )  # fmt: skip
        nn.Sequential(self.stem, self.stages).apply(he)


def resnet_preact(variant: str, *, in_channels: int = 3, num_classes: int = 1000) -> PreActResNet:
    """Build a row of VARIANTS."""
    stem, c_stem, branch, width, depths = VARIANTS[variant]
    return PreActResNet(stem(in_channels, c_stem), c_stem, branch, width, depths, num_classes=num_classes)
