"""95% confidence intervals of metrics, with the method that made them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "bootstrap", "wilson", "without_intervals"]

LEVEL = 0.95
NORMAL = 1.959963984540054  # standard deviations of a normal distribution on either side of its mean: 95% of it
RESAMPLES = 1000
OMITTED = ContextVar("OMITTED", default=False)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with its 95% confidence interval.

    >>> found = wilson(990, 1000)
    >>> found.percent()
    '99.00% [98.17%, 99.46%]'
    >>> found.text(found.value), bootstrap(np.mean, np.array([2.0])).text(2.0)
    ('99.00%', '2.0000')
    """

    value: float
    low: float
    high: float
    method: str
    is_share: bool = False
    """Whether it is shown in per cent."""

    def text(self, number: float) -> str:
        """A number of this metric, such as its value or a bound of its interval, as it is shown."""
        return f"{number:.2%}" if self.is_share else f"{number:.4f}"

    def percent(self, digits: int = 2) -> str:
        return f"{self.value:.{digits}%} [{self.low:.{digits}%}, {self.high:.{digits}%}]"


@contextmanager
def without_intervals() -> Iterator[None]:
    """Within this block nothing is resampled: an estimate is its value, for who resamples a whole evaluation.

    >>> with without_intervals():
    ...     bootstrap(np.mean, np.arange(3.0)).method
    'none'
    """
    token = OMITTED.set(True)
    try:
        yield
    finally:
        OMITTED.reset(token)


def omitted(value: float, *, is_share: bool = False) -> Estimate | None:
    """The value alone, within `without_intervals`."""
    return Estimate(value, value, value, "none", is_share) if OMITTED.get() else None


def wilson(hits: int, num: int) -> Estimate:
    """The share of hits in `num` independent trials. Source: Wilson 1927; Brown, Cai, DasGupta 2001 recommend it."""
    if alone := omitted(hits / num, is_share=True):
        return alone
    from scipy import stats  # takes half a second to import, and training does not need it

    interval = stats.binomtest(hits, num).proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / num, float(interval.low), float(interval.high), "Wilson", is_share=True)


def bootstrap(
    statistic: Callable[..., float],
    *columns: NDArray[Any],
    method: Literal["percentile", "basic"] = "percentile",
) -> Estimate:
    """Any metric of paired columns, by resampling their rows 1,000 times.

    `percentile` takes the percentiles of the resamples. `basic` mirrors them at the metric's value, which is right for
    a metric whose resamples are biased, such as a mean of absolute gaps; the interval is cut off at 0.
    Shapes: columns of (N,) each. Source: Davison & Hinkley 1997, sections 5.2 and 5.3.
    """
    value, num = statistic(*columns), len(columns[0])
    if alone := omitted(value):
        return alone
    if num < 2:
        return Estimate(value, value, value, "none: one sample")
    # SciPy's bootstrap gives the same bits; its loop takes a hundred times as long as these statistics.
    rng = np.random.default_rng(0)
    draws = (rng.integers(0, num, num) for _ in range(RESAMPLES))
    resampled = [statistic(*(column[rows] for column in columns)) for rows in draws]
    tail = (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.percentile(resampled, [100 * tail, 100 * (1 - tail)]))
    if method == "basic":
        low, high = max(0.0, 2 * value - high), 2 * value - low
    return Estimate(value, low, high, f"{method} bootstrap, {RESAMPLES:,} resamples")
