"""The numbers of one unit against `neocog.reference` and against autograd, in float64."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import reference
from neocog.errors import ConfigError
from neocog.explaining.backprop import follow_unit
from neocog.explaining.explainer import Explainer
from neocog.zoo.networks.efficientnet_lite import HalvingConv2d

CLOSE = {"rtol": 1e-9, "atol": 1e-11}


class Padded(nn.Module):
    """Asymmetric padding, then the convolution of a case, then a head that mixes everything."""

    def __init__(self, border, **settings):
        super().__init__()
        self.border = border
        self.conv = nn.Conv2d(4, 6, (3, 2), **settings)
        self.head = nn.LazyLinear(3)

    def forward(self, x):
        return self.head(torch.tanh(self.conv(F.pad(x, self.border))).flatten(1))


def prepared(net, shape, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(1, *shape, dtype=torch.float64)
    net = net.double().eval()
    net(x)
    explainer = Explainer(net, shape)
    return explainer, x, explainer.target(x, 1)


@pytest.mark.parametrize(
    ("border", "settings"),
    [
        ((0, 0, 0, 0), {}),
        ((0, 0, 0, 0), {"stride": 2, "padding": 1}),
        ((1, 0, 0, 2), {"stride": (2, 1), "groups": 2}),
        ((0, 1, 2, 0), {"dilation": 2, "padding": (1, 0), "bias": False}),
    ],
)
def test_convolution_equals_the_reference(border, settings):
    torch.manual_seed(3)
    explainer, x, target = prepared(Padded(border, **settings), (4, 6, 5))
    net, layer = explainer.network, explainer.layers["conv"]
    padded = F.pad(x, border)
    values = net.conv(padded)
    unit = (4, 1, 2)
    found = follow_unit(explainer, x, target, layer, unit)
    arguments = {name: settings.get(name, 1) for name in ("stride", "dilation", "groups")}
    arguments["padding"] = settings.get("padding", 0)
    # forward
    weight = net.conv.weight.detach().numpy()
    by_hand = reference.cross_correlate(padded.numpy(), weight, None, **arguments)[0, 4, 1, 2]
    assert np.isclose(found.sum, by_hand, **CLOSE) and np.isclose(found.value, values[0, 4, 1, 2].item(), **CLOSE)
    assert np.isclose(found.sum + found.bias, found.value, **CLOSE)
    for place, number in zip(found.reads.places, found.inputs, strict=True):
        assert padded[(0, *place)] == number
    # backward
    leaf = values.detach().requires_grad_()
    target.of(net.head(torch.tanh(leaf).flatten(1))).sum().backward()
    delta = leaf.grad.numpy()
    assert np.isclose(found.delta, delta[0, 4, 1, 2], **CLOSE)
    dx, dw, db = reference.cross_correlate_backward(delta, padded.numpy(), weight, **arguments)
    assert np.allclose(found.weights.gradient, dw[4], **CLOSE)
    assert np.isclose(found.weights.bias_gradient, db[4], **CLOSE)
    for index in product(*(range(0, size, 2) for size in dw[4].shape)):
        terms = found.weights.terms(index)
        assert np.isclose(terms.products.sum(), dw[(4, *index)], **CLOSE)
        for place, number in zip(terms.places, terms.deltas, strict=True):
            assert delta[(0, 4, *place)] == pytest.approx(number)
    # what all units of all filters send back is the gradient of the input
    total = np.zeros(padded.shape)
    for other in product(*map(range, values.shape[1:])):
        each = follow_unit(explainer, x, target, layer, other)
        total[(0, *each.reads.places.T)] += each.sent_back
        assert np.isclose(each.delta, delta[(0, *other)], **CLOSE)
    assert np.allclose(total, dx, **CLOSE)


class Everything(nn.Module):
    """Convolution, batch norm, ReLU in place, max and average pooling, dense layers, and a shortcut."""

    def __init__(self):
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.two, self.pool = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.MaxPool2d(3, 2, 1)
        self.mean, self.act = nn.AvgPool2d(2, ceil_mode=True), nn.ReLU(inplace=True)
        self.hidden, self.head = nn.LazyLinear(5), nn.Linear(5, 3)

    def forward(self, x):
        x = self.act(self.norm(self.one(x)))
        x = self.pool(self.two(x) + x)
        return self.head(F.relu(self.hidden(self.mean(x).flatten(1))))


@pytest.fixture(scope="module")
def everything():
    net = Everything()
    explainer, x, target = prepared(net, (2, 9, 9))
    with torch.no_grad():
        net.norm.running_mean.normal_()
        net.norm.running_var.uniform_(0.5, 2)
        net.norm.weight.normal_()
        net.norm.bias.normal_()
    return explainer, x, target


def by_autograd(explainer, x, target):
    """The value and the delta of every layer."""
    layers = list(explainer.layers)
    tape = explainer.tape(x, layers)
    deltas = tape.gradient(target.of(tape.outputs), *layers)
    return {layer: (tape.values[layer], delta) for layer, delta in zip(layers, deltas, strict=True)}


def test_every_layer_adds_up_forward_and_backward(everything):
    """Products and bias give the value; what flows from the next layers gives the delta."""
    explainer, x, target = everything
    draw = np.random.default_rng(0)
    for layer, (values, deltas) in by_autograd(explainer, x, target).items():
        for _ in range(2):
            unit = tuple(int(draw.integers(size)) for size in values.shape[1:])
            found = follow_unit(explainer, x, target, layer, unit)
            assert np.isclose(found.value, values[(0, *unit)].item(), **CLOSE)
            assert np.isclose(found.sum + found.bias, found.value, **CLOSE), layer.name
            assert np.isclose(found.delta, deltas[(0, *unit)].item(), **CLOSE)
            if layer is not explainer.layers[-1]:
                assert np.isclose(sum(flow.sum for flow in found.flows), found.delta, **CLOSE), layer.name
                assert all(flow.deltas.shape == flow.weights.shape == (len(flow.units),) for flow in found.flows)
            else:
                assert not found.flows and found.delta == (unit[0] == target.channel)


def test_dense_layers_equal_the_reference(everything):
    explainer, x, target = everything
    net = explainer.network
    seen = by_autograd(explainer, x, target)
    layer = explainer.layers["hidden"]
    delta = seen[layer][1].numpy()
    read = seen[explainer.layers["mean"]][0].flatten(1).detach().numpy()
    dx, dw, db = reference.linear_backward(delta, read, net.hidden.weight.detach().numpy())
    found = follow_unit(explainer, x, target, layer, (2,))
    assert np.allclose(found.weights.gradient, dw[2], **CLOSE) and np.isclose(found.weights.bias_gradient, db[2])
    assert np.allclose(found.inputs, read[0], **CLOSE) and found.bias == net.hidden.bias[2].item()
    assert found.weights.terms((7,)).products.tolist() == pytest.approx([dw[2, 7]])
    sent = sum(follow_unit(explainer, x, target, layer, (o,)).sent_back for o in range(5))
    assert np.allclose(sent, dx[0], **CLOSE)
    # the flow into a unit of the average pooling comes through the weights of the dense layer
    (flow,) = follow_unit(explainer, x, target, explainer.layers["mean"], (1, 0, 2)).flows
    column = 1 * 9 + 0 * 3 + 2
    assert np.allclose(flow.weights, net.hidden.weight[:, column].detach().numpy(), **CLOSE)
    assert np.allclose(flow.deltas, delta[0], **CLOSE) and flow.units[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_pooling_and_activations_equal_the_reference(everything):
    explainer, x, target = everything
    seen = by_autograd(explainer, x, target)
    by_name = {layer.name: pair for layer, pair in seen.items()}
    names = [layer.name for layer in explainer.layers]
    added = by_name[names[names.index("pool") - 1]][0].detach().numpy()
    pooled, winners = reference.max_pool(added, 3, 2, 1)
    back = reference.max_pool_backward(by_name["pool"][1].numpy(), winners, added.shape)
    means = reference.avg_pool_backward(by_name["mean"][1].numpy(), pooled.shape, 2, ceil_mode=True)
    before = by_name["norm"][0].detach().numpy()
    for name, dx, shape in (("pool", back, added.shape), ("mean", means, pooled.shape)):
        total = np.zeros(shape)
        for unit in product(*map(range, by_name[name][0].shape[1:])):
            found = follow_unit(explainer, x, target, explainer.layers[name], unit)
            for place, number in zip(found.reads.places, found.sent_back, strict=True):
                total[(0, *place)] += number
        assert np.allclose(total, dx, **CLOSE)
    corner = follow_unit(explainer, x, target, explainer.layers["pool"], (0, 0, 0))
    assert len(corner.inputs) == 4 and sorted(corner.reads.weights) == [0, 0, 0, 1]  # the padding is not read
    unit = (1, 3, 4)
    found = follow_unit(explainer, x, target, explainer.layers["act"], unit)
    delta = by_name["act"][1].numpy()
    assert np.isclose(found.sent_back[0], reference.relu_backward(delta, before)[(0, *unit)], **CLOSE)
    assert found.inputs.tolist() == [before[(0, *unit)]] and found.bias == pytest.approx(0)


def test_batch_norm_equals_the_reference(everything):
    explainer, x, target = everything
    net, layer = explainer.network, explainer.layers["norm"]
    seen = by_autograd(explainer, x, target)
    read = seen[explainer.layers["one"]][0].detach().numpy()
    running = reference.RunningStatistics(net.norm.running_mean.numpy(), net.norm.running_var.numpy())
    gamma = net.norm.weight.detach().numpy()
    dx, dgamma, dbeta = reference.batch_norm_backward(seen[layer][1].numpy(), read, gamma, running, training=False)
    found = follow_unit(explainer, x, target, layer, (3, 2, 5))
    assert np.isclose(found.sent_back[0], dx[0, 3, 2, 5], **CLOSE)
    assert np.allclose(found.weights.gradient, dgamma[3], **CLOSE) and np.isclose(found.weights.bias_gradient, dbeta[3])


def test_sums_read_both_branches_and_shortcuts_get_both_flows(everything):
    explainer, x, target = everything
    names = [layer.name for layer in explainer.layers]
    added = explainer.layers[names.index("pool") - 1]
    found = follow_unit(explainer, x, target, added, (2, 4, 4))
    assert found.reads.sources.tolist() == [0, 1] and found.reads.weights.tolist() == [1, 1] and found.bias == 0
    act = follow_unit(explainer, x, target, explainer.layers["act"], (2, 4, 4))
    assert [flow.layer.name for flow in act.flows] == ["two", added.name]
    assert len(act.flows[0].units) == 18  # 3x3 places of the two channels of its group
    weights = explainer.network.two.weight.detach()
    expected = {float(w) for w in weights[2:4, 0].flatten()}
    assert {round(w, 12) for w in act.flows[0].weights} == {round(w, 12) for w in expected}


def test_transposed_convolution_equals_autograd():
    net = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2), nn.Tanh(), nn.Flatten(), nn.LazyLinear(2))
    explainer, x, target = prepared(net, (4, 4, 3))
    explainer.target(x, 1)
    weight = net[0].weight
    gradient, bias = torch.autograd.grad(target.of(net(x)).sum(), (weight, net[0].bias))
    for channel in (1, 5):
        found = follow_unit(explainer, x, target, explainer.layers["0"], (channel, 2, 3))
        group, within = divmod(channel, 3)
        assert np.allclose(found.weights.gradient, gradient[2 * group : 2 * group + 2, within].numpy(), **CLOSE)
        assert np.isclose(found.weights.bias_gradient, bias[channel].item(), **CLOSE)
        assert np.isclose(found.sum + found.bias, found.value, **CLOSE)
        terms = found.weights.terms((1, 0, 2))
        assert np.isclose(terms.products.sum(), found.weights.gradient[1, 0, 2], **CLOSE)


class Codes(nn.Module):
    """A product with a view of a parameter, on the right and on the left, and one of two feature maps."""

    def __init__(self):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(5, 4))

    def forward(self, x):
        one = x @ self.codes.T
        two = torch.matmul(self.codes, x.T).T
        return one * two


def test_views_of_weights_are_not_read_as_inputs():
    explainer, x, target = prepared(Codes(), (4,))
    codes = explainer.model.codes.detach().numpy()
    for layer, at in zip(explainer.layers, ((2,), (2,)), strict=False):
        found = follow_unit(explainer, x, target, layer, at)
        assert found.inputs.tolist() == x[0].tolist() and found.bias == pytest.approx(0)
        assert found.reads.weights.tolist() == codes[2].tolist()
        assert np.isclose(found.sum, x[0].numpy() @ codes[2], **CLOSE)
    first, second = (follow_unit(explainer, x, target, layer, (2,)).weights for layer in list(explainer.layers)[:2])
    assert first is not None and first.gradient.shape == (4,) and second is None  # the second has no filter of its own
    last = follow_unit(explainer, x, target, explainer.layers[-1], (2,))
    assert last.reads.sources.tolist() == [0, 1] and last.value == pytest.approx((x[0].numpy() @ codes[2]) ** 2)


class PadsKernels(nn.Conv2d):
    """Pads its maps where shapes alone are followed, and its kernels where numbers are."""

    def forward(self, maps):
        if maps.is_meta:
            return nn.functional.conv2d(nn.functional.pad(maps, (0, 1, 0, 1)), self.weight, self.bias)
        wider = nn.functional.pad(self.weight, (1, 0, 1, 0))
        return nn.functional.conv2d(maps, wider, self.bias, padding=1)


def test_deltas_come_from_the_layer_that_reads_a_unit_on_this_device():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), PadsKernels(2, 3, 2), nn.Flatten(), nn.LazyLinear(2))
    explainer, x, target = prepared(net, (1, 8, 8))
    found = follow_unit(explainer, x, target, explainer.layers["0"], (1, 4, 4))
    assert [flow.layer.name for flow in found.flows] == ["1:conv2d"]
    assert np.isclose(found.flows[0].sum, found.delta, **CLOSE)
    with pytest.raises(ConfigError, match="A layer must run each time in the same place"):
        follow_unit(explainer, x, target, explainer.layers["1:constant_pad_nd"], (0, 0, 0))


def test_layers_of_a_padded_convolution_are_those_that_run():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), HalvingConv2d(2, 3, 3, groups=1), nn.Flatten(), nn.LazyLinear(2))
    explainer, x, target = prepared(net, (1, 8, 8))
    found = follow_unit(explainer, x, target, explainer.layers["0"], (1, 4, 4))
    assert [flow.layer.name for flow in found.flows] == ["1:constant_pad_nd"]
    assert np.isclose(found.flows[0].sum, found.delta, **CLOSE)
    read = follow_unit(explainer, x, target, explainer.layers["1:conv2d"], (2, 1, 1))
    assert len(read.inputs) == 18 and np.isclose(read.sum + read.bias, read.value, **CLOSE)


def test_the_gradients_of_all_filters_are_those_of_autograd(everything):
    explainer, x, target = everything
    net = explainer.model
    (expected,) = torch.autograd.grad(target.of(net(x)).sum(), net.two.weight)
    for channel in range(4):
        found = follow_unit(explainer, x, target, explainer.layers["two"], (channel, 0, 0))
        assert np.allclose(found.weights.gradient, expected[channel].numpy(), **CLOSE)


def test_the_model_is_left_as_it_was(everything):
    explainer, x, target = everything
    net = explainer.model
    state = {key: value.clone() for key, value in net.state_dict().items()}
    follow_unit(explainer, x, target, explainer.layers["act"], (0, 0, 0))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_errors_name_the_unit_and_the_weight(everything):
    explainer, x, target = everything
    layer = explainer.layers["two"]
    with pytest.raises(ConfigError, match=r"one of 4 channels\. Received: place \(0, 0\) of channel 9"):
        follow_unit(explainer, x, target, layer, (9, 0, 0))
    with pytest.raises(ConfigError, match=r"A unit is followed for one input\. Received: 2 inputs"):
        follow_unit(explainer, torch.cat([x, x]), target, layer, (0, 0, 0))
    with pytest.raises(
        ConfigError, match=r"A weight is a place within the filter, \(2, 3, 3\)\. Received: \(2, 0, 0\)"
    ):
        follow_unit(explainer, x, target, layer, (0, 0, 0)).weights.terms((2, 0, 0))
