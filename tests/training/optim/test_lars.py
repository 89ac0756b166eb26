import pytest
import torch
from torch import nn

from neocog.training.optim.lars import LARS, trust_ratios

SHAPES = [(4, 3, 3, 3), (5, 7), (6,), ()]


def published(w, m, g, *, lr, momentum, decay, trust, layerwise):
    """Algorithm 1 of the paper, one layer; in float64."""
    rate = trust * w.norm() / (g.norm() + decay * w.norm()) if layerwise else 1.0
    m = momentum * m + lr * rate * (g + decay * w)
    return w - m, m


@pytest.mark.parametrize("layerwise", [True, False])
@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.1), (0.0, 0.0)])
def test_updates_are_those_of_the_paper(layerwise, momentum, decay):
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in SHAPES]
    optimizer = LARS([{"params": weights, "layerwise": layerwise}], 1.0, momentum, decay, trust=0.02)
    expected = [(w.detach().clone(), torch.zeros_like(w)) for w in weights]
    for step in range(4):
        rate = optimizer.param_groups[0]["lr"] = 2.0 - 0.3 * step  # the rate acts before the momentum
        for i, weight in enumerate(weights):
            weight.grad = torch.randn_like(weight)
            settings = {"lr": rate, "momentum": momentum, "decay": decay, "trust": 0.02, "layerwise": layerwise}
            expected[i] = published(*expected[i], weight.grad, **settings)
        optimizer.step()
    for weight, (value, _) in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.detach(), value, rtol=1e-12, atol=1e-14)


def test_a_layer_moves_by_the_same_share_whatever_the_size_of_its_gradient():
    weights = [nn.Parameter(torch.ones(9)) for _ in range(2)]
    optimizer = LARS(weights, 1.0, momentum=0.0, trust=0.01)
    weights[0].grad, weights[1].grad = torch.ones(9), torch.full((9,), 1e6)
    optimizer.step()
    for weight in weights:
        torch.testing.assert_close(weight.detach(), torch.full((9,), 0.99))


def test_zero_weights_learn_and_zero_gradients_do_no_harm():
    zero, still, unused = (nn.Parameter(torch.full((3,), value)) for value in (0.0, 2.0, 5.0))
    optimizer = LARS([zero, still, unused], 0.5, momentum=0.0)
    zero.grad, still.grad = torch.ones(3), torch.zeros(3)
    optimizer.step()
    assert zero.tolist() == [-0.5] * 3
    assert still.tolist() == [2.0] * 3
    assert unused.tolist() == [5.0] * 3
    assert unused not in optimizer.state


def test_ratio_is_one_if_either_norm_is_zero():
    assert trust_ratios(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([0.0, 4.0, 0.0, 4.0])).tolist() == [
        1,
        1,
        1,
        0.5,
    ]
