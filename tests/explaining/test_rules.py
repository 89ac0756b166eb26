"""What activations and pooling do with the gradient that comes back."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.explaining.explainer import Explainer
from neocog.explaining.gradients import deconvnet, gradient, guided
from neocog.explaining.rules import Rules
from neocog.layers.unpooling import SwitchPool2d
from neocog.tasks.target import Target
from tests.support.explained import RELUS, branched, images

WAYS = {**RELUS, "nn.ReLU used twice": nn.ReLU(), "nn.ReLU used twice inplace": nn.ReLU(inplace=True)}
TARGET = Target("1", 1)


@pytest.mark.parametrize("act", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("method", [guided, deconvnet])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_way_to_write_a_relu_gives_the_same_map(act, method, stride):
    expected = method(Explainer(branched(F.relu, stride), (2, 8, 8)), images(), TARGET)
    found = method(Explainer(branched(act, stride), (2, 8, 8)), images(), TARGET)
    assert torch.equal(found.values, expected.values)
    plain = gradient(Explainer(branched(act, stride), (2, 8, 8)), images(), TARGET)
    assert (plain.values - found.values).abs().max() > 1e-3  # the rule was applied


def back_by_hand(net: nn.Module, inputs: Tensor, rule) -> Tensor:
    """The backward pass of `branched` with stride 2, written out: `rule(gradient, input of the ReLU)` at each ReLU."""
    first = F.conv2d(inputs, net.first.weight, net.first.bias, padding=1)
    added = net.norm(net.second(first.relu())) + first.relu()
    _, switches = F.max_pool2d(added.relu(), 2, return_indices=True)
    back = net.dense.weight[1].view(1, 4, 4, 4)
    back = F.max_unpool2d(back, switches, 2)
    back = rule(back, added)
    scale = net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()
    through = F.conv_transpose2d(back * scale.view(-1, 1, 1), net.second.weight, padding=1)
    back = rule(through + back, first)
    return F.conv_transpose2d(back, net.first.weight, padding=1)


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        (gradient, lambda back, x: back * (x > 0)),
        (guided, lambda back, x: back.clamp(min=0) * (x > 0)),
        (deconvnet, lambda back, x: back.clamp(min=0)),
    ],
)
def test_rules_equal_transposed_convolutions_and_unpooling_by_hand(method, rule):
    net = branched().eval()
    with torch.no_grad():
        expected = back_by_hand(net, images(), rule)
    found = method(Explainer(net, (2, 8, 8)), images(), TARGET)
    assert torch.allclose(found.values, expected[0], rtol=0, atol=1e-12)


def test_deconvnet_equals_unpooling_by_switches_on_a_network_without_overlap():
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8, 2),
    ).double()  # fmt: skip
    inputs = images((1, 1, 12, 12))
    with torch.no_grad():
        first = net[0](inputs)
        pooled, places = F.max_pool2d(first.relu(), 2, return_indices=True)
        second = net[3](pooled)
        _, more = F.max_pool2d(second.relu(), 2, return_indices=True)
        back = net[7].weight[0].view(1, 2, 2, 2)
        back = F.max_unpool2d(back, more, 2, output_size=second.shape[2:]).clamp(min=0)
        back = F.conv_transpose2d(back, net[3].weight)
        back = F.max_unpool2d(back, places, 2, output_size=first.shape[2:]).clamp(min=0)
        expected = F.conv_transpose2d(back, net[0].weight)
    for pooling in ("overwrite", "add"):  # the same, as no windows overlap
        found = deconvnet(Explainer(net, (1, 12, 12)), inputs, Target("0", 0), rules=Rules("deconvnet", pooling))
        assert torch.allclose(found.values, expected[0], rtol=0, atol=1e-12)


class Pooled(nn.Module):
    """Nothing but an overlapping pooling and a weighted sum; (N, 1, 5, 5) -> (N, 1)."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.weights = nn.Parameter(torch.arange(1.0, 5.0).double())

    def forward(self, x: Tensor) -> Tensor:
        maps = self.pool(x)
        return ((maps[0] if isinstance(maps, tuple) else maps).flatten(1) * self.weights).sum(1, keepdim=True)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3, 2), SwitchPool2d(3, 2), nn.MaxPool2d(3, 2, return_indices=True)])
def test_overlapping_pooling_adds_or_overwrites(pool):
    inputs = torch.zeros(1, 1, 5, 5).double()
    inputs[0, 0, 2, 2] = 1  # the maximum of all four windows
    explainer = Explainer(Pooled(pool), (1, 5, 5))
    added = deconvnet(explainer, inputs, Target("0", 0), rules=Rules("deconvnet", "add"))
    written = deconvnet(explainer, inputs, Target("0", 0))
    assert added.values[0, 2, 2] == 1 + 2 + 3 + 4
    assert written.values[0, 2, 2] == 4  # the last window's
    assert added.values.sum() == 10 and written.values.sum() == 4


def test_adaptive_pooling_has_switches_too():
    inputs = torch.zeros(1, 1, 3, 3).double()
    inputs[0, 0, 1, 1] = 1  # windows of an adaptive pooling from 3 to 2 overlap in the middle
    explainer = Explainer(Pooled(nn.AdaptiveMaxPool2d(2)), (1, 3, 3))
    assert deconvnet(explainer, inputs, Target("0", 0)).values[0, 1, 1] == 4
    assert gradient(explainer, inputs, Target("0", 0)).values[0, 1, 1] == 10


@pytest.mark.parametrize(
    ("act", "slope"), [(nn.LeakyReLU(0.1), 0.1), (nn.ELU(), None), (nn.SiLU(), None), (nn.ReLU6(), None)]
)
def test_other_rectifiers_keep_their_derivative_in_guided_maps_only(act, slope):
    net = nn.Sequential(nn.Flatten(), act, nn.Linear(4, 1, bias=False)).double()
    inputs = torch.tensor([[-1.0, 2.0, -3.0, 4.0]]).double().view(1, 1, 2, 2)
    weights = net[2].weight[0].detach().clamp(min=0)
    leaf = inputs.flatten().clone().requires_grad_()
    slopes = torch.autograd.grad(act(leaf).sum(), leaf)[0]
    explainer = Explainer(net, (1, 2, 2))
    assert torch.allclose(guided(explainer, inputs, Target("0", 0)).values.flatten(), weights * slopes)
    assert torch.allclose(deconvnet(explainer, inputs, Target("0", 0)).values.flatten(), weights)
    assert slope is None or torch.allclose(slopes, torch.tensor([slope, 1, slope, 1]).double())


@pytest.mark.parametrize("act", [nn.Tanh(), nn.Hardtanh(), nn.Sigmoid()])
def test_saturating_activations_keep_their_derivative(act):
    net = nn.Sequential(nn.Flatten(), act, nn.Linear(4, 1)).double()
    explainer, inputs = Explainer(net, (1, 2, 2)), images((1, 1, 2, 2))
    plain = gradient(explainer, inputs, Target("0", 0))
    assert torch.equal(deconvnet(explainer, inputs, Target("0", 0)).values, plain.values)
