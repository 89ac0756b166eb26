import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from neocog import reference
from neocog.errors import GeometryError

VALUES = st.floats(-30, 30, allow_subnormal=False)
ARRAYS = npst.arrays(np.float64, npst.array_shapes(min_dims=2, max_dims=4, max_side=4), elements=VALUES)
ORACLES = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: torch.softmax(x, 1),
    "log_softmax": lambda x: torch.log_softmax(x, 1),
}


@pytest.mark.parametrize("name", ORACLES)
@given(x=ARRAYS, seed=st.integers(0, 2**32))
def test_values_and_derivatives_agree_with_torch(name, x, seed):
    tensor = torch.from_numpy(x).requires_grad_()
    expected = ORACLES[name](tensor)
    delta = np.random.default_rng(seed).normal(size=x.shape)
    slope = torch.autograd.grad(expected, tensor, torch.from_numpy(delta))[0]
    np.testing.assert_allclose(getattr(reference, name)(x), expected.detach().numpy(), rtol=0, atol=1e-10)
    found = getattr(reference, f"{name}_backward")(delta, x)
    np.testing.assert_allclose(found, slope.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ORACLES)
def test_nothing_overflows(name):
    x = np.array([[-1e4, 0.0, 1e4], [800.0, 799.0, -800.0]])
    with np.errstate(all="raise", under="ignore"):
        found = getattr(reference, name)(x)
        slopes = getattr(reference, f"{name}_backward")(np.ones_like(x), x)
    assert np.isfinite(found).all()
    assert np.isfinite(slopes).all()
    np.testing.assert_allclose(found, ORACLES[name](torch.from_numpy(x)).numpy(), rtol=0, atol=1e-10)


def test_the_slope_of_a_leaky_relu_and_the_axis_of_a_softmax_are_kept():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    assert np.array_equal(reference.leaky_relu(x, 0.3)[x < 0], 0.3 * x[x < 0])
    assert np.array_equal(reference.leaky_relu_backward(np.ones_like(x), x, 0.3), np.where(x > 0, 1, 0.3))
    for axis in range(3):
        tensor = torch.from_numpy(x).requires_grad_()
        for name, oracle in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax)):
            expected = oracle(tensor, axis)
            slope = torch.autograd.grad(expected, tensor, torch.from_numpy(x**2))[0]
            np.testing.assert_allclose(getattr(reference, name)(x, axis), expected.detach().numpy(), atol=1e-12)
            found = getattr(reference, f"{name}_backward")(x**2, x, axis)
            np.testing.assert_allclose(found, slope.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", ORACLES)
def test_deltas_have_the_shape_of_the_input(name):
    with pytest.raises(GeometryError, match=r"delta must have the shape of the input, \(2, 3\). Received: \(3, 2\)"):
        getattr(reference, f"{name}_backward")(np.zeros((3, 2)), np.zeros((2, 3)))
