import pytest
import torch
from torch import nn

from neocog.training.optim.lookahead import lookahead
from neocog.training.optim.optimizers import OptimizerConfig, make_optimizer

RULES = ["sgd", "adam", "adamw", "muon", "lars", "lamb"]


def gradient(step, shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(step), dtype=torch.float64)


def built(rule, shape=(4, 5)):
    weight = nn.Parameter(gradient(99, shape))
    return weight, make_optimizer(nn.ParameterList([weight]), OptimizerConfig(name=rule, lr=0.1))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", [1, 3])
def test_weights_are_those_of_the_papers_loop(rule, k):
    weight, optimizer = built(rule)
    other, inner = built(rule)
    slow, alpha = other.detach().clone(), 0.3
    for outer in range(2):
        for step in range(outer * k, (outer + 1) * k):
            other.grad = gradient(step, (4, 5))
            inner.step()
        slow = slow + alpha * (other.detach() - slow)
        with torch.no_grad():
            other.copy_(slow)
    for step in range(2 * k):
        weight.grad = gradient(step, (4, 5))
        with lookahead(optimizer, step, k, alpha):
            optimizer.step()
    torch.testing.assert_close(weight.detach(), other.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(optimizer.state[weight]["slow"], slow, rtol=1e-12, atol=0)


def test_zero_steps_do_nothing():
    weight, optimizer = built("adam")
    other, plain = built("adam")
    for step in range(3):
        weight.grad, other.grad = gradient(step, (4, 5)), gradient(step, (4, 5))
        with lookahead(optimizer, step, 0):
            optimizer.step()
        plain.step()
    assert torch.equal(weight, other)
    assert "slow" not in optimizer.state[weight]


def test_late_gradient_starts_slow_weights_at_current_ones():
    early, late = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))
    optimizer = make_optimizer(nn.ParameterList([early, late]), OptimizerConfig(name="adam", lr=0.5))
    for step in range(4):
        early.grad = torch.ones(2)
        late.grad = torch.ones(2) if step >= 2 else None
        with lookahead(optimizer, step, 4, 0.5):
            optimizer.step()
    torch.testing.assert_close(early.detach(), torch.full((2,), -1.0))  # half of four moves by 0.5
    torch.testing.assert_close(late.detach(), torch.full((2,), 0.5))  # half of two


def test_lookahead_gathers_on_request():
    weight, optimizer = built("sgd")
    weight.grad = gradient(0, (4, 5))
    with lookahead(optimizer, 0, 100, 0.5, gather=True):
        optimizer.step()
    assert torch.equal(weight, optimizer.state[weight]["slow"])
