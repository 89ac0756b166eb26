"""Deep residual learning for small-footprint keyword spotting (Tang & Lin, 2018).

Paper: https://arxiv.org/abs/1710.10361. All convolutions are 3x3 without bias and keep the size. Instead of ever
smaller maps, res15 has ever wider dilations: 1, 1, 1, 2, 2, 2, ..., 8, and 16 in the last, which sees 125 x 125. Batch
norm, which learns nothing, comes behind ReLU; as in the authors' program, the sums themselves are not normalised.

Shapes (N batch, C channels, W width, K classes; frames in time x coefficients):

    stem      (N, C, 101, 40) -> (N, W, h, w)    convolution, ReLU; average pooling, but not in res15
    stage     (N, W, h, w)    -> (N, W, h, w)    residual blocks; in res15 one convolution more
    head      (N, W, h, w)    -> (N, K)          average, dense
"""

from torch import Tensor, nn

from neocog.zoo.network import Network

__all__ = ["VARIANTS", "Residual", "SpeechResNet", "speech_resnet"]


def conv_relu(c_in: int, c_out: int, dilation: int = 1) -> nn.Sequential:
    """(N, c_in, H, W) -> (N, c_out, H, W)."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=dilation, dilation=dilation, bias=False), nn.ReLU())


def norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, affine=False)


class Residual(nn.Module):
    """y = x + branch(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)  # type: ignore[no-any-return]


# name: (width, residual blocks, average pooling of the stem; without it, convolutions are dilated)
VARIANTS: dict[str, tuple[int, int, tuple[int, int] | None]] = {
    "speech_res8": (45, 3, (4, 3)),
    "speech_res15": (45, 6, None),
    "speech_res26": (45, 12, (2, 2)),
    "speech_res8_narrow": (19, 3, (4, 3)),
    "speech_res15_narrow": (19, 6, None),
    "speech_res26_narrow": (19, 12, (2, 2)),
}


class SpeechResNet(Network):
    """One stage of residual blocks, for MFCCs of any number of frames that the pooling leaves something of."""

    def __init__(
        self,
        width: int,
        num_blocks: int,
        pooling: tuple[int, int] | None,
        *,
        in_channels: int = 1,
        num_classes: int = 12,
    ) -> None:
        super().__init__()
        stem: list[nn.Module] = [conv_relu(in_channels, width)]
        blocks: list[nn.Module] = []
        rates = [2 ** (i // 3) if pooling is None else 1 for i in range(2 * num_blocks + 1)]
        for i in range(0, 2 * num_blocks, 2):
            before = norm(width) if i > 0 else nn.Identity()
            convs = conv_relu(width, width, rates[i]), norm(width), conv_relu(width, width, rates[i + 1])
            blocks.append(Residual(nn.Sequential(before, *convs)))
        blocks.append(norm(width))
        if pooling is None:
            blocks += [conv_relu(width, width, rates[-1]), norm(width)]
        else:
            stem.append(nn.AvgPool2d(pooling))
        self.stem = nn.Sequential(*stem)
        self.stages = nn.Sequential(nn.Sequential(*blocks))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))


def speech_resnet(variant: str, *, in_channels: int = 1, num_classes: int = 12) -> SpeechResNet:
    """Build a row of VARIANTS."""
    return SpeechResNet(*VARIANTS[variant], in_channels=in_channels, num_classes=num_classes)
