"""Captum as a second implementation: equal where it is right, and where it is not, that is written down here.

Captum replaces gradients by hooks on `nn.ReLU` modules. It can't see a ReLU that is a function, and returns the plain
gradient in its place without a word of it.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.explaining.cams import gradcam
from neocog.explaining.explainer import Explainer
from neocog.explaining.gradients import deconvnet, gradient, guided, integrated
from neocog.explaining.occlusion import occlusion
from neocog.explaining.rules import Rules
from neocog.tasks.target import Target
from tests.support.explained import branched, images

pytestmark = pytest.mark.filterwarnings("ignore")
captum = pytest.importorskip("captum.attr", minversion=None)
TARGET = Target("1", 1)


class Modules(nn.Module):
    """`branched` with a module for each ReLU, as Captum needs it."""

    def __init__(self) -> None:
        super().__init__()
        net = branched()
        self.first, self.second, self.norm, self.dense = net.first, net.second, net.norm, net.dense
        self.one, self.two, self.pool = nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.one(self.first(x))
        return self.dense(self.pool(self.two(self.norm(self.second(maps)) + maps)).flatten(1))


@pytest.fixture
def net() -> nn.Module:
    return Modules().eval()


@pytest.fixture
def explainer(net) -> Explainer:
    return Explainer(net, (2, 8, 8))


def peer(theirs, inputs: Tensor, **given: object) -> Tensor:
    return theirs.attribute(inputs.clone().requires_grad_(), target=1, **given)[0].detach()


def test_gradients_agree(net, explainer):
    inputs = images()
    expected = peer(captum.Saliency(net), inputs, abs=False)
    assert torch.allclose(gradient(explainer, inputs, TARGET).values, expected)
    expected = peer(captum.IntegratedGradients(net), inputs, n_steps=24, method="riemann_middle")
    assert torch.allclose(integrated(explainer, inputs, TARGET, steps=24).values, expected)


def test_guided_backpropagation_and_deconvnet_agree_on_modules(net, explainer):
    inputs = images()
    expected = peer(captum.GuidedBackprop(net), inputs)
    assert torch.allclose(guided(explainer, inputs, TARGET).values, expected)
    expected = peer(captum.Deconvolution(net), inputs)
    for pooling in ("add", "overwrite"):
        found = deconvnet(explainer, inputs, TARGET, rules=Rules("deconvnet", pooling))
        assert torch.allclose(found.values, expected)


def test_gradcam_agrees(net, explainer):
    inputs = images()
    expected = captum.LayerGradCam(net, net.two).attribute(inputs, target=1, relu_attributions=True)
    found = gradcam(explainer, inputs, TARGET, explainer.layers["two"])
    assert torch.allclose(found.values, expected[0, 0])


@pytest.mark.parametrize(("window", "stride"), [((3, 3), (2, 2)), ((2, 5), (1, 3)), ((4, 4), (4, 4))])
def test_occlusion_agrees(net, explainer, window, stride):
    inputs = images()
    shapes = {"sliding_window_shapes": (2, *window), "strides": (2, *stride)}
    expected = captum.Occlusion(net).attribute(inputs, target=1, **shapes).double()  # it counts in float32
    found = occlusion(explainer, inputs, TARGET, window=window, stride=stride)
    assert torch.allclose(found.map, expected[0, 0], atol=1e-6) and torch.allclose(expected[0, 0], expected[0, 1])


@pytest.mark.parametrize("act", [F.relu, torch.relu, Tensor.relu], ids=["F.relu", "torch.relu", "Tensor.relu"])
@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_captum_returns_the_plain_gradient_for_functional_relus(act, name):
    net, inputs = branched(act).eval(), images()
    explainer = Explainer(net, (2, 8, 8))
    theirs = peer(getattr(captum, name)(net), inputs)
    assert torch.allclose(theirs, gradient(explainer, inputs, TARGET).values)
    ours = {"GuidedBackprop": guided, "Deconvolution": deconvnet}[name](explainer, inputs, TARGET)
    assert (ours.values - theirs).abs().max() > 1e-2
    modules = Explainer(Modules().eval(), (2, 8, 8))
    same = {"GuidedBackprop": guided, "Deconvolution": deconvnet}[name](modules, inputs, TARGET)
    assert torch.allclose(ours.values, same.values)  # the same function has the same map


def test_captum_has_no_unpooling_by_switches():
    net = nn.Sequential(nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(4, 2)).double()
    with torch.no_grad():
        net[2].weight.copy_(torch.arange(1.0, 9.0).view(2, 4))
    inputs = torch.zeros(1, 1, 5, 5).double()
    inputs[0, 0, 2, 2] = 1
    explainer = Explainer(net, (1, 5, 5))
    theirs = peer(captum.Deconvolution(net), inputs)
    assert theirs.sum() == 5 + 6 + 7 + 8  # added where windows overlap
    assert deconvnet(explainer, inputs, TARGET).values.sum() == 8
