"""Feature maps against a forward pass by hand, and outputs whose channels are not at the second place."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.maps import Grid, channel_ranges, feature_maps, run_until
from neocog.zoo.networks.efficientnet_lite import HalvingConv2d


class Branches(nn.Module):
    """In place, functional, with a shortcut."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.act, self.head = nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x):
        y = self.act(self.one(x))
        z = self.two(y)
        z += y
        return self.head(F.relu(z, inplace=True).mean((2, 3)))


def test_maps_have_the_values_of_their_own_moment():
    torch.manual_seed(0)
    net = Branches().eval()
    x = torch.randn(1, 2, 6, 6)
    found = feature_maps(Explainer(net, (2, 6, 6)), x)
    by_name = {layer.name: maps for layer, maps in found.items()}
    with torch.no_grad():
        one = net.one(x)
        two = net.two(one.relu())
        added = two + one.relu()
    assert (by_name["one"] < 0).any() and (by_name["two"] < 0).any()
    assert torch.allclose(by_name["one"], one[0]) and torch.allclose(by_name["act"], one.relu()[0])
    assert torch.allclose(by_name["two"], two[0], atol=1e-6)
    names = [layer.name for layer in found]
    assert torch.allclose(by_name[names[names.index("two") + 1]], added[0], atol=1e-6)
    assert torch.allclose(by_name["head"], net(x)[0], atol=1e-6)


def test_ranges_of_channels():
    maps = torch.tensor([[[0.0, -1.0], [3.0, 0.0]], [[2.0, 2.0], [2.0, 2.0]]])
    found = channel_ranges(maps)
    assert found.low.tolist() == [-1, 2] and found.high.tolist() == [3, 2] and found.zeros.tolist() == [0.5, 0]


class Patches(nn.Module):
    """Tokens of an image, as in a vision transformer, then channels last."""

    def __init__(self):
        super().__init__()
        self.embed, self.dense = nn.Conv2d(3, 5, 2, 2), nn.Linear(5, 7)

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return self.dense(tokens)


def test_channels_and_places_of_tokens():
    torch.manual_seed(0)
    net, x = Patches(), torch.randn(2, 3, 8, 6)
    explainer = Explainer(net, (3, 8, 6))
    layer = explainer.layers["dense"]
    grid = Grid.of(explainer, layer)
    assert (grid.channels, grid.places) == (7, (4, 3))
    values = run_until(explainer.network, x, [layer])[layer]
    maps = grid.maps(values)
    by_hand = torch.einsum("oc,nchw->nohw", net.dense.weight, net.embed(x)) + net.dense.bias.view(-1, 1, 1)
    assert torch.allclose(maps, by_hand, atol=1e-5)
    assert grid.maps(values)[1, 4, 2, 1] == values[(1, *(int(i[0]) for i in grid.index((2, 1), 4)[1:]))]


def test_tokens_of_a_text_have_their_vectors_as_channels():
    net = nn.Sequential(nn.Embedding(10, 6))
    explainer = Explainer(net, (5,), dtype=torch.int64)
    maps = feature_maps(explainer, torch.tensor([[1, 2, 3, 4, 5]]))[explainer.layers[0]]
    assert torch.equal(maps, net[0].weight.detach()[1:6].T)


def test_nothing_behind_the_last_layer_is_computed():
    class Counts(nn.Module):
        calls = 0

        def forward(self, x):
            Counts.calls += 1
            return x * 2

    net = nn.Sequential(nn.Conv2d(1, 2, 3), Counts())
    explainer = Explainer(net, (1, 6, 6))
    Counts.calls = 0
    layer = explainer.layers["0"]
    found = run_until(explainer.network, torch.ones(3, 1, 6, 6), [layer])
    assert Counts.calls == 0 and found[layer].shape == (3, 2, 4, 4)


def test_a_unit_that_a_layer_lacks_is_refused():
    explainer = Explainer(nn.Sequential(nn.Conv2d(1, 2, 3)), (1, 6, 6))
    grid = Grid.of(explainer, explainer.layers[0])
    for unit, channel in (((4, 0), None), ((0,), None), ((0, 0), 2)):
        with pytest.raises(ConfigError, match=r"A unit is a place within \(4, 4\), of one of 2 channels"):
            grid.index(unit, channel)


def test_layers_that_run_in_another_way_on_this_device_are_left_out():
    """On the CPU this convolution pads its kernels, where the plan, which is of no device, has padded maps."""

    class Halving(HalvingConv2d):
        def forward(self, maps):
            return self.pad_kernels(maps) if maps.device.type == "cpu" else self.pad_maps(maps)

    net = nn.Sequential(nn.Conv2d(1, 2, 1), Halving(2, 3, 3, groups=1))
    explainer = Explainer(net, (1, 8, 8))
    x = torch.rand(1, 1, 8, 8)
    found = {layer.name: maps for layer, maps in feature_maps(explainer, x).items()}
    assert list(found) == ["0", "1:conv2d"] and torch.allclose(found["1:conv2d"], net(x)[0])
    with pytest.raises(ConfigError, match=r"output of shape \(3, 2, 4, 4\) where the plan has \(1, 2, 9, 9\)"):
        feature_maps(explainer, x, [explainer.layers["1:constant_pad_nd"]])


def test_halving_convolution_runs_as_its_plan_says():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), HalvingConv2d(2, 3, 3, groups=1))
    explainer = Explainer(net, (1, 8, 8))
    x = torch.rand(1, 1, 8, 8)
    found = {layer.name: maps for layer, maps in feature_maps(explainer, x).items()}
    assert found["1:constant_pad_nd"].shape == (2, 9, 9)
    assert torch.allclose(found["1:conv2d"], net(x)[0], atol=1e-6) and not net[1].pads_maps
