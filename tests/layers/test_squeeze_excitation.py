import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import plan
from neocog.layers.squeeze_excitation import SqueezeExcitation


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2017))


@pytest.mark.parametrize(
    ("options", "activate", "gate"),
    [
        ({}, F.relu, torch.sigmoid),
        ({"activation": nn.SiLU}, F.silu, torch.sigmoid),
        ({"gate": nn.Hardsigmoid}, F.relu, lambda x: ((x + 3) / 6).clamp(0, 1)),
    ],
)
def test_each_channel_is_multiplied_by_its_gate(options, activate, gate):
    layer = SqueezeExcitation(6, squeeze_channels=4, **options).double()
    maps = draw(3, 6, 5, 7)
    first, second = layer.reduce, layer.expand
    for n in range(3):
        means = torch.stack([maps[n, c].sum() / 35 for c in range(6)])
        hidden = activate(first.weight[:, :, 0, 0] @ means + first.bias)
        gates = gate(second.weight[:, :, 0, 0] @ hidden + second.bias)
        for c in range(6):
            torch.testing.assert_close(layer(maps)[n, c], maps[n, c] * gates[c])


@pytest.mark.parametrize(("channels", "squeezed"), [(96, 4), (32, 8), (7, 1)])
def test_parameters_are_those_of_two_dense_layers(channels, squeezed):
    layer = SqueezeExcitation(channels, squeezed)
    assert sum(p.numel() for p in layer.parameters()) == 2 * channels * squeezed + channels + squeezed


def test_gradients_are_those_of_finite_differences():
    layer = SqueezeExcitation(3, squeeze_channels=2, activation=nn.SiLU).double()
    assert torch.autograd.gradcheck(layer, draw(2, 3, 4, 4).requires_grad_())


def test_every_place_depends_on_the_whole_input():
    planned = plan(nn.Sequential(nn.Conv2d(3, 8, 3), SqueezeExcitation(8, 2)), (3, 9, 9))
    assert planned.row("0").receptive_field == (3, 3)
    assert planned.rows[-1].whole == (True, True)


def test_exported_it_computes_the_same_at_any_batch():
    layer, maps = SqueezeExcitation(4, 2).eval(), draw(2, 4, 6, 6).float()
    exported = torch.export.export(layer, (maps,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    larger = draw(5, 4, 6, 6).float()
    torch.testing.assert_close(exported.module()(larger), layer(larger))
