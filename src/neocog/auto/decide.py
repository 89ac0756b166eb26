"""The decision after the race: which candidate is trained in the time that is left, and what more would give."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from neocog.auto.candidate import Candidate
from neocog.auto.compare import OVERFITS, Trial, differ, forecast, power_law

__all__ = ["Choice", "decide"]

DRAWS = 1000
BY_HEART = 0.999
"""Share of training samples that are right when a network knows them by heart."""
SURE = 0.99
"""Lower end of the 95% interval from which a network without errors counts as perfect: of 381 samples or more."""
FITS = 0.95
"""Share of training images that a network of sufficient size gets right."""
MOST_GAIN = 0.06
"""By which all samples may be expected to improve on a probe's, whose two figures have errors."""
LARGE_SAMPLES = 150_000
"""Images that a larger network has to see."""
LONGER = 3.0
"""Times as long as its last trial is a network trained that has nothing more to gain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The choice of a search, and its reason."""

    candidate: int
    """Its place in the table."""
    name: str
    reason: str
    """One sentence with figures."""
    seconds: float | None = None
    """How long to train; None: for the time that is left."""
    expected: float | None = None
    """The metric to expect at the end, by the race."""
    more_time: tuple[float, float, float] | None = None
    """The gain from twice the time: the estimate and its 95% interval."""
    more_images: tuple[float, float, float] | None = None
    """The gain from twice the training samples."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
        return cls(**values)


def decide(
    candidates: Sequence[Candidate],
    trials: Sequence[Trial],
    seconds: float,
    finalists: Sequence[int] = (),
    num_train: int | None = None,
    left_out: str | None = None,
) -> Choice:
    """Choose the candidate that promises most for training of this length, on `num_train` samples.

    `left_out` says why there was no race, if it was left out.

    Only finalists are compared; without any, all candidates are. The one with the highest forecast is taken, less what
    its last figure may be too high by: a figure on few samples promises less than an equal one on many. With equal
    promises, the earlier in the table.
    """
    good = [trial for trial in trials if not trial.error and trial.samples]
    if not good:
        alone = left_out or "the only one that suits the data and the time"
        reason = "no candidate could be tried in time" if trials else alone
        return Choice(candidate=0, name=candidates[0].name, reason=reason)
    by_candidate = {place: [t for t in good if t.candidate == place] for place in {t.candidate for t in good}}
    entered = set(finalists) or {trial.candidate for trial in trials if trial.rung == 2} or set(by_candidate)
    left = entered & set(by_candidate)
    expected = {place: expect(by_candidate[place], seconds, num_train) for place in left}
    promised = {place: promise(by_candidate[place], expected[place]) for place in left}
    best = max(sorted(left), key=lambda place: promised[place])
    shown = by_candidate[best][-1]
    others = [by_candidate[place][-1] for place in sorted(left - {best}, key=lambda p: -promised[p])]
    larger = outgrown(best, shown, candidates, seconds)
    if larger is not None:
        return Choice(
            candidate=larger,
            name=candidates[larger].name,
            reason=explain_larger(shown, candidates[larger], seconds),
            more_images=more_samples(by_candidate[best], good),
        )
    return Choice(
        candidate=best,
        name=candidates[best].name,
        reason=explain(shown, others, expected, seconds),
        seconds=enough(by_candidate[best], seconds),
        expected=expected[best],
        more_time=gain(by_candidate[best], lambda tried: expect(tried, 2 * seconds) - expect(tried, seconds)),
        more_images=more_samples(by_candidate[best], good),
    )


def promise(trials: Sequence[Trial], expected: float) -> float:
    """The least that a candidate may be trusted to reach.

    Frozen features were scored on all training samples by cross-validation. A network that is trained from them on
    keeps their head where it is better, so it promises no less than they do.
    """
    least = expected - margin(trials[-1])
    return max([least, *(trial.low for trial in trials if trial.rung == 0)])


def margin(trial: Trial) -> float:
    """The most by which the result of a trial may be too high: the lower half of its 95% interval.

    Source: lower confidence bounds, as in Auer et al. 2002, for a single choice under uncertainty.
    """
    return trial.value - trial.low


def expect(trials: Sequence[Trial], seconds: float, num_train: int | None = None) -> float:
    """The value to expect after this many seconds; that of frozen features, by their learning curve, on all samples."""
    trained = [trial for trial in trials if trial.rung > 0]
    if trained:
        return forecast(trained, seconds)
    probe = trials[-1]
    if num_train is None or len(probe.history) < 2 or num_train <= probe.samples:
        return probe.value
    (few, before), (many, after) = probe.history[-2:]
    return min(probe.value + MOST_GAIN, power_law(few, before, many, after, num_train))


def enough(trials: Sequence[Trial], seconds: float) -> float | None:
    """The seconds of training after which nothing more is to be gained, if the race has shown that; else None.

    It has if a longer trial was not better than a shorter one, though it knew its training samples by heart; or if no
    sample of many was wrong.
    """
    trained = sorted((trial for trial in trials if trial.rung > 0), key=lambda trial: trial.seconds)
    if not trained:
        return None
    last = trained[-1]
    no_better = len(trained) > 1 and last.value <= trained[0].value
    perfect = last.value >= 1 - 0.5 / max(1, last.scored) and last.low >= SURE
    if not (perfect or (no_better and last.trained >= BY_HEART)):
        return None
    wanted = LONGER * last.total_seconds
    return wanted if wanted < 0.9 * seconds else None


def outgrown(best: int, shown: Trial, candidates: Sequence[Candidate], seconds: float) -> int | None:
    """The place of the largest network of the winner's family that the time suffices for; None: the winner is right.

    A race of short trials favours small networks, whose error then falls no further. One that still errs on the images
    that it was trained on, as often as on others, is too small.
    """
    family = candidates[best].family
    if not family or shown.rung != 2 or shown.trained >= FITS or shown.trained - shown.value > OVERFITS:
        return None
    for place in range(len(candidates) - 1, best, -1):
        pace = candidates[place].image_seconds
        if candidates[place].family == family and pace is not None and seconds / pace >= LARGE_SAMPLES:
            return place
    return None


def explain_larger(shown: Trial, larger: Candidate, seconds: float) -> str:
    """Why a larger network than the winner is trained."""
    assert larger.image_seconds is not None
    count = seconds / larger.image_seconds
    return (
        f"{shown.name} won the race with {percent(shown)}, but is right about only {shown.trained:.1%} of its training "
        f"images: it is too small. About {count:,.0f} images go through this one in {seconds:.0f} s"
    )


def explain(shown: Trial, others: Sequence[Trial], expected: Mapping[int, float], seconds: float) -> str:
    """Why this one, in a sentence with its figures; `expected` is what each candidate promises, by its place."""
    text = f"{percent(shown)} after {shown.total_seconds:.0f} s in the race"
    own = expected[shown.candidate]
    if own > shown.value + 0.0005:
        text += f", {own:.1%} expected after {seconds:.0f} s"
    if others:
        other = others[0]
        verdict = "" if differ(shown, other) else ", no more than chance apart by now"
        if expected[other.candidate] > own:
            verdict = f", expected to be better, but by {other.scored:,} samples alone"
        text += f"; next {other.name}: {percent(other)}{verdict}"
    return text


def percent(trial: Trial) -> str:
    return f"{trial.value:.1%} [{trial.low:.1%}, {trial.high:.1%}]"


def gain(trials: Sequence[Trial], of: Callable[[Sequence[Trial]], float]) -> tuple[float, float, float] | None:
    """A figure of trials with its 95% interval, by drawing their values from their intervals; None from one trial."""
    trained = [trial for trial in trials if trial.rung > 0]
    if len(trained) < 2:
        return None
    return spread(of(trained), [of([redraw(trial, draw) for trial, draw in zip(trained, row, strict=True)])
                                for row in draws(len(trained))])  # fmt: skip


def more_samples(own: Sequence[Trial], everyone: Sequence[Trial]) -> tuple[float, float, float] | None:
    """The gain from twice the samples, by the candidate's learning curve, or that of the best probe."""
    curves = [trial for trial in (*own, *everyone) if trial.rung == 0 and len(trial.history) > 1]
    if not curves:
        return None
    curve = max(curves, key=lambda trial: trial.value)
    (few, before), (many, after) = curve.history[-2:]

    def added(before: float, after: float) -> float:
        return power_law(few, before, many, after, 2 * many) - after

    deviation = (curve.high - curve.low) / 3.92
    found = [
        added(min(1, before + deviation * math.sqrt(many / few) * one), min(1, after + deviation * two))
        for one, two in draws(2)
    ]
    return spread(added(before, after), found)


def draws(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Standard normal draws (1000, count), the same ones always."""
    return np.random.default_rng(0).standard_normal((DRAWS, count))


def redraw(trial: Trial, draw: float) -> Trial:
    """The trial with another value from its interval."""
    value = min(1.0, trial.value + draw * (trial.high - trial.low) / 3.92)
    return Trial.from_json({**trial.to_json(), "value": value})


def spread(value: float, found: Sequence[float]) -> tuple[float, float, float]:
    low, high = np.percentile(found, [2.5, 97.5])
    return value, min(value, float(low)), max(value, float(high))
