"""A forward pass whose layers are kept."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.tape import run
from tests.support.explained import RELUS, branched, images
from tests.support.random_network import RandomNet


@pytest.mark.parametrize("act", RELUS.values(), ids=RELUS)
def test_outputs_and_gradients_are_those_of_the_network(act):
    net, inputs = branched(act).eval(), images()
    tape = Explainer(net, (2, 8, 8)).tape(inputs)
    leaf = inputs.clone().requires_grad_()
    outputs = branched().eval()(leaf)  # out of place
    assert torch.allclose(tape.outputs, outputs, rtol=0, atol=1e-12)
    expected = torch.autograd.grad(outputs[0, 1], leaf)[0]
    assert torch.allclose(tape.gradient(tape.outputs[:, 1])[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("act", RELUS.values(), ids=RELUS)
def test_kept_layer_has_the_value_of_its_own_moment(act):
    net, inputs = branched(act).eval(), images()
    explainer = Explainer(net, (2, 8, 8))
    first, added = explainer.layers["first"], explainer.layers[":add"]
    tape = explainer.tape(inputs, [first, added])
    before = F.conv2d(inputs, net.first.weight, net.first.bias, padding=1)
    assert torch.equal(tape.values[first], before)  # not rectified, even if the network works in place
    summed = net.norm(net.second(before.relu())) + before.relu()
    assert torch.allclose(tape.values[added], summed)


def test_gradient_of_a_layer_is_that_of_the_rest_of_the_network():
    net, inputs = branched().eval(), images()
    explainer = Explainer(net, (2, 8, 8))
    layer = explainer.layers[":relu"]
    tape = explainer.tape(inputs, [layer])
    maps = tape.values[layer].detach().requires_grad_()
    rest = net.dense(F.max_pool2d(F.relu(net.norm(net.second(maps)) + maps), 2).flatten(1))
    expected = torch.autograd.grad(rest[0, 2], maps)[0]
    assert torch.allclose(tape.gradient(tape.outputs[:, 2], layer)[0], expected)


def test_layers_of_random_branched_networks_are_those_of_a_second_run():
    for seed in range(6):
        net = RandomNet(seed)
        inputs = torch.randn(1, 4, 13, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        explainer = Explainer(net, (4, 13, 12))
        tape = explainer.tape(inputs, explainer.layers)
        assert torch.equal(tape.outputs, net(inputs))
        last = explainer.layers[-1]
        changed = explainer.tape(inputs, changes={last: lambda maps: 2 * maps})
        assert torch.allclose(changed.outputs, 2 * net(inputs)) or tape.outputs.shape != tape.values[last].shape


def test_network_computes_with_what_a_change_returns():
    net, inputs = branched(F.relu_).eval(), images()
    explainer = Explainer(net, (2, 8, 8))
    changed = explainer.tape(inputs, changes={explainer.layers[":max_pool2d"]: torch.zeros_like})
    assert torch.allclose(changed.outputs, net.dense.bias[None])
    in_place = explainer.tape(inputs, changes={explainer.layers[":relu#2"]: torch.zeros_like})
    assert torch.allclose(in_place.outputs, net.dense.bias[None])


def test_gradient_is_zero_for_a_layer_that_the_output_does_not_read():
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.left(x), self.right(x)

    explainer = Explainer(Apart(), (1, 2, 2))
    tape = explainer.tape(torch.ones(1, 1, 2, 2), [explainer.layers["right"]])
    (found,) = tape.gradient(tape.outputs[:, 0].flatten(1).sum(1), explainer.layers["right"])
    assert torch.equal(found, torch.zeros(1, 1, 2, 2))


def test_layer_that_does_not_run_again_is_an_error():
    explainer, other = Explainer(branched(), (2, 8, 8)), nn.Sequential(nn.Flatten(), nn.Linear(128, 3)).double()
    with pytest.raises(ConfigError, match=r"must run each time in the same place.*did not run dense"):
        run(other, images(), [explainer.layers["dense"]])


def test_buffers_that_a_network_writes_to_stay_as_they_are():
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.dense = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return self.dense(x.flatten(1)) * self.calls

    net = Counting()
    explainer = Explainer(net, (1, 2, 2))
    first = explainer.tape(torch.ones(1, 1, 2, 2)).outputs
    assert torch.equal(first, explainer.tape(torch.ones(1, 1, 2, 2)).outputs)  # each run counts from 0
    assert torch.equal(first, explainer.outputs(torch.ones(1, 1, 2, 2)))
    assert float(net.calls) == 0
