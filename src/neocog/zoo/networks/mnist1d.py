"""Two small networks for the signals of MNIST-1D, whose ten classes are digit-like curves of 40 samples.

The data set and the larger network are of Greydanus 2020, "Scaling down deep learning",
https://arxiv.org/abs/2011.14439 (5,210 parameters). The smaller one is of Prince 2023, "Understanding deep learning",
chapter 10, which shows that a dense network of 59,065 parameters does worse (2,050 parameters).

Shapes (N batch, C channels, W width, K classes; Greydanus' samples, and behind them Prince's):

    stem      (N, C, 40)     -> (N, W, 19 | 19)    convolution, stride 2, ReLU
    stage 0   (N, W, 19)     -> (N, W, 10 |  9)    convolution 3, stride 2, ReLU
    stage 1   (N, W, 10 | 9) -> (N, W,  5 |  4)    convolution 3, stride 2, ReLU
    head      (N, W,  5 | 4) -> (N, K)             dense
"""

from torch import nn

from neocog.zoo.network import Network

__all__ = ["VARIANTS", "MNIST1DNet", "mnist1d"]


def conv_relu(c_in: int, c_out: int, kernel_size: int, padding: int) -> nn.Sequential:
    """(N, c_in, L) -> (N, c_out, (L + 2 * padding - kernel_size) / 2 + 1)."""
    return nn.Sequential(nn.Conv1d(c_in, c_out, kernel_size, stride=2, padding=padding), nn.ReLU())


# name: (width, kernel size of the first convolution, padding, samples that are left of 40)
VARIANTS = {
    "mnist1d_prince": (15, 3, 0, 4),
    "mnist1d_greydanus": (25, 5, 1, 5),
}


class MNIST1DNet(Network):
    """Three convolutions that halve a signal of 40 samples, and a dense layer."""

    def __init__(
        self, width: int, kernel_size: int, padding: int, length: int, *, in_channels: int = 1, num_classes: int = 10
    ) -> None:
        super().__init__()
        self.stem = conv_relu(in_channels, width, kernel_size, padding)
        self.stages = nn.Sequential(conv_relu(width, width, 3, padding), conv_relu(width, width, 3, padding))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(width * length, num_classes))


def mnist1d(variant: str, *, in_channels: int = 1, num_classes: int = 10) -> MNIST1DNet:
    """Build a row of VARIANTS."""
    return MNIST1DNet(*VARIANTS[variant], in_channels=in_channels, num_classes=num_classes)
