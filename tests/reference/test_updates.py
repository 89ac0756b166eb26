import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import ConfigError
from neocog.reference import SGD, Adam, Momentum

RULES = [
    (lambda: SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    (lambda: Momentum(0.1, 0.8), lambda p: torch.optim.SGD(p, 0.1, momentum=0.8)),
    (lambda: Adam(0.1, (0.8, 0.95), 1e-6), lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.95), 1e-6)),
]


@pytest.mark.parametrize(("ours", "theirs"), RULES)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 6))
def test_steps_agree_with_torch(ours, theirs, seed, steps):
    generator = np.random.default_rng(seed)
    weights = [generator.normal(size=shape) for shape in ((3, 2), (4,))]
    first = [w.copy() for w in weights]
    tensors = [torch.from_numpy(w.copy()).requires_grad_() for w in weights]
    rule, optimizer = ours(), theirs(tensors)
    current = weights
    for _ in range(steps):
        gradients = [generator.normal(size=w.shape) for w in weights]
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = torch.from_numpy(gradient)
        optimizer.step()
        current = rule.step(current, gradients)
    for found, tensor in zip(current, tensors, strict=True):
        np.testing.assert_allclose(found, tensor.detach().numpy(), rtol=0, atol=1e-10)
    assert all(np.array_equal(w, before) for w, before in zip(weights, first, strict=True)), "nothing in place"


@pytest.mark.parametrize("make", [SGD, Momentum, Adam])
def test_a_learning_rate_is_above_0(make):
    with pytest.raises(ConfigError, match="lr must be above 0. Received: -0.1"):
        make(-0.1)
