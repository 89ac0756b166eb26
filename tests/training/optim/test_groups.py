import pytest
import torch
from torch import nn

from neocog import create_model
from neocog.training.optim.groups import levels, split_groups, vectors
from neocog.training.optim.optimizers import OptimizerConfig, make_optimizer

NETWORKS = ["lenet5", "resnet18", "mobilenet_v2", "convnext_tiny", "googlenet", "unet", "vgg11_bn", "text_cnn"]


def build(name):
    with torch.device("meta"):
        return create_model(name)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rule", ["sgd", "muon", "lars"])
def test_every_parameter_is_in_one_group(name, rule):
    model = build(name)
    next(iter(model.head.parameters())).requires_grad_(False)
    config = OptimizerConfig(name=rule, weight_decay=0.1, decay="weights", bias_lr_factor=2, layer_decay=0.5)
    found = [id(p) for group in make_optimizer(model, config).param_groups for p in group["params"]]
    assert len(found) == len(set(found))
    assert set(found) == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", NETWORKS)
def test_levels_rise_from_the_stem_to_the_head(name):
    model = build(name)
    level = levels(model)
    assert set(level) == set(model.parameters())
    stem, stages, head = ([level[p] for p in part.parameters()] for part in (model.stem, model.stages, model.head))
    assert set(stem) <= {0}
    assert stages == sorted(stages)
    assert set(stages) == set(range(1, max(stages) + 1))
    assert set(head) == {max(stages) + 1}


def test_blocks_are_levels_and_bare_layers_join_the_next_block():
    model = build("convnext_tiny")  # stages of 3, 3, 9 and 3 blocks; all but the first begin with a norm and a layer
    level = levels(model)
    assert set(level.values()) == set(range(20))
    patches, block = model.stages[1][1], model.stages[1][2]
    assert level[patches.weight] == level[next(block.parameters())] == 4
    vgg = build("vgg11_bn")  # stages of bare layers
    assert set(levels(vgg).values()) == set(range(len(vgg.stages) + 2))


def test_auxiliary_classifiers_have_the_level_of_the_head():
    model = build("googlenet")
    level = levels(model)
    assert {level[p] for p in model.auxiliary.parameters()} == {level[p] for p in model.head.parameters()}


def test_children_of_other_modules_are_levels():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    assert list(levels(model).values()) == [0, 0, 1, 1, 1, 1]
    model.token = nn.Parameter(torch.zeros(2))
    assert levels(model)[model.token] == 0
    shared = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared[1].weight = shared[0].weight
    assert levels(shared)[shared[1].weight] == 0
    assert set(levels(nn.Linear(2, 2)).values()) == {0}


def test_norms_biases_and_other_rows_of_numbers_are_vectors():
    model = build("convnext_tiny")
    rows = vectors(model)
    names = {name for name, p in model.named_parameters() if p in rows}
    filters = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.ndim > 1
    }
    assert {name for name, _ in model.named_parameters()} - names == filters
    assert "stages.0.0.scale" in names  # of shape (C, 1, 1)
    wide = nn.Sequential(nn.LayerNorm((4, 8, 8)), nn.Linear(8, 1), nn.Embedding(1, 5), nn.PReLU())
    assert sorted(tuple(p.shape) for p in vectors(wide)) == [(1,), (1,), (4, 8, 8), (4, 8, 8)]


def test_groups_keep_the_order_of_first_appearance():
    parameters = [nn.Parameter(torch.zeros(size)) for size in (3, 1, 3, 2)]
    groups = split_groups(parameters, lambda p: {"size": p.numel()})
    assert [group["size"] for group in groups] == [3, 1, 2]
    assert groups[0]["params"][1] is parameters[2]
