import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neocog.errors import ConfigError, GeometryError
from neocog.reference import conv_transpose, conv_transpose_backward, cross_correlate, toeplitz

CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def cases(draw):
    """Input, kernels, bias and settings of any transposed convolution that leaves something."""
    num = draw(st.integers(1, 3))
    groups, c_in, c_out = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(num))

    size, kernel, stride, dilation, padding = each(1, 4), each(1, 3), each(1, 3), each(1, 3), each(0, 3)
    rows = list(zip(size, kernel, stride, dilation, padding, strict=True))
    assume(all(s * (i - 1) + d * (k - 1) + 1 - 2 * p > 0 for i, k, s, d, p in rows))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for _, _, s, d, _ in rows)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = generator.normal(size=(draw(st.integers(1, 2)), groups * c_in, *size))
    w, bias = generator.normal(size=(groups * c_in, c_out, *kernel)), generator.normal(size=groups * c_out)
    options = {"stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation, "groups": groups}
    return x, w, bias, options


@settings(max_examples=300)
@given(cases())
def test_both_methods_and_all_gradients_agree_with_torch(case):
    x, w, bias, options = case
    tensors = [torch.from_numpy(array).requires_grad_() for array in (x, w, bias)]
    expected = CONV_TRANSPOSE[x.ndim - 2](*tensors, **options)
    for method in ("stuffing", "toeplitz"):
        found = conv_transpose(x, w, bias, **options, method=method)
        assert found.shape == tuple(expected.shape)
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=1e-10)
    delta = np.random.default_rng(0).normal(size=found.shape)
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(delta))
    for ours, theirs in zip(conv_transpose_backward(delta, x, w, **options), gradients, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-10)


def test_uneven_padding_cuts_each_side_by_its_own_number():
    x, w = np.random.default_rng(0).normal(size=(1, 2, 5)), np.random.default_rng(1).normal(size=(2, 3, 4))
    whole = conv_transpose(x, w, stride=2)
    for method in ("stuffing", "toeplitz"):
        cut = conv_transpose(x, w, stride=2, padding=[(1, 3)], method=method)
        np.testing.assert_allclose(cut, whole[:, :, 1:-3], rtol=0, atol=1e-12)
    tensors = [torch.from_numpy(array).requires_grad_() for array in (x, w)]
    expected = F.conv_transpose1d(*tensors, stride=2)[:, :, 1:-3]
    delta = np.random.default_rng(2).normal(size=cut.shape)
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(delta))
    for ours, theirs in zip(conv_transpose_backward(delta, x, w, stride=2, padding=[(1, 3)]), gradients, strict=False):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-10)


def test_it_is_the_transpose_of_the_convolution_and_not_its_inverse():
    generator = np.random.default_rng(0)
    x, y, w = generator.normal(size=(1, 2, 9, 8)), generator.normal(size=(1, 3, 5, 4)), generator.normal(
        size=(3, 2, 3, 3))  # fmt: skip
    options = {"stride": 2, "padding": 1}
    down, up = cross_correlate(x, w, **options), conv_transpose(y, w, **options, output_padding=(0, 1))
    assert down.shape == y.shape
    assert up.shape == x.shape
    assert np.isclose((down * y).sum(), (x * up).sum(), rtol=0, atol=1e-10)  # <M x, y> = <x, M^T y>
    matrix = toeplitz(w, x.shape[1:], **options)
    np.testing.assert_allclose(matrix.T @ y.ravel(), up.ravel(), rtol=0, atol=1e-12)
    assert not np.allclose(conv_transpose(down, w, **options, output_padding=(0, 1)), x)


X, W = np.zeros((1, 4, 5)), np.zeros((4, 2, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X, W[:2]), {}, r"are \(C_in, C_out/groups, \*kernel\).*Received: x \(1, 4, 5\), w \(2, 2, 3\)"),
        ((X, W[0]), {}, r"are \(C_in, C_out/groups, \*kernel\).*w \(2, 3\)"),
        ((X, W), {"groups": 3}, "groups must divide in_channels. Received: in_channels=4, groups=3"),
        ((X, W, np.zeros(3)), {}, r"one value for each of the 2 output channels. Received: \(3,\)"),
        ((X, W), {"padding": "same"}, "is given in numbers. Received: 'same', which depends"),
        ((X, W), {"padding": 4}, r"must leave something. Received: 7 samples, from which padding 4 \+ 4 is cut off"),
        ((X, W), {"output_padding": 1}, "output_padding must be smaller than stride or dilation"),
        ((X, W), {"stride": (1, 1)}, r"stride is one whole number.*Received: \(1, 1\)"),
    ],
)
def test_what_does_not_belong_together_is_refused(arguments, options, message):
    with pytest.raises(GeometryError, match=message):
        conv_transpose(*arguments, **options)


def test_unknown_methods_and_wrong_deltas_are_refused():
    with pytest.raises(ConfigError, match="no method 'stuff' of transposed convolution. Did you mean 'stuffing'"):
        conv_transpose(X, W, method="stuff")
    with pytest.raises(GeometryError, match=r"shape of the output, \(1, 2, 7\). Received: \(1, 2, 5\)"):
        conv_transpose_backward(np.zeros((1, 2, 5)), X, W)
