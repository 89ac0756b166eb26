"""Kernels against the weights that a hand-written forward pass uses."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.filters import first_filters, kernels


class Functional(nn.Module):
    """Convolutions without modules: one with a parameter, one with weights that are made in the forward pass."""

    def __init__(self):
        super().__init__()
        self.bank, self.raw = nn.Parameter(torch.randn(6, 2, 3, 3)), nn.Parameter(torch.randn(4, 6, 1, 1))

    def forward(self, x):
        standard = (self.raw - self.raw.mean((1, 2, 3), keepdim=True)) / self.raw.std((1, 2, 3), keepdim=True)
        return F.conv2d(F.relu(F.conv2d(x, self.bank), inplace=True), standard).mean((2, 3))


def test_kernels_of_functional_convolutions_are_those_of_the_forward_pass():
    torch.manual_seed(0)
    net = Functional()
    explainer = Explainer(net, (2, 8, 8))
    first, second = explainer.layers.convolutions()
    assert torch.equal(kernels(explainer, first), net.bank)
    standard = (net.raw - net.raw.mean((1, 2, 3), keepdim=True)) / net.raw.std((1, 2, 3), keepdim=True)
    assert torch.equal(kernels(explainer, second), standard)
    assert first_filters(explainer)[0] is first


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), (4, 9)),
        (nn.Conv2d(4, 6, (3, 2), groups=2), (4, 9, 9)),
        (nn.Linear(5, 3), (5,)),
        (weight_norm(nn.Conv2d(2, 3, 3)), (2, 6, 6)),
    ],
)
def test_kernels_of_modules(module, shape):
    explainer = Explainer(nn.Sequential(module), shape)
    found = first_filters(explainer)[1]
    assert torch.allclose(found, module.weight.detach())


def test_kernels_of_a_transposed_convolution_are_turned():
    """A transposed convolution of an input that is 1 at one place paints the kernel of its channel, group by group."""
    torch.manual_seed(1)
    conv = nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False)
    explainer = Explainer(nn.Sequential(conv), (4, 5, 5))
    found = kernels(explainer, explainer.layers[0])
    assert found.shape == (6, 2, 3, 3)
    for channel in range(4):
        spot = torch.zeros(1, 4, 5, 5)
        spot[0, channel, 0, 0] = 1
        painted = conv(spot)[0, :, :3, :3].detach()
        group, within = divmod(channel, 2)
        rows = slice(3 * group, 3 * group + 3)
        assert torch.allclose(found[rows, within], painted[rows])
        assert not painted[: 3 * group].any()


def test_a_layer_without_weights_is_refused_with_those_that_have_some():
    explainer = Explainer(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), (1, 6, 6))
    with pytest.raises(ConfigError, match=r"kernels\. Received: 1, relu\. Choose one of: 0\."):
        kernels(explainer, explainer.layers["1"])
    with pytest.raises(ConfigError, match="Filters are those of a convolution or a dense layer"):
        first_filters(Explainer(nn.Sequential(nn.MaxPool2d(2)), (1, 6, 6)))


def test_the_model_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True)).train()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    explainer = Explainer(net, (1, 6, 6))
    kernels(explainer, explainer.layers["0"])
    assert net.training and all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
