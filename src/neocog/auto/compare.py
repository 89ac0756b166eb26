"""Comparing trials: when a difference is one, and what a trial promises for more time."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["OVERFITS", "Trial", "differ", "forecast", "power_law", "rank"]

STEEPEST = 0.6  # exponent of the error over time: steeper ones are those of a network that has hardly begun
FLATTEST = 0.02
REPEATS = 15.0  # passes after which another one is worth a third of the first
OVERFITS, OVERFITTED = 0.05, 0.15
"""A network that is right about training samples more often by this share gains less from time, by this exponent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """The result of one candidate in one round of the race."""

    name: str
    candidate: int
    """Its place in the table of candidates."""
    rung: int
    seconds: float
    """Of training, without preparation."""
    total_seconds: float
    value: float
    """The metric that is compared, such as accuracy; higher is better."""
    low: float
    high: float
    """Its 95% interval."""
    samples: int
    """Training samples that it saw, each counted once."""
    scored: int
    """Samples that it was scored on."""
    by: str
    """How it was scored: on validation data, or by cross-validation."""
    history: Sequence[tuple[float, float]]
    """Seconds and value after each validation."""
    trained: float = 0.0
    """The progress metric on training data in the last epoch."""
    passes: float = 0.0
    """Times that it saw each of its training samples; 0 if that is not known."""
    error: str = ""
    """Why there is no result."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        return cls(**{**found, "history": [tuple(point) for point in found["history"]]})


def differ(one: Trial, other: Trial) -> bool:
    """Whether two results differ by more than chance would have them: their difference's 95% interval excludes zero.

    The interval of a difference of independent figures: the square root of the sum of the squared halves (Newcombe
    1998, method 10).
    """
    better, worse = (one, other) if one.value >= other.value else (other, one)
    reach = math.hypot(better.value - better.low, worse.high - worse.value)
    return better.value - worse.value > reach


def forecast(trials: Sequence[Trial], seconds: float) -> float:
    """The value to expect after this many seconds of training, from the trials of one candidate, by length.

    With two trials the error falls as a power of the samples seen (Hestness et al. 2017, section 2), of which repeated
    ones count less and less (`fresh`); with one, the value is taken as it is. A network that knows its training samples
    much better than others gains less.

    >>> def trial(seconds, value):
    ...     return Trial(name="", candidate=0, rung=1, seconds=seconds, total_seconds=seconds, value=value, low=value,
    ...                  high=value, samples=1, scored=1, by="", history=())
    >>> round(forecast([trial(10, 0.8), trial(40, 0.9)], 160), 2)
    0.95
    """
    known = sorted((trial for trial in trials if not trial.error), key=lambda trial: trial.seconds)
    last = known[-1]
    if len(known) == 1 or seconds <= last.seconds or known[0].seconds >= last.seconds:
        return last.value
    first, before, after = (fresh(last, at) for at in (known[0].seconds, last.seconds, seconds))
    found = power_law(first, known[0].value, before, last.value, after)
    if last.trained - last.value > OVERFITS:
        return min(found, 1 - (1 - last.value) * math.pow(seconds / last.seconds, -OVERFITTED))
    return found


def fresh(trial: Trial, seconds: float) -> float:
    """The samples that training of this length is worth, in passes over the data; seconds if passes aren't known.

        D = 1 + R (1 - exp(-(E - 1) / R)),    R = 15,    for E passes above one

    Source: Muennighoff et al. 2023, "Scaling data-constrained language models", section 3.1. R was fitted to texts; it
    also suits images with augmentation, where ten passes are worth half as much as a hundred.

    >>> def trial(passes):
    ...     return Trial(name="", candidate=0, rung=1, seconds=10, total_seconds=10, value=0, low=0, high=0, samples=1,
    ...                  scored=1, by="", history=(), passes=passes)
    >>> [round(fresh(trial(passes), 10), 1) for passes in (0.5, 1, 10, 100)]
    [0.5, 1.0, 7.8, 16.0]
    """
    if not trial.passes:
        return seconds
    passes = trial.passes * seconds / trial.seconds
    return passes if passes <= 1 else 1 + REPEATS * (1 - math.exp((1 - passes) / REPEATS))


def power_law(first: float, before: float, last: float, after: float, at: float) -> float:
    """The value at a third place, if one minus the value falls as a power of the place; of time, or of samples.

    The exponent is kept from 0.02 to 0.6, since two figures with errors can say anything.

    >>> round(power_law(10, 0.8, 40, 0.9, 160), 3)
    0.95
    """
    errors = max(1e-4, 1 - before), max(1e-4, 1 - after)
    slope = math.log(errors[0] / errors[1]) / math.log(last / first)
    return 1 - errors[1] * math.pow(at / last, -min(STEEPEST, max(FLATTEST, slope)))


def rank(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that have a result, best first; equal ones in the order of the table."""
    return sorted((t for t in trials if not t.error), key=lambda trial: (-trial.value, trial.candidate))
