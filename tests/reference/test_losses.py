import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from neocog.errors import DataError, GeometryError
from neocog.reference import (
    binary_cross_entropy,
    cross_entropy,
    entropy,
    kl_divergence,
    one_hot,
    softmax,
    softmax_cross_entropy,
)


@st.composite
def rows(draw):
    """Logits (N, K), target distributions (N, K) with zeros among them, and labels (N,)."""
    n, k = draw(st.integers(1, 5)), draw(st.integers(2, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = generator.normal(scale=5, size=(n, k))
    targets = generator.dirichlet(np.ones(k), size=n)
    targets[0, 0] = 0
    targets /= targets.sum(1, keepdims=True)
    return logits, targets, generator.integers(0, k, n)


def check(found, expected, tensor):
    loss, gradient = found
    assert abs(loss - expected.item()) < 1e-10
    np.testing.assert_allclose(gradient, torch.autograd.grad(expected, tensor)[0].numpy(), rtol=0, atol=1e-10)


@given(rows())
def test_softmax_cross_entropy_agrees_with_torch_for_labels_and_distributions(drawn):
    logits, targets, labels = drawn
    for wanted in (targets, labels):
        tensor = torch.from_numpy(logits).requires_grad_()
        check(softmax_cross_entropy(logits, wanted), F.cross_entropy(tensor, torch.from_numpy(wanted)), tensor)


@given(rows())
def test_losses_of_probabilities_agree_with_torch(drawn):
    logits, targets, labels = drawn
    probs = softmax(logits)
    for wanted in (targets, one_hot(labels, logits.shape[1])):
        tensor, theirs = torch.from_numpy(probs).requires_grad_(), torch.from_numpy(wanted)
        expected = -torch.special.xlogy(theirs, tensor).sum(1).mean()
        loss, gradient = cross_entropy(probs, wanted)
        assert abs(loss - expected.item()) < 1e-10
        scale = 1e-10 * np.maximum(1, 1 / probs)  # t / q is huge where q is small
        assert (np.abs(gradient - torch.autograd.grad(expected, tensor)[0].numpy()) < scale).all()
        divergence = F.kl_div(tensor.log(), theirs, reduction="batchmean")
        assert abs(kl_divergence(probs, wanted)[0] - divergence.item()) < 1e-10
        assert np.array_equal(kl_divergence(probs, wanted)[1], gradient)
    assert cross_entropy(probs, labels)[0] == cross_entropy(probs, one_hot(labels, logits.shape[1]))[0]


@given(rows())
def test_binary_cross_entropy_agrees_with_torch(drawn):
    logits, targets, _ = drawn
    tensor = torch.from_numpy(logits).requires_grad_()
    expected = F.binary_cross_entropy_with_logits(tensor, torch.from_numpy(targets))
    check(binary_cross_entropy(logits, targets), expected, tensor)


@given(rows())
def test_cross_entropy_and_divergence_differ_by_the_entropy_of_the_targets(drawn):
    logits, targets, _ = drawn
    probs = softmax(logits)
    crossed, divergence = cross_entropy(probs, targets), kl_divergence(probs, targets)
    assert abs(crossed[0] - divergence[0] - stats.entropy(targets, axis=1).mean()) < 1e-10
    assert abs(entropy(targets) - stats.entropy(targets, axis=1).mean()) < 1e-12
    assert np.array_equal(crossed[1], divergence[1])
    assert divergence[0] >= 0
    assert abs(kl_divergence(targets, targets)[0]) < 1e-12


def test_cross_entropy_and_divergence_have_the_same_minimiser_the_targets():
    targets = np.array([[0.7, 0.2, 0.1]])
    minima = [
        softmax(optimize.minimize(lambda z, loss=loss: loss(softmax(z[None]), targets)[0], np.zeros(3)).x[None])
        for loss in (cross_entropy, kl_divergence)
    ]
    np.testing.assert_allclose(minima[0], minima[1], atol=1e-6)
    np.testing.assert_allclose(minima[0], targets, atol=1e-5)
    # Through softmax the common gradient is p - t, which vanishes there and nowhere else.
    assert np.abs(softmax_cross_entropy(np.log(targets), targets)[1]).max() < 1e-12


def test_large_scores_overflow_nowhere():
    with np.errstate(all="raise", under="ignore"):
        loss, gradient = softmax_cross_entropy([[1e4, -1e4]], [1])
        binary, slope = binary_cross_entropy([[1e4, -1e4]], [[0.0, 1.0]])
    assert (loss, binary) == (2e4, 1e4)
    assert gradient.tolist() == [[1.0, -1.0]]
    assert slope.tolist() == [[0.5, -0.5]]


def test_a_wanted_class_of_probability_0_is_infinitely_wrong():
    loss, gradient = cross_entropy([[1.0, 0.0]], [[0.5, 0.5]])
    assert loss == np.inf
    assert gradient.tolist() == [[-0.5, -np.inf]]
    assert cross_entropy([[1.0, 0.0]], [0])[0] == 0


@given(st.integers(1, 6), st.lists(st.integers(0, 5), max_size=6))
def test_one_hot_agrees_with_torch(extra, labels):
    num = max(labels, default=0) + extra
    expected = F.one_hot(torch.tensor(labels, dtype=torch.int64), num).numpy()
    assert np.array_equal(one_hot(np.array(labels, np.int64), num), expected)


LOGITS = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (DataError, lambda: one_hot([0, 3, -1], 3), r"Labels must be in 0..2. Received: 3 at 1; 2 out of range"),
        (DataError, lambda: one_hot([0.0], 3), r"whole numbers \(N,\), one for each sample. Received: float64 \(1,\)"),
        (DataError, lambda: softmax_cross_entropy(LOGITS, [0, 5]), r"Labels must be in 0..2. Received: 5 at 1"),
        (DataError, lambda: cross_entropy(LOGITS, LOGITS), r"a sum of 1. Received: values from 0, sums 0..0"),
        (DataError, lambda: entropy([[1.5, -0.5]]), r"no value below 0.*values from -0.5, sums 1..1"),
        (DataError, lambda: binary_cross_entropy([0.0], [2.0]), r"Targets are probabilities, 0..1. Received: 2..2"),
        (GeometryError, lambda: kl_divergence(LOGITS, [0, 1, 2]), r"labels \(2,\) or distributions \(2, 3\).*\(3,\)"),
        (GeometryError, lambda: softmax_cross_entropy(LOGITS[0], [0]), r"Scores are \(N, K\).*Received: \(3,\)"),
        (GeometryError, lambda: binary_cross_entropy(LOGITS, [0.0]), r"one target. Received: logits \(2, 3\), targets"),
    ],
)
def test_targets_that_are_none_are_refused(error, call, message):
    with pytest.raises(error, match=message):
        call()
