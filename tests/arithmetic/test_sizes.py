"""Sizes against torch itself, refused ones included."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.arithmetic import (
    conv_input_sizes,
    conv_output,
    conv_transpose_output,
    explicit_padding,
    pool_output,
    published_forms,
    same_padding,
)
from neocog.errors import GeometryError

axes = st.integers(1, 24)
kernels = st.integers(1, 7)
strides = st.integers(1, 5)
dilations = st.integers(1, 4)
pads = st.integers(0, 8)


def torch_size(operation, *arguments, **settings):
    """The size that torch gives, or None if it refuses."""
    try:
        return operation(*arguments, **settings).shape[-1]
    except RuntimeError:
        return None


def our_size(function, *arguments, **settings):
    try:
        return function(*arguments, **settings)
    except GeometryError:
        return None


@settings(max_examples=4000)
@given(axes, kernels, strides, pads, pads, dilations)
def test_convolution_sizes_are_torchs_refused_ones_included(size, kernel, stride, before, after, dilation):
    line, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
    padded = F.pad(line, (before, after))
    expected = torch_size(F.conv1d, padded, weight, stride=stride, dilation=dilation)
    assert our_size(conv_output, size, kernel, stride, (before, after), dilation) == expected
    symmetric = torch_size(F.conv1d, line, weight, stride=stride, dilation=dilation, padding=before)
    assert our_size(conv_output, size, kernel, stride, before, dilation) == symmetric


@settings(max_examples=4000)
@given(axes, kernels, strides, pads, dilations, st.booleans())
def test_pooling_sizes_are_torchs_in_ceil_mode_too(size, kernel, stride, padding, dilation, ceil_mode):
    line = torch.zeros(1, 1, size)
    expected = torch_size(F.max_pool1d, line, kernel, stride, padding, dilation, ceil_mode)
    assert our_size(pool_output, size, kernel, stride, padding, dilation, ceil_mode) == expected
    if dilation == 1:
        expected = torch_size(F.avg_pool1d, line, kernel, stride, padding, ceil_mode)
        assert our_size(pool_output, size, kernel, stride, padding, ceil_mode=ceil_mode) == expected


@settings(max_examples=3000)
@given(axes, kernels, strides, pads, st.integers(0, 5), dilations)
def test_transposed_sizes_are_torchs_and_undo_the_convolution(size, kernel, stride, padding, extra, dilation):
    line, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
    expected = torch_size(
        F.conv_transpose1d, line, weight, stride=stride, padding=padding, output_padding=extra, dilation=dilation
    )
    found = our_size(conv_transpose_output, size, kernel, stride, padding, extra, dilation)
    assert found == expected
    if found is not None and extra < stride:
        assert conv_output(found, kernel, stride, padding, dilation) == size


@given(axes, kernels, strides, pads, dilations)
def test_the_input_sizes_of_an_output_are_all_and_only_those(output, kernel, stride, padding, dilation):
    by_trial = [i for i in range(1, 400) if our_size(conv_output, i, kernel, stride, padding, dilation) == output]
    found = our_size(conv_input_sizes, output, kernel, stride, padding, dilation)
    assert list(found or []) == by_trial


@given(axes, kernels, strides, dilations)
def test_named_paddings_do_what_their_names_say(size, kernel, stride, dilation):
    wide = dilation * (kernel - 1) + 1
    assert conv_output(size, kernel, stride, "same", dilation) == -(-size // stride)
    assert conv_output(size, kernel, 1, same_padding(kernel, dilation), dilation) == size
    assert conv_output(size, kernel, 1, "full", dilation) == size + wide - 1
    assert conv_output(size, kernel, 1, "half", dilation) == size + (wide + 1) % 2
    if wide <= size:
        assert conv_output(size, kernel, 1, "valid", dilation) == size - wide + 1
    assert explicit_padding("same", size, kernel, 1, dilation) == same_padding(kernel, dilation)


@given(st.integers(1, 8), st.integers(1, 12))
def test_same_padding_of_even_kernels_is_torchs(kernel, size):
    line, weight = torch.randn(1, 1, size), torch.randn(1, 1, kernel)
    by_name = F.conv1d(line, weight, padding="same") if kernel % 2 else None
    ours = F.conv1d(F.pad(line, same_padding(kernel)), weight)
    assert ours.shape == line.shape
    if by_name is not None:
        torch.testing.assert_close(ours, by_name)


@given(axes, kernels, strides, pads)
def test_published_forms_agree_where_they_must(size, kernel, stride, padding):
    if size + 2 * padding < kernel:
        return
    forms = published_forms(size, kernel, stride, padding)
    output = conv_output(size, kernel, stride, padding)
    exact = forms.pop("(N - F + 2P)/S + 1")
    assert set(forms.values()) == {output}
    assert exact.__floor__() == output
    assert (exact.denominator == 1) == ((size + 2 * padding - kernel) % stride == 0)
    assert ("ceil(i/s), same or half" in forms) == (2 * padding == kernel - 1)
    assert ("i + k - 1, full" in forms) == (stride == 1 and padding == kernel - 1)


def test_a_stride_that_does_not_fit_gives_a_fraction():
    assert published_forms(7, 3, stride=3)["(N - F + 2P)/S + 1"] == Fraction(7, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv_output(4, 3, dilation=2),
            (
                r"A kernel must not be larger than its padded input. Received: kernel_size=3 \(dilated by 2: 5\) "
                r"for 4. Use a size of at least 5, more padding, or a smaller kernel."
            ),
        ),
        (lambda: conv_output(2, 7, padding=1), r"kernel_size=7 for 2 with padding 1 \+ 1. Use a size of at least 5"),
        (lambda: conv_output(0, 3), r"size must be a whole number of at least 1. Received: 0."),
        (lambda: conv_output(8, 3, stride=0), r"stride must be a whole number of at least 1. Received: 0."),
        (lambda: conv_output(8, 3, padding=-1), r"padding must not be negative. Received: -1. Crop the input instead."),
        (lambda: conv_output(8, 3, padding="sane"), r"Received: 'sane'. Did you mean 'same'\?"),
        (
            lambda: pool_output(8, 2, padding=2),
            r"padding must be at most half of a pooling window. Received: padding=2 for a window of 2. Use at most 1.",
        ),
        (lambda: pool_output(2, 5), r"kernel_size=5 for 2. Use a size of at least 5"),
        (lambda: conv_transpose_output(8, 3, padding=-1), r"a whole number and not negative. Received: padding=-1"),
        (lambda: conv_output(7.5, 3), r"size must be a whole number of at least 1. Received: 7.5."),
        (lambda: conv_output(7, True), r"kernel_size must be a whole number of at least 1. Received: True."),
        (lambda: conv_output(8, 3, padding=0.5), r"padding is a whole number, two of them, or one of .*Received: 0.5."),
        (lambda: conv_output(8, 3, padding=(1, 2, 3)), r"Received: \(1, 2, 3\)."),
        (lambda: pool_output(8, 2, padding="same"), r"padding of a pooling is one number for both.*Received: 'same'."),
        (lambda: conv_transpose_output(8, 3, padding=0.5), r"a whole number and not negative. Received: padding=0.5"),
        (lambda: same_padding(0), r"kernel_size must be a whole number of at least 1. Received: 0."),
        (
            lambda: conv_transpose_output(8, 3, stride=2, output_padding=2),
            (
                r"output_padding must be smaller than stride or dilation. Received: output_padding=2, stride=2, "
                r"dilation=1. Use at most 1."
            ),
        ),
        (
            lambda: conv_transpose_output(1, 3, padding=2),
            (
                r"A transposed convolution must leave something. Received: 1 with kernel_size=3, stride=1, padding=2, "
                r"which leaves -1. Use less padding"
            ),
        ),
        (
            lambda: conv_input_sizes(1, 3, padding=3),
            r"No input gives an output of 1. Received: kernel_size=3, stride=1, padding=3, which give at least 5.",
        ),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(GeometryError, match=message):
        call()
