"""Maps from gradients."""

import math

import pytest
import torch
from torch import nn

from neocog.explaining import gradients
from neocog.explaining.explainer import Explainer
from neocog.explaining.gradients import gradient, integrated, smoothgrad
from neocog.rng import normal
from neocog.tasks.target import Target
from neocog.zoo.networks.text_cnn import TextCNN
from tests.support.explained import branched, images

TARGET = Target("2", 2)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(branched(), (2, 8, 8))


def test_gradient_is_that_of_autograd(explainer):
    leaf = images().requires_grad_()
    outputs = explainer.network(leaf)
    expected = torch.autograd.grad(outputs[0, 2], leaf)[0][0]
    found = gradient(explainer, images(), TARGET)
    assert torch.allclose(found.values, expected)
    assert torch.allclose(found.map, expected.abs().amax(0))
    assert found.logit == pytest.approx(float(outputs[0, 2].detach()))
    assert found.scale == float(expected.abs().max()) and not found.signed


def test_smoothgrad_is_the_mean_over_noisy_copies(explainer):
    inputs = images()
    spread = 0.2 * float(inputs.max() - inputs.min())
    noise = normal(7, epoch=0, samples=range(20), purpose="smoothgrad", num=128).reshape(20, 2, 8, 8)
    maps = [
        gradient(explainer, inputs + spread * torch.from_numpy(one), TARGET).values for one in noise
    ]  # more than one batch
    found = smoothgrad(explainer, inputs, TARGET, samples=20, noise=0.2, seed=7)
    assert torch.allclose(found.values, torch.stack(maps).mean(0))
    assert torch.allclose(found.map, torch.stack(maps).abs().mean(0).amax(0))
    assert found.figures == {"samples": 20, "noise": 0.2}


def test_integrated_gradients_of_equal_steps_are_the_midpoint_rule(explainer):
    inputs, baseline = images(), images(seed=5)
    step = inputs - baseline
    ways = [gradient(explainer, baseline + (i + 0.5) / 20 * step, TARGET).values for i in range(20)]
    found = integrated(explainer, inputs, TARGET, steps=20, baseline=baseline)
    assert torch.allclose(found.values, step[0] * torch.stack(ways).mean(0))
    low, high = (float(explainer.outputs(each)[0, 2]) for each in (baseline, inputs))
    assert found.figures["completeness error"] == pytest.approx(abs(float(found.values.sum()) / (high - low) - 1))
    assert found.figures["baseline"] == pytest.approx(low) and found.figures["steps"] == 20


@pytest.mark.parametrize("seed", range(4))
def test_integrated_gradients_are_complete_to_a_thousandth(explainer, seed):
    inputs = 3 * images(seed=seed)
    found = integrated(explainer, inputs, TARGET)
    change = float(explainer.outputs(inputs)[0, 2] - explainer.outputs(torch.zeros_like(inputs))[0, 2])
    assert abs(float(found.map.sum()) - change) <= 1e-3 * abs(change)
    assert found.figures["completeness error"] <= 1e-3
    fine = integrated(explainer, inputs, TARGET, steps=2000)
    assert (found.values - fine.values).abs().max() < 0.02 * fine.scale


def test_integrated_gradients_halve_the_steps_that_miss_most(explainer, monkeypatch):
    steep = nn.Sequential(nn.Flatten(), nn.Linear(1, 1), nn.Sigmoid()).double()
    with torch.no_grad():
        steep[1].weight.fill_(4000.0)
        steep[1].bias.fill_(-2001.0)  # all of the change is in 1/1000 of the way
    found = integrated(Explainer(steep, (1, 1, 1)), torch.ones(1, 1, 1, 1).double(), Target("0", 0))
    assert found.figures["completeness error"] <= 1e-3 and found.figures["steps"] <= 150
    monkeypatch.setattr(gradients, "MOST_STEPS", 40)
    short = integrated(Explainer(steep, (1, 1, 1)), torch.ones(1, 1, 1, 1).double(), Target("0", 0))
    assert short.figures["steps"] == 40 and short.figures["completeness error"] > 1e-3


def test_gradients_of_tokens_are_those_of_their_vectors():
    torch.manual_seed(0)
    net = TextCNN(in_channels=30, vector_size=8).eval()
    ids = torch.tensor([[3, 5, 7, 2, 0, 0]])
    explainer = Explainer(net, (6,), dtype=torch.int64)
    found = gradient(explainer, ids, Target("1", 1))
    vectors = net.stem(ids).detach().requires_grad_()
    outputs = net.head(net.stages(vectors))
    expected = torch.autograd.grad(outputs[0, 1], vectors)[0][0]
    assert torch.allclose(found.values, expected) and found.map.shape == (6,)
    whole = integrated(explainer, ids, Target("1", 1))
    empty = net.head(net.stages(torch.zeros_like(vectors)))
    change = float((outputs - empty)[0, 1].detach())
    assert math.isclose(float(whole.map.sum()), change, rel_tol=2e-3)
    assert bool((whole.map[4:] == 0).all())  # padding is the baseline itself


def test_map_of_a_millionth_has_the_scale_of_a_millionth():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).double()
    with torch.no_grad():
        net[1].weight.fill_(1e-6)
    found = gradient(Explainer(net, (1, 2, 2)), images((1, 1, 2, 2)), Target("0", 0))
    assert found.scale == pytest.approx(1e-6)
