"""Comparing two networks on the same samples: which of them is better, and by how much."""

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.intervals import LEVEL, NORMAL, RESAMPLES, Estimate
from neocog.evaluation.weighted import Statistic, draw_counts

__all__ = ["McNemar", "mcnemar", "paired_bootstrap"]

FEWEST, SECONDS = 100, 60.0  # resamples at least, and the time that they may take


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two classifiers on the same samples."""

    only_a: int
    """Samples that only A gets right."""
    only_b: int
    p_value: float
    """How probable a count as uneven as this one is if both are equally good."""
    difference: Estimate
    """The accuracy of B minus that of A."""


def mcnemar(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test, and the difference of two accuracies with its interval; correct answers (N,), (N,).

    The test is the two-sided binomial test of the samples that only one of the two gets right. The interval is Tango's,
    which inverts the score test and so fits it.
    Source: McNemar 1947; Tango 1998, "Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design".

    >>> found = mcnemar(np.array([True] * 8 + [False] * 12), np.array([True] * 17 + [False] * 3))
    >>> found.only_a, found.only_b, round(found.p_value, 4), found.difference.value
    (0, 9, 0.0039, 0.45)
    """
    from scipy.stats import binomtest  # takes half a second to import

    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    apart = only_a + only_b
    p_value = float(binomtest(only_a, apart).pvalue) if apart else 1.0
    return McNemar(only_a, only_b, p_value, paired_difference(only_a, only_b, len(a)))


def paired_difference(only_a: int, only_b: int, num: int) -> Estimate:
    """The share of samples that only B gets right, minus that of only A, with Tango's interval."""
    value = (only_b - only_a) / num
    low, high = (find_bound(only_a, only_b, num, side) for side in (-1, 1))
    return Estimate(value, low, high, "Tango", is_share=True)


def find_bound(only_a: int, only_b: int, num: int, side: int) -> float:
    """The difference whose score test just rejects, above (side 1) or below (-1) the value; by bisection."""
    near, far = (only_b - only_a) / num, float(side)
    for _ in range(60):
        middle = (near + far) / 2
        if abs(score_statistic(only_a, only_b, num, middle)) < NORMAL:
            near = middle
        else:
            far = middle
    return near


def score_statistic(only_a: int, only_b: int, num: int, difference: float) -> float:
    """The observed minus the assumed difference, in standard deviations if the assumed one is true."""
    gap = only_b - only_a - num * difference
    linear = (2 * num - only_b + only_a) * difference - only_b - only_a
    constant = -only_a * difference * (1 - difference)
    # The most probable share of samples that only A gets right, if the difference is the assumed one.
    share = (math.sqrt(max(0.0, linear**2 - 8 * num * constant)) - linear) / (4 * num)
    variance = num * (2 * share + difference * (1 - difference))
    if variance <= 1e-12:
        return 0.0 if abs(gap) < 1e-9 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def paired_bootstrap(a: Statistic, b: Statistic, num: int, *, is_share: bool) -> Estimate:
    """The metric of B minus that of A, by resampling `num` samples, the same ones for both.

    1,000 resamples, or as many as fit into a minute, and at least 100. Source: Davison & Hinkley 1997, section 2.2;
    Efron & Tibshirani 1993, section 8.

    >>> values = np.arange(20.0)
    >>> mean = lambda counts: float(counts @ values / counts.sum())
    >>> found = paired_bootstrap(mean, lambda counts: mean(counts) + 1, 20, is_share=False)
    >>> round(found.value, 6), round(found.low, 6), round(found.high, 6)  # what both share does not count
    (1.0, 1.0, 1.0)
    """
    begin = time.monotonic()
    value = b(np.ones(num)) - a(np.ones(num))
    if num < 2:
        return Estimate(value, value, value, "none: one sample", is_share)
    seconds = max(1e-9, time.monotonic() - begin)
    resamples = int(min(RESAMPLES, max(FEWEST, SECONDS / seconds)))
    found = np.array([b(counts) - a(counts) for counts in draw_counts(num, resamples)])
    found = found[~np.isnan(found)]
    tail = 100 * (1 - LEVEL) / 2
    low, high = (float(x) for x in np.percentile(found, [tail, 100 - tail])) if len(found) else (value, value)
    return Estimate(value, low, high, f"paired bootstrap, {resamples:,} resamples", is_share)
