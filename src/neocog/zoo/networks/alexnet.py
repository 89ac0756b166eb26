"""AlexNet as published: ImageNet classification with deep convolutional neural networks (Krizhevsky et al., 2012).

Paper: https://papers.nips.cc/paper/4824. Two columns, one for each of two graphics cards, which meet in the third
convolution and in the dense layers: today's grouped convolutions. ReLU, normalisation by the neighbouring channels,
pooling windows that overlap, dropout. 60,965,224 parameters.

The paper speaks of images of 224 pixels, from which its first convolution makes no whole number of places; the 55
that its layers add up to come from 227, or from 224 with a padding of two. Here images are of 227 and the
first convolution has no padding. The dense layers read 6x6 places, which images of 227 to 258 pixels give.

Shapes (N batch, C channels, K classes):

    stem      (N, C, 227, 227) -> (N, 96, 27, 27)     96@11x11 stride 4, norm, pooling 3x3 stride 2
    stage 0   (N, 96, 27, 27)  -> (N, 256, 27, 27)    256@5x5 in two groups, norm
    stage 1   (N, 256, 27, 27) -> (N, 256, 13, 13)    pooling, 384@3x3, 384@3x3 and 256@3x3 in two groups
    head      (N, 256, 13, 13) -> (N, K)              pooling, dense 4096, 4096, K
"""

from torch import nn

from neocog.layers.initialization import gaussian_with_ones
from neocog.layers.local_response_norm import LocalResponseNorm
from neocog.zoo.network import Network

__all__ = ["AlexNet"]


class AlexNet(Network):
    """Five convolutions, three of them in two columns, and three dense layers; `dropout` acts on the hidden two."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 96, 11, stride=4), nn.ReLU(), LocalResponseNorm(), nn.MaxPool2d(3, 2)
        )
        self.stages = nn.Sequential(
            nn.Sequential(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), LocalResponseNorm()),
            nn.Sequential(
                nn.MaxPool2d(3, 2),
                nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
                nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
                nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(),
            ),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.MaxPool2d(3, 2), nn.Flatten(),
            nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        layers = [module for module in self.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        gaussian_with_ones(self, ones=[layers[number - 1] for number in (2, 4, 5, 6, 7)])  # the paper's section 5
