"""AlexNet in one column: one weird trick for parallelizing convolutional neural networks (Krizhevsky, 2014).

Paper: https://arxiv.org/abs/1404.5997, section 5. The columns of 2012 have become one, with fewer maps, since a card
holds it whole. This is the form of today's libraries: without normalisation, and with an average pooling before the
dense layers that lets images of any size from 63 pixels on in. 61,100,840 parameters.

Shapes (N batch, C channels, K classes), for images of 224 pixels:

    stem      (N, C, 224, 224) -> (N, 64, 27, 27)     64@11x11 stride 4, pooling 3x3 stride 2
    stage 0   (N, 64, 27, 27)  -> (N, 192, 27, 27)    192@5x5
    stage 1   (N, 192, 27, 27) -> (N, 256, 13, 13)    pooling, 384@3x3, 256@3x3, 256@3x3
    head      (N, 256, 13, 13) -> (N, K)              pooling to 6x6, dense 4096, 4096, K
"""

from torch import nn

from neocog.zoo.network import Network

__all__ = ["AlexNetOneColumn"]


class AlexNetOneColumn(Network):
    """Five convolutions and three dense layers; `dropout` acts before each of the first two dense ones.

    The paper names no first values; they are torch's.
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2))
        middle = nn.Sequential(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU())
        last = nn.Sequential(
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.stages = nn.Sequential(middle, last)
        self.head = nn.Sequential(
            nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6), nn.Flatten(),
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
