"""Character-level convolutional networks for text classification (Zhang, Zhao & LeCun, 2015).

Paper: https://arxiv.org/abs/1509.01626. A text is a signal with one channel for each of 70 characters; no words, no
grammar. Weights and biases begin as Gaussian noise, as in the authors' program.

Shapes (N batch, C characters of the alphabet, W width, D hidden units, K classes):

    stem      (N, 1014)    -> (N, C, 1014)    ids of characters, integers: 1 to C, and 0 for none of them
    stage 0   (N, C, 1014) -> (N, W, 336)     convolution 7, ReLU, max pooling 3
    stage 1   (N, W, 336)  -> (N, W, 110)     convolution 7, ReLU, max pooling 3
    stage 2   (N, W, 110)  -> (N, W, 34)      four times convolution 3, ReLU; max pooling 3
    head      (N, W, 34)   -> (N, K)          dense D, D, K
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import GeometryError
from neocog.zoo.network import Network

__all__ = ["VARIANTS", "CharCNN", "OneHot", "char_cnn"]


class OneHot(nn.Module):
    """A one in channel i - 1 for id i, and zeros in all others; (N, L) integers -> (N, C, L).

    >>> OneHot(3)(torch.tensor([[2, 0, 3]])).tolist()
    [[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.eye(num_channels + 1)[:, 1:].contiguous())
        self.codes: Tensor

    def forward(self, characters: Tensor) -> Tensor:
        return F.embedding(characters, self.codes).transpose(1, 2)


def conv_relu(c_in: int, c_out: int, kernel_size: int) -> nn.Sequential:
    """(N, c_in, L) -> (N, c_out, L - kernel_size + 1)."""
    return nn.Sequential(nn.Conv1d(c_in, c_out, kernel_size), nn.ReLU())


# name: (width of convolutions, width of dense layers, standard deviation of the first weights)
VARIANTS = {
    "char_cnn_small": (256, 1024, 0.05),
    "char_cnn_large": (1024, 2048, 0.02),
}


class CharCNN(Network):
    """Six convolutions and three dense layers over a text of `length` characters; `in_channels` is the alphabet's size.

    `dropout` acts on the two hidden dense layers. Raises GeometryError for a length below 123.
    """

    def __init__(
        self, width: int, hidden: int, std: float, *, in_channels: int, num_classes: int, length: int, dropout: float
    ) -> None:
        super().__init__()
        if length < 123:
            raise GeometryError(
                "A text must have at least 123 characters.", received=f"length={length}", fix="Pad the texts."
            )
        places = (length - 96) // 27  # three poolings by 3; the convolutions take off 6 + 3 * 6 + 9 * 8
        self.stem = OneHot(in_channels)
        self.stages = nn.Sequential(
            nn.Sequential(conv_relu(in_channels, width, 7), nn.MaxPool1d(3)),
            nn.Sequential(conv_relu(width, width, 7), nn.MaxPool1d(3)),
            nn.Sequential(*(conv_relu(width, width, 3) for _ in range(4)), nn.MaxPool1d(3)),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width * places, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )  # fmt: skip
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=std)


def char_cnn(
    variant: str, *, in_channels: int = 70, num_classes: int = 4, length: int = 1014, dropout: float = 0.5
) -> CharCNN:
    """Build a row of VARIANTS."""
    row = VARIANTS[variant]
    return CharCNN(*row, in_channels=in_channels, num_classes=num_classes, length=length, dropout=dropout)
