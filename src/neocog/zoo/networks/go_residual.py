"""A small policy network after AlphaGo Zero: mastering the game of Go without human knowledge (Silver et al., 2017).

Paper: https://doi.org/10.1038/nature24270, Methods, "Neural network architecture", without the head that foretells who
wins. The published ones have 19 or 39 residual blocks of 256 filters, 23 million parameters and more, and learnt on
many accelerators. Six blocks of 64 filters have 0.7 million, which a single machine can train, and their field of 27x27
is that of AlphaGo's policy network. The dense layer belongs to one size of board; stem and stages do not.

Shapes (N batch, C planes of features, S the board's size, w filters, K = S * S + 1 moves, the last of them to pass):

    stem      (N, C, S, S)   -> (N, w, S, S)    3x3
    stages    (N, w, S, S)   -> (N, w, S, S)    residual blocks of two 3x3
    head      (N, w, S, S)   -> (N, K)          1x1 to two maps, dense
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from neocog.errors import ConfigError
from neocog.zoo.network import Network
from neocog.zoo.networks.resnet import basic, conv_norm, residual

__all__ = ["GoResidual"]


class GoResidual(Network):
    """A tower of residual blocks that rates every point of a square board, and passing; `widths` are theirs.

    Raises ConfigError if `num_classes` is not the number of points of a square board and one more.
    """

    def __init__(
        self, *, in_channels: int = 17, num_classes: int = 362, widths: Sequence[int] = (64, 64, 64, 64, 64, 64)
    ) -> None:
        super().__init__()
        num_points = num_classes - 1
        if num_points < 1 or math.isqrt(num_points) ** 2 != num_points:
            raise ConfigError(
                "num_classes must be the number of points of a square board, and one for passing.",
                received=f"{num_classes}",
                fix="Use the square of the board's size plus 1, such as 362 for 19x19.",
            )
        self.stem = conv_norm(in_channels, widths[0], 3).append(nn.ReLU())
        tower = [residual(basic, c_in, c_out, 1) for c_in, c_out in pairwise([widths[0], *widths])]
        self.stages = nn.Sequential(nn.Sequential(*tower))
        self.head = nn.Sequential(
            conv_norm(widths[-1], 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(2 * num_points, num_classes),
        )  # fmt: skip
