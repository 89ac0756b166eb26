"""Resampling of metrics that need a sorted list, by the weights of its entries: sorted once, whatever the resamples."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.intervals import LEVEL, RESAMPLES, Estimate, omitted

__all__ = ["Statistic", "bootstrap_all", "bootstrap_counts", "draw_counts"]

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
    alone = list(zip(values.tolist(), shares, strict=True))
    if bare := [figure for value, is_share in alone if (figure := omitted(value, is_share=is_share))]:
        return bare
    if num < 2:
        return [Estimate(value, value, value, "none: one sample", is_share) for value, is_share in alone]
    resamples = int(min(RESAMPLES, max(100, AFFORDABLE // max(1, cost))))
    found = np.stack([statistics(counts) for counts in draw_counts(num, resamples)])
    tail, method = 100 * (1 - LEVEL) / 2, f"percentile bootstrap, {resamples:,} resamples"
    estimates = []
    for (value, is_share), column in zip(alone, found.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known):
            low, high = np.percentile(known, [tail, 100 - tail]).tolist()
            estimates.append(Estimate(value, low, high, method, is_share))
        else:
            estimates.append(Estimate(value, value, value, "none: not defined for resamples", is_share))
    return estimates
