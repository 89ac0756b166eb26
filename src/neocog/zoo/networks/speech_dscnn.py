"""DS-CNN: keyword spotting on microcontrollers (Zhang, Suda, Lai & Chandra, 2017).

Paper: https://arxiv.org/abs/1711.07128, "Hello edge". A convolution over 10 frames x 4 coefficients, then the depthwise
separable convolutions of MobileNet. The paper states memory, 38.6, 189.2 and 497.6 KB: a byte for each weight and bias,
with batch norm folded into the convolutions, and for each value of the two largest neighbouring maps. Weights begin by
Glorot's rule, as in the authors' program.

Shapes (N batch, C channels, W width, K classes; frames in time x coefficients; S, and behind it M and L):

    stem      (N, C, 49, 10)         -> (N, W, 25, 5 | 10)    convolution 10x4, norm, ReLU
    stage     (N, W, 25, 5 | 10)     -> (N, W, 25 | 13, 5)    depthwise separable convolutions 3x3
    head      (N, W, 25 | 13, 5)     -> (N, K)                average, dense
"""

from torch import nn

from neocog.layers.initialization import glorot
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "SpeechDSCNN", "speech_dscnn"]


def separable(width: int, stride: int) -> nn.Sequential:
    """Depthwise 3x3, then 1x1; (N, width, H, W) -> (N, width, H/stride, W/stride)."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
    )  # fmt: skip


# name: (width, stride of the stem, stride of each separable convolution)
VARIANTS = {
    "speech_dscnn_s": (64, (2, 2), (1, 1, 1, 1)),
    "speech_dscnn_m": (172, (2, 1), (2, 1, 1, 1)),
    "speech_dscnn_l": (276, (2, 1), (2, 1, 1, 1, 1)),
}


class SpeechDSCNN(Network):
    """One convolution and one stage of depthwise separable ones, for MFCCs of any size."""

    def __init__(
        self,
        width: int,
        stem_stride: tuple[int, int],
        strides: tuple[int, ...],
        *,
        in_channels: int = 1,
        num_classes: int = 12,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.ZeroPad2d((1, 2, 4, 5)), nn.Conv2d(in_channels, width, (10, 4), stem_stride, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.stages = nn.Sequential(nn.Sequential(*(separable(width, stride) for stride in strides)))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))
        self.apply(glorot)


def speech_dscnn(variant: str, *, in_channels: int = 1, num_classes: int = 12) -> SpeechDSCNN:
    """Build a row of VARIANTS."""
    return SpeechDSCNN(*VARIANTS[variant], in_channels=in_channels, num_classes=num_classes)
