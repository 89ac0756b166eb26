"""Your own network, to try `neocog plan` on.

neocog plan examples/network.py:small_resnet --input 3x64x64
neocog plan examples/network.py:small_resnet --input 3x64x64 --svg small_resnet.svg
"""

from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, maps: Tensor) -> Tensor:
        return (maps + self.convs(maps)).relu()


def small_resnet(width: int = 32, num_classes: int = 10) -> nn.Sequential:
    """Three resolutions with one residual block each, for any image size."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), Residual(width),
        nn.Conv2d(width, 2 * width, 3, 2, 1), Residual(2 * width),
        nn.Conv2d(2 * width, 4 * width, 3, 2, 1), Residual(4 * width),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, num_classes),
    )  # fmt: skip
