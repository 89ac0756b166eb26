import pytest
import torch
from torch import nn

from neocog.training.optim.lamb import LAMB

SHAPES = [(4, 3, 3, 3), (5, 7), (6,), ()]


def published(w, m, v, g, t, *, lr, betas, eps, decay, layerwise):
    """Algorithm 2 of the paper, one layer; in float64."""
    first, second = betas
    m = first * m + (1 - first) * g
    v = second * v + (1 - second) * g**2
    r = (m / (1 - first**t)) / ((v / (1 - second**t)).sqrt() + eps)
    u = r + decay * w
    ratio = w.norm() / u.norm() if layerwise else 1.0
    return w - lr * ratio * u, m, v


@pytest.mark.parametrize("layerwise", [True, False])
@pytest.mark.parametrize(("betas", "decay"), [((0.9, 0.999), 0.1), ((0.0, 0.5), 0.0)])
def test_updates_are_those_of_the_paper(layerwise, betas, decay):
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in SHAPES]
    optimizer = LAMB([{"params": weights, "layerwise": layerwise}], 0.1, betas, 1e-6, decay)
    expected = [(w.detach().clone(), torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    for t in range(1, 6):
        rate = optimizer.param_groups[0]["lr"] = 0.1 / t
        for i, weight in enumerate(weights):
            weight.grad = torch.randn_like(weight)
            settings = {"lr": rate, "betas": betas, "eps": 1e-6, "decay": decay, "layerwise": layerwise}
            expected[i] = published(*expected[i], weight.grad, t, **settings)
        optimizer.step()
    for weight, (value, _, _) in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.detach(), value, rtol=1e-11, atol=1e-13)


def test_without_its_ratio_it_is_adamw():
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    lamb = LAMB([{"params": [ours], "layerwise": False}], 0.02, eps=1e-8, weight_decay=0.1)
    oracle = torch.optim.AdamW([theirs], 0.02, eps=1e-8, weight_decay=0.1)
    for _ in range(4):
        ours.grad = torch.randn(5, 3)
        theirs.grad = ours.grad.clone()
        lamb.step()
        oracle.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_an_update_is_as_long_as_rate_times_weights():
    weights = [nn.Parameter(torch.full((4,), size)) for size in (1.0, 100.0)]
    optimizer = LAMB(weights, 0.25)
    for weight in weights:
        weight.grad = torch.ones(4)
    optimizer.step()
    torch.testing.assert_close(weights[0].detach(), torch.full((4,), 0.75))
    torch.testing.assert_close(weights[1].detach(), torch.full((4,), 75.0))


def test_each_parameter_counts_its_own_steps_in_a_tensor():
    early, late = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = LAMB([early, late], 0.1)
    for step in range(3):
        early.grad = torch.ones(3)
        late.grad = torch.ones(3) if step == 2 else None
        optimizer.step()
    assert optimizer.state[early]["step"].item() == 3
    assert optimizer.state[late]["step"].item() == 1
    torch.testing.assert_close(late.detach(), torch.full((3,), 0.9))  # as in anyone's first step
