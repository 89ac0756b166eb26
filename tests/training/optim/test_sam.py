import copy

import pytest
import torch
from torch import nn

from neocog.training.optim.sam import ascend, descend, keep_buffers, perturb_weights


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2)).double()


def loss_of(model, inputs):
    return model(inputs).square().mean()


def test_two_steps_are_those_of_the_paper():
    """w <- w - lr * gradient(w + rho g / |g|), with the norm over all parameters, written out on a copy."""
    model, rho = network(), 0.3
    oracle = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        inputs = torch.randn(8, 4, dtype=torch.float64)
        optimizer.zero_grad()
        loss_of(model, inputs).backward()
        with perturb_weights(model, optimizer, rho):
            loss_of(model, inputs).backward()
        optimizer.step()

        weights = dict(oracle.named_parameters())
        first = torch.autograd.grad(loss_of(oracle, inputs), list(weights.values()))
        length = torch.cat([g.flatten() for g in first]).norm()
        risen = {name: w.detach() + rho * g / length for (name, w), g in zip(weights.items(), first, strict=True)}
        twin = copy.deepcopy(oracle)
        twin.load_state_dict(risen, strict=False)
        second = torch.autograd.grad(loss_of(twin, inputs), list(twin.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(weights.values(), second, strict=True):
                weight -= 0.1 * gradient
    for name, value in oracle.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-12, atol=1e-14, msg=name)


def test_weights_are_restored_bit_for_bit_even_after_an_error():
    model = network().float()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = copy.deepcopy(model.state_dict())
    loss_of(model, torch.randn(8, 4)).backward()
    statistics = model[1].running_mean.clone()
    with pytest.raises(RuntimeError, match="in the middle"), perturb_weights(model, optimizer, rho=1e3):
        assert not torch.equal(model[0].weight, before["0.weight"])
        assert model[0].weight.grad is None
        raise RuntimeError("in the middle")
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
    assert torch.equal(model[1].running_mean, statistics)


def test_perturbation_has_length_rho():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loss_of(model, torch.randn(8, 4, dtype=torch.float64)).backward()
    before = ascend(optimizer, 0.25)
    assert sum((p.detach() - old).square().sum() for p, old in before).sqrt().item() == pytest.approx(0.25)
    descend(before)
    assert all(torch.equal(p, old) for p, old in before)


def test_zero_gradient_moves_nothing_and_missing_gradient_is_skipped():
    flat, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    flat.grad = torch.zeros(3)
    optimizer = torch.optim.SGD([flat, unused], 0.1)
    assert len(ascend(optimizer, 0.1)) == 1
    assert flat.tolist() == unused.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("momentum", [0.1, None])
def test_norm_statistics_are_kept_and_outputs_unchanged(momentum):
    model = nn.Sequential(nn.BatchNorm2d(3, momentum=momentum), nn.InstanceNorm2d(3, track_running_stats=True))
    frozen = nn.BatchNorm2d(3).eval()
    images = torch.randn(4, 3, 5, 5) + 2
    expected, of_frozen = copy.deepcopy(model)(images), frozen(images)
    before = copy.deepcopy(model.state_dict())
    with keep_buffers(nn.ModuleList([model, frozen])):
        assert torch.equal(model(images), expected)
        assert torch.equal(frozen(images), of_frozen)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    model(images)
    assert not torch.equal(before["0.running_mean"], model[0].running_mean)
