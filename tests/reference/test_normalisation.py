import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import ConfigError, GeometryError
from neocog.reference import (
    RunningStatistics,
    batch_norm,
    batch_norm_backward,
    dropout,
    dropout_backward,
    linear,
    linear_backward,
    local_response_norm,
    local_response_norm_backward,
)
from neocog.rng import uniform


@st.composite
def maps(draw, min_dims=2):
    """Values (N, C, ...) with zero to three axes of positions, at least two for each channel."""
    shape = (draw(st.integers(2, 4)), draw(st.integers(1, 7)))
    shape += tuple(draw(st.lists(st.integers(1, 4), min_size=min_dims - 2, max_size=3)))
    return np.random.default_rng(draw(st.integers(0, 2**32))).normal(1.0, 2.0, size=shape)


@given(maps(), st.booleans(), st.sampled_from([0.1, 0.9]))
def test_batch_norm_agrees_with_torch_in_both_forms(x, training, momentum):
    generator = np.random.default_rng(0)
    gamma, beta, mean = generator.normal(size=(3, x.shape[1]))
    running = RunningStatistics(mean, generator.uniform(0.5, 2, size=x.shape[1]))
    theirs = [torch.from_numpy(array.copy()) for array in (running.mean, running.var)]
    tensors = [torch.from_numpy(array).requires_grad_() for array in (x, gamma, beta)]
    expected = F.batch_norm(tensors[0], *theirs, *tensors[1:], training=training, momentum=momentum)
    y, after = batch_norm(x, gamma, beta, running, training=training, momentum=momentum)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    for ours, their in zip((after.mean, after.var), theirs, strict=True):
        np.testing.assert_allclose(ours, their.numpy(), rtol=0, atol=1e-10)
    delta = generator.normal(size=x.shape)
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(delta))
    found = batch_norm_backward(delta, x, gamma, running, training=training)
    for ours, their in zip(found, gradients, strict=True):
        np.testing.assert_allclose(ours, their.numpy(), rtol=0, atol=1e-10)


def test_batch_norm_begins_with_mean_0_and_variance_1_and_changes_nothing_that_it_is_given():
    x = np.random.default_rng(0).normal(3, 2, size=(8, 2, 5))
    module = torch.nn.BatchNorm1d(2).double()
    module(torch.from_numpy(x))
    _, running = batch_norm(x, np.ones(2), np.zeros(2))
    np.testing.assert_allclose(running.mean, module.running_mean.numpy(), atol=1e-12)
    np.testing.assert_allclose(running.var, module.running_var.numpy(), atol=1e-12)
    before = running.mean.copy()
    _, later = batch_norm(x, np.ones(2), np.zeros(2), running)
    assert np.array_equal(running.mean, before)
    assert not np.array_equal(later.mean, before)
    _, frozen = batch_norm(x, np.ones(2), np.zeros(2), running, training=False)
    assert frozen is running


@given(maps(min_dims=3), st.integers(1, 8), st.sampled_from([(1e-4, 0.75, 1.0), (0.5, 0.5, 2.0), (2.0, 1.0, 0.3)]))
def test_response_normalisation_agrees_with_torch_in_both_parametrisations(x, size, constants):
    alpha, beta, k = constants
    tensor = torch.from_numpy(x).requires_grad_()
    expected = F.local_response_norm(tensor, size, alpha, beta, k)
    delta = np.random.default_rng(0).normal(size=x.shape)
    slope = torch.autograd.grad(expected, tensor, torch.from_numpy(delta))[0].numpy()
    for form, strength in (("torch", alpha), ("alexnet", alpha / size)):
        y = local_response_norm(x, size, strength, beta, k, form)
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
        found = local_response_norm_backward(delta, x, size, strength, beta, k, form)
        np.testing.assert_allclose(found, slope, rtol=0, atol=1e-10)


def test_response_normalisation_is_the_sum_of_the_paper():
    x = np.random.default_rng(0).normal(size=(1, 9, 1))
    expected = np.zeros(9)
    for i in range(9):
        near = x[0, max(0, i - 2) : min(8, i + 2) + 1, 0]
        expected[i] = x[0, i, 0] / (2 + 1e-4 * (near**2).sum()) ** 0.75
    found = local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2, form="alexnet")
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=0, atol=1e-14)


@given(maps(), st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.integers(0, 2**32))
def test_dropout_is_what_autograd_makes_of_its_mask(x, p, seed):
    y, mask = dropout(x, p, seed=seed, epoch=3)
    assert set(np.unique(mask)) <= {0.0, 1 / (1 - p) if p < 1 else 0.0}
    tensor = torch.from_numpy(x).requires_grad_()
    expected = tensor * torch.from_numpy(mask)
    assert np.array_equal(y, expected.detach().numpy())
    slope = torch.autograd.grad(expected, tensor, torch.from_numpy(x**2))[0]
    assert np.array_equal(dropout_backward(x**2, mask), slope.numpy())


def test_dropout_drops_the_share_that_it_should_by_the_key_of_each_sample():
    x = np.ones((50, 40, 25))
    y, mask = dropout(x, 0.3, seed=0)
    assert abs((mask == 0).mean() - 0.3) < 0.01
    assert abs(y.mean() - 1) < 0.02
    drawn = uniform(0, epoch=0, samples=[7], purpose="dropout", num=1000).reshape(40, 25)
    assert np.array_equal(mask[7] == 0, drawn < 0.3)
    alone = dropout(x[:2], 0.3, seed=0, samples=[7, 3])[1]
    assert np.array_equal(alone, mask[[7, 3]])
    for other in ({"seed": 1}, {"seed": 0, "epoch": 1}, {"seed": 0, "purpose": "second"}):
        assert not np.array_equal(dropout(x, 0.3, **other)[1], mask)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
def test_linear_agrees_with_torch(n, d_in, d_out, seed):
    generator = np.random.default_rng(seed)
    arrays = [generator.normal(size=shape) for shape in ((n, d_in), (d_out, d_in), (d_out,))]
    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
    expected = F.linear(*tensors)
    np.testing.assert_allclose(linear(*arrays), expected.detach().numpy(), rtol=0, atol=1e-10)
    delta = generator.normal(size=(n, d_out))
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(delta))
    for ours, theirs in zip(linear_backward(delta, *arrays[:2]), gradients, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-10)


X, ONES = np.zeros((2, 3, 4)), np.ones(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: batch_norm(X[:1, :, :1], ONES, ONES),
            r"need more than one value. Received: x \(1, 3, 1\).*larger batch",
        ),
        (
            lambda: batch_norm(X, ONES[:2], ONES),
            r"gamma has one value for each channel of x.*gamma \(2,\), x \(2, 3, 4\)",
        ),
        (lambda: batch_norm(X, ONES, np.ones((1, 3))), r"beta has one value for each channel.*beta \(1, 3\)"),
        (
            lambda: batch_norm(X, ONES, ONES, RunningStatistics(ONES[:1], ONES), training=False),
            r"running.mean has one value for each channel.*\(1,\)",
        ),
        (lambda: batch_norm_backward(X[:1], X, ONES), r"shape of the input, \(2, 3, 4\). Received: \(1, 3, 4\)"),
        (lambda: local_response_norm(X[0], 5), r"Responses are \(N, C, \*positions\). Received: \(3, 4\)"),
        (lambda: local_response_norm_backward(X[:1], X, 5), r"shape of the input, \(2, 3, 4\)"),
        (lambda: dropout_backward(X[:1], X), r"delta must have the shape of the mask, \(2, 3, 4\)"),
        (lambda: linear(X, np.zeros((2, 4))), r"read inputs \(N, D_in\). Received: x \(2, 3, 4\), w \(2, 4\). Flatten"),
        (lambda: linear(X[0], np.zeros((2, 3))), r"Received: x \(3, 4\), w \(2, 3\)"),
        (
            lambda: linear(X[0], np.zeros((2, 4)), ONES),
            r"one value for each of the 2 output channels. Received: \(3,\)",
        ),
        (lambda: linear_backward(X[0], X[0], np.zeros((2, 4))), r"shape of the output, \(3, 2\). Received: \(3, 4\)"),
    ],
)
def test_what_does_not_belong_together_is_refused(call, message):
    with pytest.raises(GeometryError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batch_norm(X, ONES, ONES, training=False), "Frozen batch normalisation needs running statistics"),
        (lambda: batch_norm_backward(X, X, ONES, training=False), "needs running statistics. Received: none"),
        (lambda: dropout(X, 1.5, seed=0), r"p of dropout is a probability, 0..1. Received: 1.5"),
        (lambda: local_response_norm(X, 5, form="alex"), "no form 'alex' of local response.*Did you mean 'alexnet'"),
        (lambda: local_response_norm(X, 0), "size must be at least 1 channel. Received: 0"),
    ],
)
def test_settings_that_are_wrong_are_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
