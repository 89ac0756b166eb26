import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neocog.errors import ConfigError, GeometryError
from neocog.reference import (
    avg_pool,
    avg_pool_backward,
    distance_weights,
    global_avg_pool,
    global_avg_pool_backward,
    global_max_pool,
    lp_pool,
    lp_pool_backward,
    max_pool,
    max_pool_backward,
    unpool,
    unpool_backward,
    weighted_pool,
    weighted_pool_backward,
)

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LP = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
PLAIN, DILATED = st.just(1), st.integers(1, 3)


@st.composite
def cases(draw, dilation=PLAIN):
    """Maps and windows of one to three dimensions: overlapping ones, ones with gaps, ones that reach over the end."""
    num = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(num))

    size, stride = each(1, 3), each(1, 4)
    dilations = tuple(draw(dilation) for _ in range(num))
    wide = [d * (k - 1) + 1 for k, d in zip(size, dilations, strict=True)]
    padding = tuple(draw(st.integers(0, k // 2)) for k in size)
    spatial = tuple(max(1, w - 2 * p) + draw(st.integers(0, 5)) for w, p in zip(wide, padding, strict=True))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = generator.normal(size=(draw(st.integers(1, 2)), draw(st.integers(1, 2)), *spatial))
    return x, size, stride, padding, dilations, draw(st.booleans())


def random_like(array):
    return np.random.default_rng(0).normal(size=array.shape)


def gradient(y, x, delta):
    return torch.autograd.grad(y, x, torch.from_numpy(delta))[0].numpy()


@settings(max_examples=300)
@given(cases(dilation=DILATED))
def test_max_pooling_agrees_with_torch_winners_included(case):
    x, size, stride, padding, dilation, ceil_mode = case
    tensor = torch.from_numpy(x).requires_grad_()
    expected, indices = MAX[x.ndim - 2](tensor, size, stride, padding, dilation, ceil_mode, return_indices=True)
    assume(torch.isfinite(expected).all())  # where a dilated window reads padding alone, torch gives minus infinity
    y, winners = max_pool(x, size, stride, padding, dilation, ceil_mode)
    assert np.array_equal(y, expected.detach().numpy())
    assert np.array_equal(winners, indices.numpy())
    delta = random_like(y)
    found = max_pool_backward(delta, winners, x.shape)
    np.testing.assert_allclose(found, gradient(expected, tensor, delta), rtol=0, atol=1e-10)


def test_of_equal_samples_the_first_wins_and_padding_never():
    x = np.zeros((1, 1, 4, 4))
    _, indices = F.max_pool2d(torch.from_numpy(x), 3, 1, 1, return_indices=True)
    assert np.array_equal(max_pool(x, 3, 1, 1)[1], indices.numpy())
    y, winners = max_pool(np.full((1, 1, 3), -np.inf), size=2, stride=1, padding=1)
    assert (y == -np.inf).all()
    assert winners.tolist() == [[[0, 0, 1, 2]]]


@settings(max_examples=300)
@given(cases(), st.booleans())
def test_average_pooling_agrees_with_torch(case, count_include_pad):
    x, size, stride, padding, _, ceil_mode = case
    # In three dimensions torch refuses windows larger than the map even where padding makes room for them.
    assume(x.ndim < 5 or all(k <= i for k, i in zip(size, x.shape[2:], strict=True)))
    tensor = torch.from_numpy(x).requires_grad_()
    expected = AVG[x.ndim - 2](tensor, size, stride, padding, ceil_mode, count_include_pad)
    y = avg_pool(x, size, stride, padding, ceil_mode, count_include_pad)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    delta = random_like(y)
    found = avg_pool_backward(delta, x.shape, size, stride, padding, ceil_mode, count_include_pad)
    np.testing.assert_allclose(found, gradient(expected, tensor, delta), rtol=0, atol=1e-10)


@given(cases(), st.sampled_from([1.0, 2.0, 3.0, 5.0]))
def test_pooling_by_norms_agrees_with_torch(case, p):
    x, size, stride, _, _, _ = case
    assume(all(k <= i for k, i in zip(size, x.shape[2:], strict=True)))
    if p != 2:
        x = np.abs(x)  # torch takes no magnitudes, so odd powers of negative samples cancel there
    tensor = torch.from_numpy(x).requires_grad_()
    sizes = (size, stride) if x.ndim > 3 else (size[0], stride[0])
    expected = LP[x.ndim - 2](tensor, p, *sizes)
    y = lp_pool(x, size, stride, p=p)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    delta = random_like(y)
    found = lp_pool_backward(delta, x, size, stride, p=p)
    np.testing.assert_allclose(found, gradient(expected, tensor, delta), rtol=0, atol=1e-10)


@given(cases(dilation=DILATED), st.sampled_from([1.0, 1.5, 2.0, 4.0]))
def test_pooling_by_norms_with_padding_agrees_with_norms_of_windows(case, p):
    """torch has no such padding, so the oracle is torch's norm of each window, gathered from padded maps."""
    x, size, stride, padding, dilation, ceil_mode = case
    try:
        y = lp_pool(x, size, stride, padding, dilation, ceil_mode, p)
    except GeometryError:  # a dilated window may read padding alone
        assume(False)
    tensor = torch.from_numpy(x).requires_grad_()
    wide = [side for q in reversed(padding) for side in (q, q + 12)]
    windows = F.pad(tensor, wide)
    for axis, (k, s, d) in enumerate(zip(size, stride, dilation, strict=True)):
        windows = windows.unfold(axis + 2, d * (k - 1) + 1, s)[..., ::d]
    windows = windows[:, :, *(slice(0, o) for o in y.shape[2:])].flatten(x.ndim)
    expected = torch.linalg.vector_norm(windows, p, dim=-1)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    delta = random_like(y)
    found = lp_pool_backward(delta, x, size, stride, padding, dilation, ceil_mode, p)
    np.testing.assert_allclose(found, gradient(expected, tensor, delta), rtol=0, atol=1e-10)


def test_norms_of_zeros_and_of_huge_samples():
    assert lp_pool(np.zeros((1, 1, 4)), 2).tolist() == [[[0, 0]]]
    assert lp_pool_backward(np.ones((1, 1, 2)), np.zeros((1, 1, 4)), 2).tolist() == [[[0, 0, 0, 0]]]
    assert np.isclose(lp_pool(np.full((1, 1, 2), 1e200), 2), np.sqrt(2) * 1e200).all()


@given(cases(), st.sampled_from([0.3, 1.0, 50.0]))
def test_weighted_pooling_agrees_with_a_depthwise_convolution_of_torch(case, sigma):
    x, size, stride, padding, _, _ = case
    tensor, num = torch.from_numpy(x).requires_grad_(), x.ndim - 2
    centred = np.indices(size) - (np.array(size).reshape(-1, *[1] * num) - 1) / 2
    weights = np.exp(-(centred**2).sum(0) / (2 * sigma**2))
    assume(weights.sum() > 1e-100)
    kernel = torch.from_numpy(weights / weights.sum()).expand(x.shape[1], 1, *size)
    expected = CONV[num](tensor, kernel, stride=stride, padding=padding, groups=x.shape[1])
    y = weighted_pool(x, size, stride, padding, sigma)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    delta = random_like(y)
    found = weighted_pool_backward(delta, x.shape, size, stride, padding, sigma)
    np.testing.assert_allclose(found, gradient(expected, tensor, delta), rtol=0, atol=1e-10)


def test_weights_fall_with_distance_and_sum_to_1():
    weights = distance_weights((3, 3), sigma=1.0)
    assert np.isclose(weights.sum(), 1)
    assert weights[1, 1] > weights[0, 1] == weights[1, 0] > weights[0, 0]
    assert np.allclose(distance_weights((4,), sigma=1e6), 0.25)
    assert distance_weights((3,), sigma=1e-3).tolist() == [0, 1, 0]
    assert distance_weights((2,), sigma=1e-3).tolist() == [0.5, 0.5]


@given(cases())
def test_global_pooling_agrees_with_torch(case):
    x, num = case[0], case[0].ndim - 2
    axes = tuple(range(2, 2 + num))
    tensor = torch.from_numpy(x).requires_grad_()
    mean, highest = tensor.mean(axes, keepdim=True), tensor.amax(axes, keepdim=True)
    y, winners = global_max_pool(x)
    np.testing.assert_allclose(global_avg_pool(x), mean.detach().numpy(), rtol=0, atol=1e-10)
    assert np.array_equal(y, highest.detach().numpy())
    delta = random_like(y)
    spread = global_avg_pool_backward(delta, x.shape)
    np.testing.assert_allclose(spread, gradient(mean, tensor, delta), rtol=0, atol=1e-10)
    routed = max_pool_backward(delta, winners, x.shape)
    np.testing.assert_allclose(routed, gradient(highest, tensor, delta), rtol=0, atol=1e-10)


@given(cases())
def test_unpooling_by_switches_agrees_with_torch(case):
    x, size, stride, padding, _, _ = case
    y, winners = max_pool(x, size, stride, padding)
    places = torch.from_numpy(winners)
    values = torch.from_numpy(y).requires_grad_()
    expected = UNPOOL[x.ndim - 2](values, places, size, stride, padding, output_size=x.shape[2:]) if torch_takes(
        x, y, size, stride, padding) else None  # fmt: skip
    found = unpool(y, winners, x.shape[2:])
    assert np.array_equal(found[found != 0], x[found != 0])
    assert set(np.flatnonzero(found[0, 0])) == set(winners[0, 0].ravel())
    if expected is not None:
        assert np.array_equal(found, expected.detach().numpy())
        delta = random_like(found)
        back = unpool_backward(delta, winners)
        np.testing.assert_allclose(back, gradient(expected, values, delta), rtol=0, atol=1e-10)


def torch_takes(x, y, size, stride, padding):
    """torch asks that the output size be within a stride of that which undoes the pooling."""
    rows = zip(x.shape[2:], y.shape[2:], size, stride, padding, strict=True)
    return all(abs(i - ((o - 1) * s + k - 2 * p)) < s for i, o, k, s, p in rows)


def test_what_lies_between_windows_is_lost_by_unpooling():
    x = np.arange(1.0, 5).reshape(1, 1, 4)
    y, winners = max_pool(x, 2)
    assert unpool(y, winners, (4,)).tolist() == [[[0, 2, 0, 4]]]
    assert unpool_backward(x, winners).tolist() == [[[2, 4]]]


X = np.zeros((1, 1, 4, 4))
WINNERS = np.zeros((1, 1, 2, 2), np.int64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_pool(X[0, 0], 2), r"Maps are \(N, C, \*spatial\).*Received: \(4, 4\)"),
        (lambda: max_pool(X, 5), "must not be larger than its padded input. Received: kernel_size=5 for 4"),
        (lambda: max_pool(X, 2, padding=2), "padding must be at most half of a pooling window. Received: padding=2"),
        (lambda: max_pool(X, (2, 2, 2)), r"size is one whole number, or one for each of the 2.*\(2, 2, 2\)"),
        (lambda: avg_pool(X, 2, stride=0), "stride must be a whole number of at least 1. Received: 0"),
        (lambda: max_pool(X[..., :2], (1, 2), padding=(0, 1), dilation=(1, 3)), "read at least one sample.*padding=1"),
        (lambda: max_pool_backward(X, WINNERS, X.shape), r"delta must have the shape of the winners, \(1, 1, 2, 2\)"),
        (lambda: max_pool_backward(X[..., :2, :2], WINNERS + 16, X.shape), r"map of \(4, 4\), 0..15. Received: 16..16"),
        (lambda: avg_pool_backward(X, X.shape, 2), r"shape of the output, \(1, 1, 2, 2\). Received: \(1, 1, 4, 4\)"),
        (lambda: lp_pool_backward(X, X, 2), r"shape of the output, \(1, 1, 2, 2\)"),
        (lambda: weighted_pool_backward(X, X.shape, 2), r"shape of the output, \(1, 1, 2, 2\)"),
        (lambda: global_avg_pool_backward(X, X.shape), r"shape of the output, \(1, 1, 1, 1\)"),
        (lambda: unpool(X, WINNERS, (4, 4)), r"y must have the shape of the winners"),
        (
            lambda: unpool(X[..., :2, :2], WINNERS - 1, (4, 4)),
            r"0..15. Received: -1..-1. Give the shape of the pooling",
        ),
        (lambda: unpool_backward(X[..., :1, :1], WINNERS + 1), r"map of \(1, 1\), 0..0. Received: 1..1"),
    ],
)
def test_what_does_not_belong_together_is_refused(call, message):
    with pytest.raises(GeometryError, match=message):
        call()


def test_norms_below_1_and_weights_without_width_are_refused():
    with pytest.raises(ConfigError, match="p of a p-norm must be at least 1. Received: 0.5"):
        lp_pool(X, 2, p=0.5)
    with pytest.raises(ConfigError, match="sigma must be above 0. Received: 0.0"):
        weighted_pool(X, 2, sigma=0.0)
