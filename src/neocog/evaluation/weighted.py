"""Resampling of metrics that need a sorted list, by the weights of its entries: sorted once, whatever the resamples."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.intervals import LEVEL, RESAMPLES, Estimate

__all__ = ["bootstrap_counts"]

AFFORDABLE = 4e8  # values that all resamples together may touch: about two seconds


def bootstrap_counts(
    statistic: Callable[[NDArray[np.float64]], float], num: int, cost: int, *, is_share: bool = False
) -> Estimate:
    """A metric of `num` samples and its interval; `statistic` takes how often each sample is drawn, (num,).

    `cost` is how many values one call touches; for very many there are fewer than 1,000 resamples, and at least 100.
    Source: Davison & Hinkley 1997, section 2.2.

    >>> values = np.arange(5.0)
    >>> found = bootstrap_counts(lambda counts: float((counts * values).sum() / counts.sum()), 5, cost=5)
    >>> found.value, found.low < 2 < found.high
    (2.0, True)
    """
    value = statistic(np.ones(num))
    if num < 2:
        return Estimate(value, value, value, "none: one sample", is_share)
    resamples = int(min(RESAMPLES, max(100, AFFORDABLE // max(1, cost))))
    rng = np.random.default_rng(0)
    draws = (np.bincount(rng.integers(0, num, num), minlength=num).astype(np.float64) for _ in range(resamples))
    found = [statistic(counts) for counts in draws]
    tail = 100 * (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.nanpercentile(found, [tail, 100 - tail]))
    return Estimate(value, low, high, f"percentile bootstrap, {resamples:,} resamples", is_share)
