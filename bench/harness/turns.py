"""Sides take turns; medians of the turns, their intervals, and ratios of one side to another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from scipy.stats import binom

from harness.row import Turn

__all__ = ["ENOUGH", "Figures", "Interval", "interval", "ratio", "take_turns"]

CONFIDENCE = 0.95
ENOUGH = 6
"""Turns below which no interval reaches 95%."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A median with bounds that contain the true one with at least 95% confidence, if there were enough turns."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of each side's turns, in the order in which they were taken."""

    turns: dict[str, list[float]]


def take_turns(sides: Mapping[str, Turn], *, repeats: int, warmup: int = 1) -> Figures:
    """Let each side do its work `repeats` times, in turns, after `warmup` that don't count.

    The order is reversed after each round, so that what one side leaves behind (a warm cache, a hot core) meets each.

    Raises ValueError if there are no sides, for a figure that is not finite, and, if sides are compared, for one of
    zero or less, which has no ratio.
    """
    if not sides:
        raise ValueError("A row needs at least one side.")
    found: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(warmup + repeats):
        order = list(sides) if round_ % 2 == 0 else list(sides)[::-1]
        for name in order:
            figure = float(sides[name]())
            if not math.isfinite(figure) or (len(sides) > 1 and figure <= 0):
                raise ValueError(f"A turn of {name} gave {figure:g}, which can't be compared.")
            if round_ >= warmup:
                found[name].append(figure)
    return Figures(found)


def interval(values: Sequence[float]) -> Interval:
    """The median of measurements, and bounds for it that assume nothing of their distribution.

    The k-th smallest and the k-th largest value, with the largest k that reaches 95%: the number of values below the
    true median is binomial (Conover, Practical Nonparametric Statistics, section 3.2). Of fewer than six values, not
    even the smallest and the largest do; they are given all the same.

    >>> interval([3, 1, 2, 5, 4, 6, 8, 7, 10, 9])
    Interval(median=5.5, low=2, high=9)
    """
    ordered, n = sorted(values), len(values)
    k = 1
    while k < n // 2 and 1 - 2 * binom.cdf(k, n, 0.5) >= CONFIDENCE:
        k += 1
    return Interval(median(ordered), ordered[k - 1], ordered[n - k])


def ratio(own: Sequence[float], peer: Sequence[float], better: Literal["more", "less"]) -> Interval:
    """How many times as good as the peer Neocog is: above 1 it wins, whether more or less is better.

    Turns of the same round are divided, since they met the same state of the machine.

    >>> ratio([1.0, 2.0, 4.0], [2.0, 4.0, 8.0], "less")
    Interval(median=2.0, low=2.0, high=2.0)
    """
    pairs = zip(own, peer, strict=True)
    return interval([mine / other if better == "more" else other / mine for mine, other in pairs])
