"""Turns, intervals and ratios, compared with brute force."""

from itertools import combinations_with_replacement
from math import comb
from statistics import median

import numpy as np
import pytest

from harness import Row, Sides, per_second, seconds_of, take_turns
from harness.turns import ENOUGH, interval, ratio


def coverage(n, k):
    """Probability that the true median is between the k-th smallest and the k-th largest of n values."""
    return sum(comb(n, below) for below in range(k, n - k + 1)) / 2**n


@pytest.mark.parametrize("n", range(1, 80))
def test_interval_is_the_narrowest_that_reaches_95_percent(n):
    found = interval(range(1, n + 1))
    k = int(found.low)
    assert (found.median, found.high) == (median(range(1, n + 1)), n + 1 - k)
    if n >= ENOUGH:
        assert coverage(n, k) >= 0.95 > coverage(n, k + 1)
    else:
        assert k == 1
        assert coverage(n, k) < 0.95


@pytest.mark.parametrize("n", [6, 10])
def test_interval_contains_the_true_median_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    samples = rng.exponential(size=(1500, n))  # skewed, as times are
    inside = np.mean([(found := interval(row)).low <= np.log(2) <= found.high for row in samples])
    expected = coverage(n, int(interval(range(1, n + 1)).low))
    assert abs(inside - expected) < 0.012  # three standard deviations
    assert expected >= 0.95


def test_interval_of_ties_contains_them():
    for values in combinations_with_replacement((1.0, 2.0), 7):
        found = interval(values)
        assert found.low <= found.median <= found.high
        assert {found.low, found.high} <= set(values)
    assert interval([3.0] * 10) == interval([3.0])


def test_ratio_divides_turns_of_the_same_round():
    own, peer = [1.0, 10.0, 100.0], [2.0, 20.0, 200.0]
    assert ratio(own, peer, "less").low == ratio(own, peer, "less").high == 2
    assert ratio(own, peer, "more").median == 0.5
    with pytest.raises(ValueError, match="shorter"):
        ratio(own, peer[:2], "less")


def test_sides_take_turns_in_alternating_order():
    order = []

    def side(name):
        return lambda: order.append(name) or float(len(order))

    found = take_turns({"a": side("a"), "b": side("b")}, repeats=3, warmup=1)
    assert "".join(order) == "abbaabba"
    assert found.turns == {"a": [4.0, 5.0, 8.0], "b": [3.0, 6.0, 7.0]}


def test_figures_without_a_ratio_are_refused():
    with pytest.raises(ValueError, match=r"A turn of b gave 0, which can't be compared\."):
        take_turns({"a": lambda: 1.0, "b": lambda: 0.0}, repeats=1)
    with pytest.raises(ValueError, match="A turn of a gave nan"):
        take_turns({"a": lambda: float("nan")}, repeats=1)
    with pytest.raises(ValueError, match="at least one side"):
        take_turns({}, repeats=1)
    assert take_turns({"lost": lambda: 0.0}, repeats=2).turns == {"lost": [0.0, 0.0]}


def test_turns_that_count_time_and_things():
    calls = []
    assert 0 <= seconds_of(lambda: calls.append(1), times=5)() < 1
    assert len(calls) == 5
    assert per_second(100, lambda: sum(range(1000)))() > 100


def test_a_row_has_at_least_ten_turns_unless_it_says_otherwise():
    row = Row("a", "data", "a", "s", "less", lambda folder: iter([Sides({})]))
    assert (row.repeats, row.warmup, row.bound) == (10, 1, False)
