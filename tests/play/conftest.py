import math

import pytest
import torch
from torch import nn

from neocog.bundle import Predictor, torch_backend
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.rules import point_name
from neocog.play import NetworkPlayer
from neocog.tasks import NextMove


class Rated(nn.Module):
    """The same logits for every position, in any orientation: higher towards the middle, and for a pass as told."""

    def __init__(self, size, passing):
        super().__init__()
        middle = (size - 1) / 2
        far = [math.hypot(row - middle, column - middle) for row in range(size) for column in range(size)]
        self.rates = nn.Parameter(torch.tensor([-one for one in far] + ([] if passing is None else [passing])))

    def forward(self, boards):
        return self.rates.detach().expand(len(boards), -1)


@pytest.fixture
def make_player():
    """A player whose network likes the middle of the board; `passing` is the logit of a pass, None: it knows none."""

    def make(size=9, passing=-50.0, **options):
        classes = tuple(point_name(point, size) for point in range(size**2))
        classes += () if passing is None else ("pass",)
        model = Rated(size, passing)
        preprocess = BoardPreprocess(features="zero17", size=size)
        return NetworkPlayer(Predictor(torch_backend(model), preprocess, NextMove(classes), model=model), **options)

    return make
