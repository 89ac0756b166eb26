import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.training.monitoring.probes import (
    Activations,
    find_stages,
    gradient_norms,
    gradient_sizes,
    layers_without_gradient,
    run_unseen,
)
from neocog.zoo import create_model

IMAGES = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, 3)
    )


def backward(model, images=IMAGES, labels=LABELS):
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()


def test_stages_of_networks():
    googlenet = create_model("googlenet", num_classes=10)
    assert list(find_stages(googlenet)) == ["stem", "stages.0", "stages.1", "stages.2", "head", "auxiliary"]
    assert list(find_stages(nn.Linear(2, 3))) == ["Linear"]


def test_gradient_norms_by_stage_are_those_of_float64():
    model = create_model("resnet18", num_classes=3, in_channels=1)
    backward(model, torch.randn(2, 1, 32, 32), torch.tensor([0, 1]))
    found = gradient_norms(gradient_sizes(model), find_stages(model), "ResNet")
    parts = {"stem": model.stem, "head": model.head} | {f"stages.{i}": stage for i, stage in enumerate(model.stages)}
    assert found.keys() == parts.keys()
    for name, part in parts.items():
        whole = torch.cat([parameter.grad.double().ravel() for parameter in part.parameters()])
        assert math.isclose(found[name], whole.norm().item(), rel_tol=1e-4)


def test_parameters_of_the_network_itself_have_its_name():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.scale = nn.Linear(2, 2), nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * self.linear(x)

    model = Own()
    model(torch.ones(1, 2)).sum().backward()
    found = gradient_norms(gradient_sizes(model), find_stages(model), "Own")
    assert list(found) == ["Own", "linear"]
    assert layers_without_gradient(gradient_sizes(model)) == []


def test_gradients_that_are_absent_sparse_or_tiny():
    embedding = nn.Embedding(5, 2, sparse=True)
    model = nn.Sequential(embedding, nn.Flatten(), nn.Linear(4, 2), nn.Linear(2, 1))
    assert gradient_sizes(model) == {}
    model(torch.tensor([[0, 1]])).sum().backward()
    model[3].weight.requires_grad, model[3].weight.grad = False, None
    assert list(gradient_sizes(model)) == ["2.weight", "2.bias", "3.bias"]
    for parameter in model[2].parameters():
        parameter.grad = torch.full_like(parameter, 1e-30)  # squares of it are zero in float32
    assert layers_without_gradient(gradient_sizes(model)) == []


def test_activation_sizes_are_those_of_float64():
    model = small().eval()
    seen = Activations(model, find_stages(model), dead=True)
    model(IMAGES)
    seen.remove()
    expected, maps = {}, IMAGES.double()
    for name, layer in model.double().named_children():
        maps = layer(maps)
        expected[name] = maps.square().mean().sqrt().item()
    assert seen.rms() == pytest.approx(expected, rel=1e-5)
    assert seen.dead() == []


def test_probe_leaves_no_hooks_and_the_same_bits():
    plain, watched = small(), small()
    torch.manual_seed(1)
    backward(plain)
    torch.manual_seed(1)
    seen = Activations(watched, find_stages(watched), dead=True)
    backward(watched)
    assert any(module._forward_hooks for module in watched.modules())
    seen.remove()
    seen.remove()
    assert not any(module._forward_hooks for module in watched.modules())
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    count = len(seen.sizes)
    watched(IMAGES)
    assert len(seen.sizes) == count


def test_dead_activation_is_found_and_live_one_is_not():
    model = small()
    seen = Activations(model, {}, dead=True)
    with torch.no_grad():
        model[1].bias.fill_(-100)
    backward(model)
    assert seen.dead() == ["2"]
    assert layers_without_gradient(gradient_sizes(model)) == ["0", "1"]
    seen = Activations(model, {}, dead=True)
    with torch.no_grad():
        model[1].bias[0] = 0  # one channel lives
    backward(model)
    assert seen.dead() == []
    assert layers_without_gradient(gradient_sizes(model)) == []


def test_first_of_several_passes_is_measured_and_one_alive_is_enough():
    relu, dead = nn.ReLU(), nn.ReLU()
    layers = nn.ModuleList([relu, dead])
    seen = Activations(layers, {"relu": relu}, dead=True)
    for value in (-1.0, 2.0, -1.0):
        relu(torch.full((2,), value))
        dead(-torch.ones(2))
    assert seen.dead() == ["1"]
    assert seen.rms() == {"relu": 0.0}


def test_several_outputs_count_by_their_first():
    class Two(nn.Module):
        def forward(self, x):
            return (x, x + 1), x

    two = Two()
    seen = Activations(two, {"two": two, "none": nn.Flatten()}, dead=False)
    two(torch.full((2, 2), 3.0))
    assert seen.rms() == {"two": 3.0}
    two(torch.ones(2, dtype=torch.int64))
    assert seen.rms() == {"two": 3.0}


def test_separate_pass_leaves_no_trace():
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    run_unseen(model, IMAGES)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training and not any(parameter.grad is not None for parameter in model.parameters())


def test_norms_shared_with_other_processes_are_not_run_alone():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.SyncBatchNorm(4))
    seen = Activations(model, find_stages(model), dead=True)
    run_unseen(model, IMAGES)
    seen.remove()
    assert seen.rms() == {} and seen.dead() == []
