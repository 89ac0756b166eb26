"""Updates of ours that torch has not fused change nothing if a flag on the device says so."""

import pytest
import torch
from torch import nn

from neocog.torch_private import step_unless
from neocog.training.optim import OptimizerConfig, lookahead, make_optimizer
from neocog.training.optim.skipping import held_tensors, skip_if

SKIP, GO = torch.tensor(1.0), torch.tensor(0.0)


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def give_gradients(network, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator) * scale


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon", "lars", "lamb"])
def test_skipped_step_leaves_weights_and_state_and_a_flag_of_zero_leaves_no_trace(name):
    config = OptimizerConfig(name=name, lr=0.1, weight_decay=0.01)
    skipping, plain = model(), model()
    one, other = make_optimizer(skipping, config), make_optimizer(plain, config)
    for step in range(4):
        if step:  # in the first step there is no state yet
            give_gradients(skipping, step, torch.nan)
            before = [tensor.clone() for tensor in held_tensors(one)]
            step_unless(one, SKIP)
            assert all(torch.equal(a, b) for a, b in zip(before, held_tensors(one), strict=True))
        for network, optimizer in ((skipping, one), (plain, other)):
            give_gradients(network, step)
            step_unless(optimizer, GO) if optimizer is one else optimizer.step()
    for a, b in zip(held_tensors(one), held_tensors(other), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["muon", "lars", "lamb"])
def test_state_of_a_skipped_first_step_is_as_new(name):
    config = OptimizerConfig(name=name, lr=0.1)
    skipping, plain = model(), model()
    one, other = make_optimizer(skipping, config), make_optimizer(plain, config)
    give_gradients(skipping, 0, torch.nan)
    step_unless(one, SKIP)
    for network, optimizer in ((skipping, one), (plain, other)):
        give_gradients(network, 1)
        optimizer.step()
    for a, b in zip(held_tensors(one), held_tensors(other), strict=True):
        assert torch.equal(a, b)


def test_lookahead_of_a_skipped_step_keeps_slow_and_fast_weights():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.grad = torch.tensor([-1.0])
    with lookahead(optimizer, 0, steps=2):
        optimizer.step()
    with lookahead(optimizer, 1, steps=2, skip=SKIP):
        pass
    assert weight.item() == 2.0 and optimizer.state[weight]["slow"].item() == 1.0
    with lookahead(optimizer, 1, steps=2, skip=GO):
        pass
    assert weight.item() == 1.5 and optimizer.state[weight]["slow"].item() == 1.5


def test_without_a_flag_nothing_is_copied():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    before = weight.data_ptr()
    weight.grad = torch.ones(1)
    with skip_if(None, optimizer):
        optimizer.step()
    assert weight.item() == -1.0 and weight.data_ptr() == before
