"""Boxes and supports against changing every value of the input, and effective fields against hand-made kernels."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from neocog.explaining.explainer import Explainer
from neocog.explaining.maps import Grid, run_until
from neocog.explaining.receptive import box, effective_field, support
from tests.support.dependence import measure_dependence
from tests.support.random_network import RandomNet

SHAPE = (4, 13, 12)


@pytest.mark.parametrize("seed", range(1000, 1050))
def test_boxes_of_random_branched_networks(seed):
    """A unit of a random layer: its box and support are what changes it."""
    net = RandomNet(seed, steps=5)
    explainer = Explainer(net, SHAPE)
    draw = random.Random(seed)
    layer = draw.choice([each for each in explainer.layers if len(each.shape) == 3][-4:])
    grid = Grid.of(explainer, layer)
    explainer.network.surrogate = True
    changes = measure_dependence(lambda x: grid.maps(run_until(explainer.network, x, [layer])[layer]), SHAPE)
    for _ in range(4):
        unit = tuple(draw.randrange(size) for size in grid.places)
        channel = draw.randrange(grid.channels)
        changed = changes[(slice(None), channel, *unit)].reshape(SHAPE)
        assert np.array_equal(support(explainer, layer, unit, channel), changed)
        rows, columns = np.flatnonzero(changed.any((0, 2))), np.flatnonzero(changed.any((0, 1)))
        expected = ((rows[0], rows[-1]), (columns[0], columns[-1])) if rows.size else None
        assert box(explainer, layer, unit, channel) == expected
        of_all = changes[(slice(None), slice(None), *unit)].any(1).reshape(SHAPE)
        assert np.array_equal(support(explainer, layer, unit), of_all)


def linear(kernel, padding=0):
    conv = nn.Conv2d(1, 1, kernel.shape, padding=padding, bias=False)
    conv.weight.data[:] = kernel
    return conv


def test_the_effective_field_of_a_kernel_is_its_square():
    kernel = torch.tensor([[0.0, 1.0, 0.0], [2.0, 10.0, 3.0], [0.0, 1.0, 0.0]])
    explainer = Explainer(nn.Sequential(linear(kernel)), (1, 7, 7))
    found = effective_field(explainer, explainer.layers[0], (2, 1), torch.randn(3, 1, 7, 7))
    expected = torch.zeros(7, 7, dtype=torch.float64)
    expected[2:5, 1:4] = kernel.double() ** 2
    assert torch.allclose(found.energy, expected)
    assert found.centre == (3, 2) and found.box == ((2, 4), (1, 3))
    assert (found.side_95, found.share) == (3, 1.0)  # the centre holds 100 of 115


def test_the_energy_of_a_stack_concentrates_as_its_binomial_says():
    """Ten 3x3 kernels of ones: the gradient is the tenfold convolution, and its energy is counted by hand."""
    explainer = Explainer(nn.Sequential(*(linear(torch.ones(3, 3)) for _ in range(10))), (1, 31, 31))
    found = effective_field(explainer, explainer.layers[-1], (5, 5), torch.zeros(1, 1, 31, 31))
    row = np.ones(1)
    for _ in range(10):
        row = np.convolve(row, np.ones(3))
    energy = np.outer(row, row) ** 2
    side = next(
        2 * k + 1 for k in range(11)
        if energy[10 - k : 11 + k, 10 - k : 11 + k].sum() >= 0.95 * energy.sum()
    )  # fmt: skip
    assert found.side_95 == side < 21
    assert found.share == pytest.approx(side**2 / 21**2)


def test_the_field_at_the_border_and_of_even_kernels():
    explainer = Explainer(nn.Sequential(linear(torch.ones(3, 3), padding=1)), (1, 8, 8))
    corner = effective_field(explainer, explainer.layers[0], (0, 0), torch.zeros(1, 1, 8, 8))
    assert corner.box == ((0, 1), (0, 1)) and (corner.side_95, corner.share) == (3, 1.0)
    even = Explainer(nn.Sequential(linear(torch.ones(2, 2))), (1, 8, 8))
    assert effective_field(even, even.layers[0], (1, 1), torch.zeros(1, 1, 8, 8)).side_95 == 2


def test_a_dead_unit_has_no_effective_field():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    net[0].bias.data.fill_(-100)
    explainer = Explainer(net, (1, 6, 6))
    found = effective_field(explainer, explainer.layers["1"], (0, 0), torch.zeros(1, 1, 6, 6))
    assert (found.side_95, found.share) == (0, 0.0) and not found.energy.any()


def test_gradients_of_one_channel_and_of_all():
    net = nn.Sequential(nn.Conv1d(1, 2, 1, bias=False))
    net[0].weight.data[:] = torch.tensor([[[1.0]], [[2.0]]])
    explainer = Explainer(net, (1, 3))
    inputs = torch.zeros(1, 1, 3)
    assert effective_field(explainer, explainer.layers[0], (1,), inputs, 1).energy.tolist() == [0, 4, 0]
    assert effective_field(explainer, explainer.layers[0], (1,), inputs).energy.tolist() == [0, 9, 0]


def test_words_that_a_unit_of_a_text_network_sees():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.conv = nn.Embedding(20, 6), nn.Conv1d(6, 3, 3)

        def forward(self, ids):
            return self.conv(self.embed(ids).transpose(1, 2)).amax(2)

    explainer = Explainer(Text(), (8,), dtype=torch.int64)
    layer = explainer.layers["conv"]
    assert box(explainer, layer, (2,)) == ((2, 4),)
    found = effective_field(explainer, layer, (2,), torch.arange(16).view(2, 8))
    assert torch.nonzero(found.energy).flatten().tolist() == [2, 3, 4]
