import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neocog.training.optim.clipping import clip_adaptively


def brute_force(weight, gradient, clipping, eps):
    """Equation 3 on lists of numbers, row by row."""

    def norm(numbers):
        return math.sqrt(sum(number * number for number in numbers))

    count = len(weight) if weight.ndim > 1 else 1
    rows = zip(weight.reshape(count, -1).tolist(), gradient.reshape(count, -1).tolist(), strict=True)
    clipped = []
    for w, g in rows:
        limit = clipping * max(norm(w), eps)
        clipped.append([number * limit / norm(g) if norm(g) > limit else number for number in g])
    return torch.tensor(clipped, dtype=weight.dtype).reshape(weight.shape)


def network():
    convolutions = [nn.Conv2d(2, 4, 3, groups=2), nn.Conv1d(4, 3, 2, bias=False), nn.ConvTranspose2d(4, 3, 2)]
    model = nn.ModuleList([*convolutions, nn.BatchNorm2d(4), nn.Linear(3, 5)]).double()
    model.scalar = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
    return model


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from([0.001, 0.01, 0.5]), st.sampled_from([1e-3, 1.0]))
def test_each_row_is_clipped_as_by_a_loop_over_numbers(seed, clipping, eps):
    torch.manual_seed(seed)
    model = network()
    expected = []
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * torch.rand(()) * 0.1
        expected.append(brute_force(parameter.detach(), parameter.grad, clipping, eps))
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    assert clip_adaptively(model.parameters(), clipping, eps) is None
    for parameter, weight, clipped in zip(model.parameters(), weights, expected, strict=True):
        torch.testing.assert_close(parameter.grad, clipped, rtol=1e-12, atol=0)
        assert torch.equal(parameter, weight)


def test_small_gradients_keep_their_bits():
    layer = nn.Linear(8, 8)
    layer.weight.grad = layer.weight.detach() * 0.009
    before = layer.weight.grad.clone()
    clip_adaptively(layer.parameters())
    assert torch.equal(layer.weight.grad, before)


def test_zero_weights_learn_and_zero_gradients_stay():
    weight = torch.zeros(2, 3, requires_grad=True)
    weight.grad = torch.tensor([[0.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    clip_adaptively([weight], clipping=0.1, eps=0.01)
    torch.testing.assert_close(weight.grad, torch.tensor([[0.0, 0.001, 0.0], [0.0, 0.0, 0.0]]))


def test_parameters_not_passed_or_without_gradient_are_left_alone():
    body, classifier = nn.Linear(2, 2, bias=False), nn.Linear(2, 2)
    for parameter in (body.weight, classifier.weight):
        parameter.grad = torch.ones(2, 2)
    clip_adaptively([*body.parameters(), classifier.bias])
    assert body.weight.grad.max() < 0.1
    assert torch.equal(classifier.weight.grad, torch.ones(2, 2)) and classifier.bias.grad is None
    clip_adaptively([])


@pytest.mark.parametrize("limits", [{"clipping": 0.0}, {"eps": -1e-3}])
def test_limits_are_above_zero(limits):
    with pytest.raises(ValueError, match="clipping and eps must be above 0. Received: clipping="):
        clip_adaptively([], **limits)
