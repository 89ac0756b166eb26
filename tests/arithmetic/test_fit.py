"""Fits against counting, position by position."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.arithmetic import fit


@given(
    st.integers(1, 40), st.integers(1, 7), st.integers(1, 6), st.integers(0, 5), st.integers(0, 5), st.integers(1, 3)
)
def test_unread_samples_and_fitting_sizes_by_marking(size, kernel, stride, before, after, dilation):
    wide = dilation * (kernel - 1) + 1
    if size + before + after < wide:
        return
    found = fit(size, kernel, stride, (before, after), dilation)
    marked, start, count = set(), -before, 0
    while start + wide <= size + after:
        marked |= {start + dilation * t for t in range(kernel)}
        start, count = start + stride, count + 1
    assert found.output == count
    assert list(found.unread) == [i for i in range(size) if i not in marked]
    assert found.remainder == size + after - (start - stride + wide)
    assert found.exact == (found.remainder == 0)
    for other in found.sizes:
        assert fit(other, kernel, stride, (before, after), dilation).exact
        assert abs(other - size) < stride
    for padding in found.paddings:
        assert fit(size, kernel, stride, padding, dilation).exact
    fitting = [
        (b, a) for b in range(30) for a in range(30) if wide <= size + b + a and not (size + b + a - wide) % stride
    ]
    least = (0, min(b + a for b, a in fitting))
    equal = min(((b, a) for b, a in fitting if a == b), default=least)
    assert found.paddings == ((least,) if equal == least else (equal, least))


def test_seven_with_kernel_three_and_stride_three():
    """Windows 0-2 and 3-5 leave sample 6; two more samples, or one padded on each side, would fit."""
    found = fit(7, kernel_size=3, stride=3)
    assert (found.output, found.remainder, found.unread) == (2, 1, (6,))
    assert (found.sizes, found.paddings) == ((6, 9), ((1, 1), (0, 2)))
    assert not found.exact


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (fit(6, 3, 3), "the last window ends at the end, every sample is read"),
        (fit(7, 1, 2), "the last window ends at the end, 3 samples never read: 1, 3, 5"),
        (fit(8, 3, 2), "does not fit: 1 left behind the last window, 1 sample never read: 7. Size 7 or 9 or padding"),
    ],
)
def test_a_fit_says_in_words_what_it_found(found, text):
    assert str(found).startswith(text)
