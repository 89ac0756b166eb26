"""The layers of a network as it runs."""

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining.layers import Layers
from neocog.explaining.tape import run
from neocog.planning import shared_copy
from tests.support.explained import branched, images


class Twice(nn.Module):
    """One module used twice, and a block with several functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.act(self.conv(self.act(self.conv(x)))), 2).flatten(1)


def test_layers_are_named_by_module_and_use():
    names = [layer.name for layer in Layers.of(Twice(), (1, 4, 4))]
    assert names == ["conv", "act", "conv#2", "act#2", ":avg_pool2d"]


def test_functional_layers_have_names_and_shapes():
    found = Layers.of(branched(), (2, 8, 8))
    assert [(layer.name, layer.shape) for layer in found] == [
        ("first", (4, 8, 8)), (":relu", (4, 8, 8)), ("second", (4, 8, 8)), ("norm", (4, 8, 8)), (":add", (4, 8, 8)),
        (":relu#2", (4, 8, 8)), (":max_pool2d", (4, 4, 4)), ("dense", (3,)),
    ]  # fmt: skip
    assert found.last_maps().name == ":max_pool2d"
    assert [layer.name for layer in found.convolutions()] == ["first", "second"]


def test_every_layer_is_kept_with_the_shape_of_the_plan():
    net = branched()
    found = Layers.of(net, (2, 8, 8))
    tape = run(shared_copy(net), images(), found)
    assert {layer.name: tuple(tape.values[layer].shape[1:]) for layer in found} == {
        layer.name: layer.shape for layer in found
    }


def test_module_name_means_its_last_layer():
    found = Layers.of(nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten()), (1, 6, 6))
    assert found["0"].name == "0.1"
    assert found["0.0"].name == "0.0"
    assert found[-1].name == "0.1"


def test_unknown_layer_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"layer is named.*received|Received: 'secnd'.*Did you mean 'second'\?"):
        Layers.of(branched(), (2, 8, 8))["secnd"]


def test_network_without_places_is_refused_for_maps():
    with pytest.raises(ConfigError, match="Class activation maps need a layer whose outputs have places") as caught:
        Layers.of(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4)).last_maps()
    assert "gradient, smoothgrad, integrated or occlusion" in str(caught.value)


def test_an_unknown_layer_is_refused_with_each_name_once():
    found = Layers.of(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), (1, 8, 8))
    with pytest.raises(ConfigError, match=r"A layer is named as .* Received: 'nope'\. Known: 0, 1\.$"):
        found["nope"]
