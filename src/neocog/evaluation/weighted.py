"""Resampling of metrics that need a sorted list, by the weights of its entries: sorted once, whatever the resamples."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.intervals import LEVEL, RESAMPLES, Estimate

__all__ = ["bootstrap_all", "bootstrap_counts"]

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

    def alone(counts: NDArray[np.float64] | None) -> NDArray[np.float64]:
        return np.array([statistic(np.ones(num) if counts is None else counts)])

    return bootstrap_all(alone, num, cost, shares=[is_share])[0]


def bootstrap_all(
    statistics: Callable[[NDArray[np.float64] | None], NDArray[np.float64]],
    num: int,
    cost: int,
    *,
    shares: Sequence[bool],
) -> list[Estimate]:
    """As `bootstrap_counts`, of several metrics of the same resamples, (metrics,); None: each sample once.

    A resample in which a metric is not known, NaN, does not count for it.
    """
    values = statistics(None)
    if num < 2:
        alone = zip(values.tolist(), shares, strict=True)
        return [Estimate(value, value, value, "none: one sample", is_share) for value, is_share in alone]
    resamples = int(min(RESAMPLES, max(100, AFFORDABLE // max(1, cost))))
    rng = np.random.default_rng(0)
    draws = (np.bincount(rng.integers(0, num, num), minlength=num).astype(np.float64) for _ in range(resamples))
    found = np.stack([statistics(counts) for counts in draws])
    tail, method = 100 * (1 - LEVEL) / 2, f"percentile bootstrap, {resamples:,} resamples"
    estimates = []
    for value, column, is_share in zip(values.tolist(), found.T, shares, strict=True):
        known = column[~np.isnan(column)]
        low, high = np.percentile(known, [tail, 100 - tail]).tolist() if len(known) else (value, value)
        estimates.append(Estimate(value, low, high, method, is_share))
    return estimates
