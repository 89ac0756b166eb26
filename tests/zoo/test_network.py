import copy

import pytest
import torch
from torch import nn

from neocog import create_model
from neocog.errors import ConfigError
from neocog.zoo import Network, replace_head


class Small(Network):
    """Two stages of convolution and batch norm."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        stages = [nn.Sequential(nn.Conv2d(4, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU()) for _ in range(2)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def step(model):
    """One step of training that moves all that may move."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.5, weight_decay=0.1)
    model.train()
    model(torch.randn(8, 1, 20, 20)).square().sum().backward()
    optimizer.step()


def moved(model, before):
    """The parts of which some tensor has changed."""
    after = model.state_dict()
    return {
        key.rpartition(".")[0].rpartition(".")[0] or key for key in before if not torch.equal(before[key], after[key])
    }


def test_it_is_head_of_stages_of_stem_and_features_are_the_stages():
    model, images = Small().eval(), torch.randn(2, 1, 20, 20)
    first, second = model.features(images)
    assert torch.equal(first, model.stages[0](model.stem(images)))
    assert torch.equal(second, model.stages[1](first))
    assert torch.equal(model(images), model.head(second))


@pytest.mark.parametrize(
    ("frozen", "moves"),
    [(None, {"stem.weight"}), (0, {"stages.0", "stages.1", "head"}), (1, {"stages.1", "head"}), (2, {"head"})],
)
def test_frozen_parts_keep_their_weights_and_statistics(frozen, moves):
    model = Small()
    if frozen is not None:
        model.freeze(frozen)
    before = copy.deepcopy(model.state_dict())
    step(model)
    found = moved(model, before)
    assert moves <= found if frozen is None else found == moves


def test_without_a_number_the_whole_backbone_is_frozen_and_can_be_set_free():
    model = Small().freeze()
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"head.2.weight", "head.2.bias"}
    assert not model.stages.training or not model.stages[1].training
    model.freeze(1)  # the second stage is free again
    assert model.stages[1][0].weight.requires_grad and model.stages[1].training and not model.stages[0].training
    model.unfreeze()
    assert all(p.requires_grad for p in model.parameters()) and all(m.training for m in model.modules())
    assert not any(m.training for m in model.freeze().eval().modules())


def test_more_stages_than_there_are():
    with pytest.raises(ValueError, match=r"Small has 2 stages\. Received: freeze\(3\)"):
        Small().freeze(3)


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "googlenet", "squeezenet1_1"])
def test_a_new_head_changes_only_what_depends_on_the_classes(name):
    model = create_model(name, num_classes=4)
    before = copy.deepcopy(model.state_dict())
    same = create_model(name, num_classes=4).state_dict()
    replaced = replace_head(model, 6).eval()
    assert replaced is model
    after = model.state_dict()
    changed = {key for key in before if before[key].shape != after[key].shape}
    assert changed and all(torch.equal(before[key], after[key]) for key in before.keys() - changed)
    size = 64 if name in ("googlenet", "squeezenet1_1") else 32
    assert model(torch.randn(1, model.build_spec.in_channels, size, size)).shape[:2] == (1, 6)
    assert same.keys() == after.keys()
    replace_head(model, 6)  # the same number: fresh values all the same
    fresh = model.state_dict()
    assert name == "lenet5" or not all(torch.equal(fresh[key], after[key]) for key in changed)


def test_a_new_head_has_device_type_and_mode_of_the_network():
    model = replace_head(create_model("lenet5_relu").double().eval(), 3)
    assert model.head[-1].weight.dtype == torch.float64
    assert not any(module.training for module in model.modules())


def test_only_networks_of_the_catalogue_know_their_head():
    with pytest.raises(ConfigError, match=r"that create_model built can get another head\. Received: Small\."):
        replace_head(Small(), 3)


def test_networks_without_a_layer_for_classes_are_rebuilt():
    with pytest.raises(ConfigError, match=r"neocognitron has no layer for its classes\. Build it again"):
        replace_head(create_model("neocognitron"), 3)
    with pytest.raises(ConfigError, match=r"go_policy has no layer for its classes\. Build it again"):
        replace_head(create_model("go_policy"), 81)


@pytest.mark.parametrize("setting", ["num_classes", "in_channels"])
def test_no_classes_or_channels(setting):
    with pytest.raises(ConfigError, match=rf"{setting} must be at least 1\. Received: 0\."):
        create_model("resnet18", **{setting: 0})
