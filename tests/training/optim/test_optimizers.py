import pytest
import torch
from pydantic import ValidationError
from torch import nn

from neocog import create_model
from neocog.training import Training
from neocog.training.optim.lookahead import lookahead
from neocog.training.optim.optimizers import FIELDS, OptimizerConfig, make_optimizer, set_rate
from neocog.training.optim.sam import perturb_weights
from neocog.training.state import build_seeded

RULES = sorted(FIELDS)
RESNET = "stages.1.0"  # the first of two blocks in the second of four stages: the third of eight


def small():
    return build_seeded(
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)),
        seed=1,
    )


def by_name(model, optimizer):
    """Parameter name -> the group that it is in."""
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return {name: groups[id(p)] for name, p in model.named_parameters()}


def advance(training, config, steps):
    """So many steps as the loop makes them, with inputs that follow from the step's number."""
    for _ in range(steps):
        step = training.state.step
        images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(step))
        set_rate(training.optimizer, config.lr / (1 + step))
        training.optimizer.zero_grad()
        training.model(images).square().mean().backward()
        if config.sam_rho:
            with perturb_weights(training.model, training.optimizer, config.sam_rho):
                training.model(images).square().mean().backward()
        with lookahead(training.optimizer, step, config.lookahead_steps, config.lookahead_alpha):
            training.optimizer.step()
        training.state.step += 1
    return training


@pytest.mark.parametrize("rho", [0.0, 0.05])
@pytest.mark.parametrize("rule", RULES)
def test_five_and_five_steps_are_ten(rule, rho):
    config = OptimizerConfig(
        name=rule, lr=0.05, weight_decay=0.01, decay="weights", bias_lr_factor=2, layer_decay=0.8, sam_rho=rho,
        lookahead_steps=3,
    )  # fmt: skip
    whole = advance(Training(small(), config), config, 10)
    first = advance(Training(small(), config), config, 5)
    saved = {key: value.detach().clone() for key, value in first.tensors().items()}
    assert any(key.endswith("/slow") for key in saved)
    second = Training(small(), config)
    second.restore(saved, first.state.to_json())
    advance(second, config, 5)
    ends = whole.tensors(), second.tensors()
    assert ends[0].keys() == ends[1].keys()
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_lowers_a_loss(rule):
    config = OptimizerConfig(name=rule, lr=2.0 if rule == "lars" else 0.02, trust=0.02)
    training = Training(small(), config)
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = training.model(images).square().mean().item()
    for _ in range(20):
        training.optimizer.zero_grad()
        training.model(images).square().mean().backward()
        training.optimizer.step()
    assert training.model(images).square().mean().item() < 0.5 * before


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw"])
def test_plain_settings_make_one_fused_group(rule):
    model = create_model("lenet5_relu")
    (group,) = make_optimizer(model, OptimizerConfig(name=rule, lr=0.3, weight_decay=0.1)).param_groups
    assert group["fused"] and group["weight_decay"] == 0.1 and group["lr"] == 0.3 and group["lr_factor"] == 1
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw", "muon", "lamb"])
def test_decay_of_weights_leaves_vectors_alone(rule):
    model = small()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make_optimizer(model, OptimizerConfig(name=rule, lr=0.1, weight_decay=0.5, decay="weights"))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, start[name]) == (name not in ("0.weight", "4.weight")), name


def test_decay_acts_on_everything_by_default():
    model = small()
    optimizer = make_optimizer(model, OptimizerConfig(lr=0.1, weight_decay=0.5))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5]


def test_blocks_and_vectors_have_their_own_rates():
    model = create_model("resnet18", num_classes=3)
    config = OptimizerConfig(lr=0.2, layer_decay=0.5, bias_lr_factor=3)
    optimizer = make_optimizer(model, config)
    groups = by_name(model, optimizer)
    assert groups["head.2.weight"]["lr"] == pytest.approx(0.2)
    assert groups["head.2.bias"]["lr"] == pytest.approx(0.6)
    names = [name for name in groups if name.startswith(RESNET)]
    factors = {name: 0.5 ** (9 - 3) * (1 if "weight" in name and model.get_parameter(name).ndim > 1 else 3)
               for name in names}  # fmt: skip
    assert {name: groups[name]["lr_factor"] for name in names} == pytest.approx(factors)
    set_rate(optimizer, 1.0)
    assert {name: groups[name]["lr"] for name in names} == pytest.approx(factors)
    assert {groups[name]["lr_factor"] for name in groups if name.startswith("stem")} == {0.5**9, 3 * 0.5**9}


@pytest.mark.parametrize("rule", ["lars", "lamb"])
def test_vectors_have_no_ratio(rule):
    model = create_model("resnet18", num_classes=3)
    groups = by_name(model, make_optimizer(model, OptimizerConfig(name=rule)))
    assert {name: group["layerwise"] for name, group in groups.items()} == {
        name: p.ndim > 1 for name, p in model.named_parameters()
    }


def test_muon_separates_filters_from_other_parameters_in_each_group():
    model = create_model("mobilenet_v2", num_classes=10)
    hidden = list(model.stages.parameters())
    config = OptimizerConfig(name="muon", weight_decay=0.1, decay="weights", layer_decay=0.9)
    groups = by_name(model, make_optimizer(model, config, hidden))
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            expected = module.weight.requires_grad and name.startswith("stages") and getattr(module, "groups", 1) == 1
            assert groups[f"{name}.weight"]["muon"] == expected, name
            assert groups[f"{name}.weight"]["weight_decay"] == 0.1, name
        elif isinstance(module, nn.BatchNorm2d):
            assert not groups[f"{name}.weight"]["muon"]
            assert groups[f"{name}.weight"]["weight_decay"] == 0.0


def test_settings_without_effect_are_named_with_their_reason():
    always = {"decay", "lookahead_alpha"}
    assert set(OptimizerConfig().ignored()) == {"betas", "eps", "trust"} | always
    assert set(OptimizerConfig(name="adam").ignored()) == {"momentum", "nesterov", "trust"} | always
    assert set(OptimizerConfig(name="muon").ignored()) == {"nesterov", "trust"} | always
    assert set(OptimizerConfig(name="lars").ignored()) == {"nesterov", "betas", "eps"} | always
    assert set(OptimizerConfig(name="lamb").ignored()) == {"momentum", "nesterov", "trust"} | always
    assert set(OptimizerConfig(name="lamb", weight_decay=0.1, lookahead_steps=5).ignored()).isdisjoint(always)
    reasons = OptimizerConfig(name="lamb").ignored()
    assert reasons["trust"] == "lamb has no trust"
    assert reasons["decay"] == "optimizer.weight_decay is 0"
    assert reasons["lookahead_alpha"] == "optimizer.lookahead_steps is 0"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trust": 0}, "greater than 0"),
        ({"decay": "biases"}, "'all' or 'weights'"),
        ({"bias_lr_factor": 0}, "greater than 0"),
        ({"layer_decay": 1.5}, "less than or equal to 1"),
        ({"sam_rho": -1}, "greater than or equal to 0"),
        ({"lookahead_steps": -1}, "greater than or equal to 0"),
        ({"lookahead_alpha": 1}, "less than 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        OptimizerConfig(**settings)
