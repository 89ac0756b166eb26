"""From the losses of a range test to a learning rate: three rules, each with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Suggestion", "propose", "smooth", "suggest"]

WIDTH = 0.2  # decades of the learning rate: the standard deviation of the smoothing kernel
SMALLEST = np.finfo(np.float64).tiny  # a loss of zero still has a logarithm

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A learning rate, the name of the rule that gives it, and what it is in words."""

    rule: str
    rate: float
    why: str


def smooth(rates: Sequence[float], losses: Sequence[float], at: Sequence[float] | None = None) -> Values:
    """The geometric mean of losses at rates near each of these, by default each itself, with Gaussian weights.

        log s_i = sum_j w_ij log l_j / sum_j w_ij,    w_ij = exp(-(log10 r_i - log10 r_j)**2 / (2 * 0.2**2))

    Unlike a moving average over the past it does not lag, which would shift every suggestion to higher rates. A single
    huge loss, as before a divergence, moves a geometric mean little. Shapes: (n,), (n,), (m,) -> (m,).

    >>> smooth([0.01, 0.1, 1.0, 10.0], [4.0, 4.0, 1.0, 1.0]).round(3).tolist()
    [4.0, 4.0, 1.0, 1.0]
    """
    places = np.log10(np.asarray(rates, np.float64))
    centres = places if at is None else np.log10(np.asarray(at, np.float64))
    weights = np.exp(-((centres[:, None] - places) ** 2) / (2 * WIDTH**2))
    logs = np.log(np.maximum(np.asarray(losses, np.float64), SMALLEST))
    means: Values = np.exp(weights @ logs / weights.sum(axis=1))
    return means


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> tuple[Suggestion, ...]:
    """What the rules make of a curve, by rising rate.

    Sources: Smith 2017, section 3.3 (the range test); Gugger 2018 (a tenth of the minimum, steepest descent); fastai,
    `callback/schedule.py` (valley).
    """
    places, curve = np.log10(np.asarray(rates, np.float64)), np.asarray(smoothed, np.float64)
    lowest = int(curve.argmin())
    found = (
        Suggestion("steepest", rates[steepest(places, curve, lowest)], "where the loss falls fastest"),
        Suggestion("minimum / 10", rates[lowest] / 10, "a tenth of the rate at which the loss is lowest"),
        Suggestion("valley", rates[valley(curve)], "in the middle of the loss's longest fall"),
    )
    return tuple(sorted(found, key=lambda suggestion: suggestion.rate))


def propose(suggestions: Sequence[Suggestion]) -> tuple[Suggestion, str]:
    """The one to train with, and why.

    The steepest is taken for the peak of a schedule, where the rates of the whole run are lower. It is trusted from a
    tenth of the minimum on: a steepest point before that is noise, or the start of a long slow fall.
    """
    rules = {suggestion.rule: suggestion for suggestion in suggestions}
    fastest, careful = rules["steepest"], rules["minimum / 10"]
    if fastest.rate < careful.rate:
        return careful, f"{careful.why}, since the loss falls fastest far below, at {fastest.rate:.2g}"
    return fastest, f"{fastest.why}, within a factor of ten of where it is lowest; the other rules are more careful"


def steepest(places: Values, curve: Values, lowest: int) -> int:
    """The point, not behind the lowest, at which the curve falls fastest."""
    return int(np.gradient(curve, places)[: lowest + 1].argmin())


def valley(curve: Values) -> int:
    """The middle of the longest decreasing subsequence, taken as if its points stood side by side before its end.

    >>> valley(np.array([5.0, 5.1, 5.0, 4.0, 3.0, 2.0, 1.0, 9.0]))
    3
    """
    lengths = np.ones(len(curve), np.int64)
    for i in range(1, len(curve)):
        above = lengths[:i][curve[:i] > curve[i]]
        lengths[i] += above.max(initial=0)
    end, length = int(lengths.argmax()), int(lengths.max())
    return end - length // 2
