import math

import numpy as np
import pytest
import torch
from torch import nn

from neocog.layers.unpooling import SwitchPool2d, Unpool2d
from neocog.planning import plan
from neocog.reference.unpooling import unpool

# kernel, stride, padding, ceil_mode, height, width
POOLINGS = [
    (2, 2, 0, False, 4, 6),
    (2, 2, 0, False, 5, 7),
    (2, 2, 0, True, 5, 7),
    (2, 2, 0, True, 1, 3),
    (3, 3, 0, False, 8, 11),
    (3, 2, 0, True, 8, 9),  # AlexNet's, and the deconvnet's: windows overlap
    (3, 2, 1, False, 7, 8),
    (1, 2, 0, False, 5, 6),
]


class Back(nn.Module):
    """Pools and puts back."""

    def __init__(self, *settings):
        super().__init__()
        self.conv, self.pool, self.unpool = nn.Conv2d(2, 3, 3, padding=1), SwitchPool2d(*settings), Unpool2d()

    def forward(self, images):
        return self.unpool(*self.pool(self.conv(images)))


def windows(kernel, stride, padding, ceil_mode, size):
    """First sample, and last plus one, of each window along an axis; one that begins beyond the image is none."""
    count = (math.ceil if ceil_mode else math.floor)((size + 2 * padding - kernel) / stride) + 1
    begins = [i * stride - padding for i in range(count) if i * stride - padding < size]
    return [(max(begin, 0), min(begin + kernel, size)) for begin in begins]


@pytest.mark.parametrize("settings", POOLINGS)
def test_both_ways_by_brute_force(settings):
    *numbers, height, width = settings
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    pooled, switches = SwitchPool2d(*numbers)(x)
    rows, columns = windows(*numbers, height), windows(*numbers, width)
    assert switches.size == (height, width)
    assert pooled.shape == switches.places.shape == (2, 3, len(rows), len(columns))
    expected = torch.zeros_like(x)
    for n, c in np.ndindex(2, 3):
        for (i, (top, bottom)), (j, (left, right)) in (
            (row, column) for row in enumerate(rows) for column in enumerate(columns)
        ):
            inside = [(float(x[n, c, a, b]), a, b) for a in range(top, bottom) for b in range(left, right)]
            value, a, b = max(inside)
            assert pooled[n, c, i, j] == value
            assert switches.places[n, c, i, j] == a * width + b
            expected[n, c, a, b] = value
    assert torch.equal(Unpool2d()(pooled, switches), expected)


def test_other_values_go_to_the_same_places():
    x = torch.randn(2, 3, 7, 9)
    _, switches = SwitchPool2d(2, ceil_mode=True)(x)
    values = torch.randn(2, 3, 4, 5)
    expected = unpool(values.numpy(), switches.places.numpy(), switches.size)
    assert np.array_equal(Unpool2d()(values, switches).numpy(), expected)


def test_the_first_of_equal_values_wins():
    pooled, switches = SwitchPool2d(2)(torch.ones(1, 1, 4, 4))
    assert switches.places.flatten().tolist() == [0, 2, 8, 10]
    assert Unpool2d()(pooled, switches).sum() == 4


def test_values_of_overlapping_windows_are_not_added():
    """The nine windows that hold the one peak all give its value to its place."""
    x = torch.zeros(1, 1, 7, 7)
    x[0, 0, 3, 3] = 5
    pooled, switches = SwitchPool2d(3, 1)(x)
    assert (pooled == 5).sum() == 9
    assert torch.equal(Unpool2d()(pooled, switches), x)


@pytest.mark.parametrize("settings", [(2,), (2, 2, 0, True), (3, 3)])
def test_gradients(settings):
    pool, back = SwitchPool2d(*settings), Unpool2d()
    x = torch.randperm(2 * 7 * 8).reshape(1, 2, 7, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: back(*pool(x)), x)
    _, switches = pool(x)
    values = torch.randn(switches.places.shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: back(values, switches), values)


def test_places_must_be_those_of_the_maps():
    _, switches = SwitchPool2d(2)(torch.randn(1, 2, 6, 6))
    with pytest.raises(RuntimeError, match="shape"):
        Unpool2d()(torch.randn(1, 2, 2, 2), switches)


def test_plan_sees_what_the_pooled_values_saw():
    """A place reads at most the window that holds it: 4 x 4 of the input behind a 3x3 convolution and a 2x2 pooling."""
    with torch.device("meta"):
        model = Back(2, 2, 0, True)
    found = plan(model, (2, 11, 13))
    assert found.output_shapes == ((3, 11, 13),)
    assert found.row("pool").output_shape == (3, 6, 7)
    assert found.row("unpool").receptive_field == (4, 4)


def test_the_exported_program_takes_other_sizes():
    model = Back(2, 2, 0, True).eval()
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(model, (torch.randn(2, 2, 10, 13),), dynamic_shapes=({0: auto, 2: auto, 3: auto},))
    for shape in [(2, 2, 10, 13), (3, 2, 7, 8)]:
        images = torch.randn(shape)
        torch.testing.assert_close(exported.module()(images), model(images))


def test_representation():
    assert repr(SwitchPool2d(3, 2, 1, True)) == "SwitchPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)"
    assert repr(SwitchPool2d(2)) == "SwitchPool2d(kernel_size=2, stride=2, padding=0)"
