"""AlphaGo's policy network: mastering the game of Go with deep neural networks and tree search (Silver et al., 2016).

Paper: https://doi.org/10.1038/nature16961, Methods, "Neural network architecture". Thirteen convolutions that keep the
board's size, without pooling and norm. What differs between places of the board is one bias for each of them.
The match version had 192 filters. The paper gives no initial weights; these are He et al.'s, for ReLUs.

The paper's network never passes. If there is a class more than points, the last, a pass, is rated by a dense layer on
the mean of the maps.

Shapes (N batch, C planes of features, S the board's size, w filters, K = S * S points, one class each, or S * S + 1):

    stem      (N, C, S, S)   -> (N, w, S, S)    5x5
    stages    (N, w, S, S)   -> (N, w, S, S)    eleven times 3x3
    head      (N, w, S, S)   -> (N, K)          1x1 to one map, a bias for each point; softmax belongs to the loss
"""

import functools
import math

import torch
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.layers.initialization import he
from neocog.zoo.network import Network

__all__ = ["GoPolicy"]


def is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


class PointBias(nn.Module):
    """y[n, k] = x[n, k] + bias[k]; (N, K) -> (N, K)."""

    def __init__(self, num_points: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_points))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.expand_as(x)  # another number of points is an error, a single one too


class Moves(nn.Module):
    """A 1x1 convolution that rates each point, and a dense layer on the mean map that rates a pass.

    (N, w, S, S) -> (N, S * S + 1).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.points = nn.Conv2d(width, 1, 1, bias=False)
        self.passing = nn.Linear(width, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([self.points(maps).flatten(1), self.passing(maps.mean(dim=(2, 3)))], dim=1)


class GoPolicy(Network):
    """Twelve convolutions with ReLU, and one that rates every point of a square board of any size.

    Raises ConfigError if `num_classes` is neither the number of points of a square board nor one more, for a pass.
    """

    def __init__(self, *, in_channels: int = 48, num_classes: int = 361, width: int = 192) -> None:
        super().__init__()
        passes = num_classes > 1 and is_square(num_classes - 1)
        if not passes and not is_square(num_classes):
            raise ConfigError(
                "num_classes must be the number of points of a square board, or one more to pass.",
                received=f"{num_classes}",
                fix="Use the square of the board's size, such as 361 for 19x19.",
            )
        self.stem = nn.Sequential(nn.Conv2d(in_channels, width, 5, padding=2), nn.ReLU())
        layers = [nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()) for _ in range(11)]
        self.stages = nn.Sequential(nn.Sequential(*layers))
        rate: list[nn.Module] = [Moves(width)] if passes else [nn.Conv2d(width, 1, 1, bias=False), nn.Flatten()]
        self.head = nn.Sequential(*rate, PointBias(num_classes))
        self.apply(functools.partial(he, mode="fan_in"))
