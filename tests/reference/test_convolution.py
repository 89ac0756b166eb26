import warnings
from typing import NamedTuple

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import ConfigError, GeometryError
from neocog.reference import (
    circulant,
    col2im,
    conv_geometry,
    convolve,
    cross_correlate,
    cross_correlate_backward,
    im2col,
    rotate,
    toeplitz,
    weight_gradient,
    weight_gradient_by_convolution,
    winograd_matrices,
)

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TOLERANCE = {"direct": 1e-10, "im2col": 1e-10, "toeplitz": 1e-10, "fft": 1e-8}


class Case(NamedTuple):
    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def settings(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


DIMS = st.integers(1, 3)


@st.composite
def cases(draw, dims=DIMS):
    """Any convolution in one to three dimensions whose kernel fits."""
    num = draw(dims)
    groups, per_group = draw(st.integers(1, 3)), draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(num))

    kernel, stride, dilation = each(1, 3), each(1, 3), each(1, 3 if num < 3 else 2)
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(num))
    least = [d * (k - 1) + 1 - sum(p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [max(1, low) + draw(st.integers(0, 4)) for low in least]
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = generator.normal(size=(draw(st.integers(1, 2)), groups * per_group, *size))
    c_out = groups * draw(st.integers(1, 2))
    w, bias = generator.normal(size=(c_out, per_group, *kernel)), generator.normal(size=c_out)
    return Case(x, w, bias, stride, padding, dilation, groups)


def by_torch(case, x, w, bias):
    """torch's convolution; it knows no uneven padding, so the input is padded first."""
    flat = [side for pair in reversed(case.padding) for side in pair]
    conv = CONV[x.ndim - 2]
    return conv(F.pad(x, flat), w, bias, stride=case.stride, dilation=case.dilation, groups=case.groups)


@pytest.mark.parametrize("method", TOLERANCE)
@settings(max_examples=300)
@given(case=cases())
def test_every_method_agrees_with_torch(method, case):
    expected = by_torch(case, *map(torch.from_numpy, (case.x, case.w, case.bias))).numpy()
    found = cross_correlate(case.x, case.w, case.bias, **case.settings, method=method)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[method])


@pytest.mark.parametrize("method", ["direct", "im2col"])
@settings(max_examples=300)
@given(case=cases())
def test_gradients_agree_with_autograd(method, case):
    x, w, bias = (torch.from_numpy(array).requires_grad_() for array in (case.x, case.w, case.bias))
    y = by_torch(case, x, w, bias)
    delta = np.random.default_rng(0).normal(size=tuple(y.shape))
    expected = torch.autograd.grad(y, (x, w, bias), torch.from_numpy(delta))
    found = cross_correlate_backward(delta, case.x, case.w, **case.settings, method=method)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == tuple(theirs.shape)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-10)
    geometry = conv_geometry(case.x, case.w, case.stride, case.padding, case.dilation, case.groups)
    flipped = weight_gradient_by_convolution(delta, case.x, geometry, case.groups)
    np.testing.assert_allclose(flipped, expected[1].numpy(), rtol=0, atol=1e-10)


def test_the_weight_gradient_is_the_sum_that_is_written():
    """dE/dw[m, n] = sum_ij delta[i, j] y[i + m, j + n], in loops."""
    generator = np.random.default_rng(0)
    y, delta = generator.normal(size=(6, 7)), generator.normal(size=(4, 5))
    expected = [
        [sum(delta[i, j] * y[i + m, j + n] for i in range(4) for j in range(5)) for n in range(3)] for m in range(3)
    ]
    geometry = conv_geometry(y[None, None], np.zeros((1, 1, 3, 3)), 1, 0, 1, 1)
    found = weight_gradient(delta[None, None], y[None, None], geometry, groups=1)
    np.testing.assert_allclose(found[0, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("method", "tile"), [("winograd2", 2), ("winograd4", 4)])
@given(case=cases(dims=st.just(2)), more=st.integers(0, 8))
def test_winograd_agrees_with_torch(method, tile, case, more):
    generator = np.random.default_rng(more)
    x = np.pad(case.x, ((0, 0), (0, 0), (2, more), (more, 2)), mode="wrap")
    w = generator.normal(size=(*case.w.shape[:2], 3, 3))
    case = case._replace(stride=(1, 1), dilation=(1, 1))
    expected = by_torch(case, *map(torch.from_numpy, (x, w, case.bias))).numpy()
    found = cross_correlate(x, w, case.bias, padding=case.padding, groups=case.groups, method=method)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    a, g, b = winograd_matrices(tile, 3)
    assert (a.shape, g.shape, b.shape) == ((tile, tile + 2), (tile + 2, 3), (tile + 2, tile + 2))


@given(cases())
def test_convolution_is_that_of_scipy(case):
    """One map, one kernel, every overlap; both ways round, for it commutes."""
    signal, kernel = case.x[0, 0], case.w[0, 0]
    expected = scipy.signal.convolve(signal, kernel, mode="full", method="direct")
    found = convolve(signal[None, None], kernel[None, None], padding="full")[0, 0]
    changed = convolve(kernel[None, None], signal[None, None], padding="full")[0, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(changed, expected, rtol=0, atol=1e-12)


@given(cases())
def test_a_convolution_is_a_cross_correlation_with_the_kernel_rotated(case):
    # In two dimensions a rotation by 180 degrees is two by 90.
    if case.w.ndim == 4:
        assert (rotate(case.w) == np.rot90(case.w, 2, axes=(2, 3))).all()
    rotated = case.w[:, :, *[slice(None, None, -1)] * (case.w.ndim - 2)]
    found = convolve(case.x, case.w, case.bias, **case.settings)
    assert np.array_equal(found, cross_correlate(case.x, rotated, case.bias, **case.settings))


@given(cases(), st.integers(1, 3))
def test_a_shifted_input_gives_a_shifted_output(case, shift):
    """Translation equivariance: moving the input by shift * stride moves the output by shift."""
    num = case.x.ndim - 2
    ahead = [(0, 0), (0, 0)] + [(s * shift, 0) for s in case.stride]
    inner = (slice(None), slice(None), *[slice(shift, None)] * num)
    plain = cross_correlate(case.x, case.w, stride=case.stride, dilation=case.dilation, groups=case.groups,
                            padding=[(0, 9)] * num)  # fmt: skip
    moved = cross_correlate(np.pad(case.x, ahead), case.w, stride=case.stride, dilation=case.dilation,
                            groups=case.groups, padding=[(0, 9)] * num)  # fmt: skip
    np.testing.assert_allclose(moved[inner], plain, rtol=0, atol=1e-12)


def test_a_strided_convolution_is_not_equivariant_to_smaller_shifts():
    x = np.zeros((1, 1, 8))
    x[0, 0, 3] = 1
    one, other = (cross_correlate(np.roll(x, s), [[[1.0, 2.0]]], stride=2) for s in (0, 1))
    assert not any(np.array_equal(np.roll(one, s), other) for s in range(4))


@pytest.mark.parametrize(
    ("name", "shape"),
    [("valid", (1, 1, 5, 4)), ("same", (1, 1, 7, 7)), ("half", (1, 1, 7, 8)), ("full", (1, 1, 9, 10))],
)
def test_padding_by_name(name, shape):
    x, w = np.random.default_rng(0).normal(size=(1, 1, 7, 7)), np.ones((1, 1, 3, 4))
    found = cross_correlate(x, w, padding=name)
    assert found.shape == shape
    if name in ("valid", "same"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks that an even kernel costs it a copy
            expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=name).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    mixed = cross_correlate(x, w, padding=[1, (0, 2)])
    assert mixed.shape == (1, 1, 7, 6)


@given(cases(dims=st.just(2)))
def test_columns_agree_with_unfold_and_fold(case):
    kernel, padding = case.w.shape[2:], tuple(min(pair) for pair in case.padding)
    x = np.pad(case.x, ((0, 0), (0, 0), (4, 4), (4, 4)))
    options = {"dilation": case.dilation, "padding": padding, "stride": case.stride}
    expected = F.unfold(torch.from_numpy(x), kernel, **options)
    found = im2col(x, kernel, **options)
    assert np.array_equal(found, expected.numpy())
    cols = np.random.default_rng(0).normal(size=found.shape)
    back = F.fold(torch.from_numpy(cols), x.shape[2:], kernel, **options).numpy()
    np.testing.assert_allclose(col2im(cols, x.shape, kernel, **options), back, rtol=0, atol=1e-12)
    # They are each other's transpose: <im2col(x), cols> = <x, col2im(cols)>.
    assert np.isclose((found * cols).sum(), (x * back).sum(), rtol=0, atol=1e-9)


@given(cases())
def test_the_matrix_is_sparse_and_holds_the_kernel_in_every_row_that_meets_no_padding(case):
    matrix = toeplitz(case.w, case.x.shape[1:], **case.settings)
    y = cross_correlate(case.x, case.w, **case.settings)
    assert matrix.shape == (y[0].size, case.x[0].size)
    for sample, expected in zip(case.x, y, strict=True):
        np.testing.assert_allclose(matrix @ sample.ravel(), expected.ravel(), rtol=0, atol=1e-10)
    assert np.diff(matrix.indptr).max() <= case.w[0].size
    unpadded = toeplitz(case.w, tuple(np.array(case.x.shape[1:]) + 6 * (np.arange(case.x.ndim - 1) > 0)),
                        case.stride, 0, case.dilation, case.groups)  # fmt: skip
    rows = unpadded.data.reshape(len(case.w), -1, case.w[0].size)
    assert (np.sort(rows, -1) == np.sort(case.w.reshape(len(case.w), 1, -1), -1)).all()


def test_the_matrix_is_doubly_block_toeplitz():
    matrix = toeplitz(np.arange(1.0, 5).reshape(1, 1, 2, 2), (1, 4, 3)).toarray()
    blocks = matrix.reshape(3, 2, 4, 3).swapaxes(1, 2)  # block row, block column, row, column
    assert all((blocks[i, j] == blocks[i + 1, j + 1]).all() for i in range(2) for j in range(3))
    assert all((block[1, 1:] == block[0, :-1]).all() for row in blocks for block in row)


@given(st.integers(0, 2**32), st.integers(1, 3), st.data())
def test_circular_convolution_has_the_transform_of_the_kernel_as_eigenvalues(seed, num, data):
    shape = tuple(data.draw(st.integers(1, 5)) for _ in range(num))
    kernel = tuple(data.draw(st.integers(1, size)) for size in shape)
    generator = np.random.default_rng(seed)
    taps, x = generator.normal(size=kernel), generator.normal(size=shape)
    matrix = circulant(taps, shape)
    spectrum = np.fft.fftn(taps, s=shape, axes=range(num))
    circular = np.fft.ifftn(spectrum * np.fft.fftn(x)).real
    np.testing.assert_allclose((matrix @ x.ravel()).reshape(shape), circular, rtol=0, atol=1e-10)
    # The waves are the eigenvectors, each with its frequency's value of the transform.
    waves = np.fft.ifftn(np.eye(x.size).reshape(-1, *shape), axes=range(1, num + 1)).reshape(x.size, -1)
    np.testing.assert_allclose(matrix @ waves.T, waves.T * spectrum.ravel(), rtol=0, atol=1e-10)
    values = np.linalg.eigvals(matrix.toarray())
    distance = np.abs(values[:, None] - spectrum.ravel())
    assert distance.min(0).max() < 1e-6
    assert distance.min(1).max() < 1e-6


def test_circular_convolution_of_two_axes_is_doubly_block_circulant():
    matrix = circulant(np.arange(1.0, 5).reshape(2, 2), (3, 4)).toarray()
    blocks = matrix.reshape(3, 4, 3, 4).swapaxes(1, 2)
    assert all((blocks[i, j] == blocks[(i + 1) % 3, (j + 1) % 3]).all() for i in range(3) for j in range(3))
    assert all((np.roll(block[i], 1) == block[(i + 1) % 4]).all() for row in blocks for block in row for i in range(4))


@settings(max_examples=20)
@given(cases())
def test_all_is_computed_in_float64_whatever_comes_in(case):
    found = cross_correlate(case.x.astype(np.float32), (case.w * 8).astype(np.int8), **case.settings)
    assert found.dtype == np.float64
    x, w = case.x.astype(np.float32).astype(np.float64), (case.w * 8).astype(np.int8).astype(np.float64)
    assert np.array_equal(found, cross_correlate(x, w, **case.settings))


X, W = np.zeros((1, 6, 8, 8)), np.zeros((4, 6, 3, 3))


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        (X[0, 0], W, {}, r"Maps are \(N, C, \*spatial\).*Received: \(8, 8\). Add axes with x\[None, None\]"),
        (X, W[0], {}, r"as many axes as the maps.*Received: x \(1, 6, 8, 8\), w \(6, 3, 3\)"),
        (X, W, {"groups": 4}, "groups must divide in_channels. Received: in_channels=6, groups=4. Use a divisor of 6"),
        (X, W, {"groups": 3}, "divide out_channels. Received: out_channels=4, groups=3. Use a divisor of 4"),
        (X, W, {"groups": 0}, "groups must divide in_channels. Received: in_channels=6, groups=0"),
        (X, W, {"groups": 2}, r"reads C_in / groups = 3 channels. Received: 6, in w \(4, 6, 3, 3\).*groups=2"),
        (X, W, {"bias": np.zeros(3)}, r"one value for each of the 4 output channels. Received: \(3,\)"),
        (X, W, {"stride": (1, 2, 3)}, r"stride is one whole number, or one for each of the 2 spatial.*\(1, 2, 3\)"),
        (X, W, {"stride": 1.5}, "stride is one whole number.*Received: 1.5"),
        (X, W, {"dilation": [1, 2.0]}, r"dilation is one whole number.*Received: \[1, 2.0\]"),
        (X, W, {"stride": 0}, "stride must be a whole number of at least 1. Received: 0"),
        (X, W, {"padding": "sane"}, "Received: 'sane'. Did you mean 'same'"),
        (X, W, {"padding": -1}, "padding must not be negative. Received: -1"),
        (X, W, {"padding": [(1, 1)]}, r"for each of the 2 spatial axes a number or \(before, after\).*\[\(1, 1\)\]"),
        (X, W, {"padding": [(1, 1), (1, 1, 1)]}, r"a number or \(before, after\)"),
        (X, W, {"padding": [0.5, 1]}, r"a number or \(before, after\). Received: \[0.5, 1\]"),
        (X, W, {"dilation": 4}, "larger than its padded input. Received: kernel_size=3 .dilated by 4: 9. for 8"),
        (X, W, {"method": "winograd2", "stride": 2}, r"with stride 1.*stride \(2, 2\).*Use method='im2col'"),
        (X, W[..., :2], {"method": "winograd4"}, r"takes 3x3 kernels.*Received: kernel \(3, 2\)"),
        (X, W, {"method": "winograd4", "dilation": 2}, r"dilation 1, in two dimensions.*dilation \(2, 2\)"),
        (X[0], W[0], {"method": "winograd2", "groups": 1}, "takes 3x3 kernels|reads C_in"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(x, w, options, message):
    with pytest.raises(GeometryError, match=message):
        cross_correlate(x, w, **options)


def test_unknown_methods_and_wrong_deltas_are_refused():
    with pytest.raises(ConfigError, match="no method 'fftt' of convolution. Did you mean 'fft'"):
        cross_correlate(X, W, method="fftt")
    with pytest.raises(ConfigError, match="no method 'fft' of gradients. Known: direct, im2col"):
        cross_correlate_backward(np.zeros((1, 4, 6, 6)), X, W, method="fft")
    with pytest.raises(
        GeometryError, match=r"delta must have the shape of the output, \(1, 4, 6, 6\). Received: \(1, 4"
    ):
        cross_correlate_backward(np.zeros((1, 4, 8, 8)), X, W)
    with pytest.raises(
        GeometryError, match=r"Columns of this geometry are .* = \(1, 54, 36\). Received: \(1, 54, 30\)"
    ):
        col2im(np.zeros((1, 54, 30)), X.shape, 3)
    with pytest.raises(GeometryError, match=r"at most as large. Received: kernel \(3,\), shape \(2,\). Use a larger"):
        circulant([1, 2, 3], shape=(2,))
