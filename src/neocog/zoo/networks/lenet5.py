"""LeNet-5 as published: gradient-based learning applied to document recognition (LeCun et al., 1998).

Paper: Proceedings of the IEEE 86(11), section II.B. Trainable subsampling, a partial connection table in C3, scaled
tanh, and an output layer of radial basis functions whose codes are drawings of the digits. 60,000 trainable parameters.

Shapes (N batch, C channels, K classes):

    stem      (N, C, 32, 32) -> (N, 6, 14, 14)    C1 6@5x5, S2
    stages    (N, 6, 14, 14) -> (N, 16, 5, 5)     C3 16@5x5, S4
    head      (N, 16, 5, 5)  -> (N, K)            C5 120@5x5, F6 84, RBF
"""

import numpy as np
import torch
from torch import Tensor, nn

from neocog.layers import PartialConv2d, RadialBasis, ScaledTanh, TrainableSubsampling
from neocog.rng import uniform
from neocog.zoo.network import Network

__all__ = ["LeNet5", "digit_codes"]

# The paper's table I: the maps of S2 that each map of C3 reads. Three neighbours, four neighbours, two pairs, all.
C3_TABLE = (
    *[tuple((m + i) % 6 for i in range(3)) for m in range(6)],
    *[tuple((m + i) % 6 for i in range(4)) for m in range(6)],
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# Ten stylised digits, 7 wide and 12 high (the paper's figure 3 shows its own set).
DIGITS = """
.#####. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
##...## ..##... ##...## ##...## ....##. ##..... .##.... .....## ##...## ##...##
#.....# .###... #.....# ......# ...###. ##..... ##..... .....## #.....# #.....#
#.....# ..##... ......# ......# ..##.#. ##..... ##..... ....##. #.....# #.....#
#.....# ..##... .....## .....## .##..#. ######. ######. ....##. ##...## ##...##
#.....# ..##... ....##. ..####. ##...#. ##...## ##...## ...##.. .#####. .######
#.....# ..##... ...##.. .....## ####### ......# #.....# ...##.. ##...## ......#
#.....# ..##... ..##... ......# ####### ......# #.....# ..##... #.....# ......#
#.....# ..##... .##.... ......# .....#. ......# #.....# ..##... #.....# ......#
#.....# ..##... ##..... #.....# .....#. ......# #.....# .##.... #.....# .....##
##...## ..##... ##..... ##...## .....#. ##...## ##...## .##.... ##...## ....##.
.#####. .#####. ####### .#####. .....#. .#####. .#####. .##.... .#####. .####..
"""


def digit_codes(num_classes: int) -> Tensor:
    """The target of F6 for each class, of -1 and +1; (num_classes, 84).

    Ten classes get the drawn digits. For another number of classes the codes are random signs, which the paper names
    as the alternative, and always the same ones.
    """
    if num_classes == 10:
        rows = [line.split() for line in DIGITS.split("\n") if line]
        ink = np.array([[[dot == "#" for dot in row[digit]] for row in rows] for digit in range(10)])
    else:
        ink = uniform(1998, epoch=0, samples=range(num_classes), purpose="rbf codes", num=84) < 0.5
    return torch.from_numpy(np.where(ink, 1.0, -1.0).reshape(num_classes, 84)).float()


def dense_fan_in(module: nn.Module) -> None:
    """Weights and biases uniform in +-2.4 / fan-in. Source: the paper's appendix A."""
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        bound = 2.4 / module.weight[0].numel()
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.uniform_(module.bias, -bound, bound)


class LeNet5(Network):
    """Two layers of convolution and trainable subsampling, a convolution and a dense layer, distances to codes."""

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5), ScaledTanh(),
            TrainableSubsampling(6), ScaledTanh(),
        )  # fmt: skip
        stage = nn.Sequential(
            PartialConv2d(6, C3_TABLE, 5), ScaledTanh(),
            TrainableSubsampling(16), ScaledTanh(),
        )  # fmt: skip
        self.stages = nn.Sequential(stage)
        self.head = nn.Sequential(
            nn.Conv2d(16, 120, 5), ScaledTanh(), nn.Flatten(),
            nn.Linear(120, 84), ScaledTanh(),
            RadialBasis(digit_codes(num_classes)),
        )  # fmt: skip
        self.apply(dense_fan_in)
