"""Resampling of metrics that need a sorted list, by the weights of its entries: sorted once, whatever the resamples."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.intervals import LEVEL, RESAMPLES, Estimate, omitted

__all__ = ["Statistic", "bootstrap_counts", "draw_counts"]

Statistic = Callable[[NDArray[np.float64]], float]
"""A metric as a function of how often each sample counts, (N,)."""
AFFORDABLE = 4e8  # values that all resamples together may touch: about two seconds


def draw_counts(num: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """How often each of `num` samples is drawn, for each resample; the same draws in every call."""
    rng = np.random.default_rng(0)
    for _ in range(resamples):
        yield np.bincount(rng.integers(0, num, num), minlength=num).astype(np.float64)


def bootstrap_counts(statistic: Statistic, num: int, cost: int, *, is_share: bool = False) -> Estimate:
    """A metric of `num` samples and its interval; `statistic` takes how often each sample is drawn, (num,).

    `cost` is how many values one call touches; for very many there are fewer than 1,000 resamples, and at least 100.
    Resamples for which the metric is NaN, because it is not defined, are left out.
    Source: Davison & Hinkley 1997, section 2.2.

    >>> values = np.arange(5.0)
    >>> found = bootstrap_counts(lambda counts: float((counts * values).sum() / counts.sum()), 5, cost=5)
    >>> found.value, found.low < 2 < found.high
    (2.0, True)
    """
    value = statistic(np.ones(num))
    if alone := omitted(value, is_share=is_share):
        return alone
    if num < 2:
        return Estimate(value, value, value, "none: one sample", is_share)
    resamples = int(min(RESAMPLES, max(100, AFFORDABLE // max(1, cost))))
    found = np.array([statistic(counts) for counts in draw_counts(num, resamples)])
    found = found[~np.isnan(found)]
    if not len(found):
        return Estimate(value, value, value, "none: not defined for resamples", is_share)
    tail = 100 * (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.percentile(found, [tail, 100 - tail]))
    return Estimate(value, low, high, f"percentile bootstrap, {resamples:,} resamples", is_share)
