"""The learning-rate finder: one short training in which the rate rises until the loss does."""

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.errors import ConfigError, DivergenceError
from neocog.progress import Bar
from neocog.tasks import Task
from neocog.training.divergence import first_nonfinite
from neocog.training.finders.trial import Batches, Trial, TrialSettings, own_randomness
from neocog.training.step import NotFiniteError

__all__ = ["RateCurve", "Suggestion", "propose", "range_test", "smooth", "suggest"]

WIDTH = 0.2  # decades of the learning rate: the standard deviation of the smoothing kernel
SMALLEST = np.finfo(np.float64).tiny  # a loss of zero still has a logarithm

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A learning rate, the rule that gives it, and the rule in words."""

    rule: str
    rate: float
    why: str


def smooth(rates: Sequence[float], losses: Sequence[float], at: Sequence[float] | None = None) -> Values:
    """The geometric mean of losses at rates near each of these, by default each itself, with Gaussian weights.

        log s_i = sum_j w_ij log l_j / sum_j w_ij,    w_ij = exp(-(log10 r_i - log10 r_j)**2 / (2 * 0.2**2))

    Unlike a moving average over the past it does not lag, which would shift every suggestion to higher rates. A single
    huge loss, as before a divergence, barely moves a geometric mean. Shapes: (n,), (n,), (m,) -> (m,).

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
    """The suggestions of all rules for a curve, by rising rate.

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
    """The suggestion to train with, and why.

    It is the steepest point, for the peak of a schedule, whose other rates are lower. It is trusted from a tenth of the
    minimum on: a steepest point below that is noise, or the start of a long slow fall.
    """
    rules = {suggestion.rule: suggestion for suggestion in suggestions}
    fastest, careful = rules["steepest"], rules["minimum / 10"]
    if fastest.rate < careful.rate:
        return careful, f"{careful.why}, since the loss falls fastest far below it, at {fastest.rate:.2g}"
    return fastest, f"{fastest.why}, within a factor of ten of where it is lowest; the other rules are more careful"


def steepest(places: Values, curve: Values, lowest: int) -> int:
    """The point, at or before the lowest, at which the curve falls fastest."""
    return int(np.gradient(curve, places)[: lowest + 1].argmin())


def valley(curve: Values) -> int:
    """The middle of the longest decreasing subsequence, as if its points were adjacent and ended at its end.

    >>> valley(np.array([5.0, 5.1, 5.0, 4.0, 3.0, 2.0, 1.0, 9.0]))
    3
    """
    lengths = np.ones(len(curve), np.int64)
    for i in range(1, len(curve)):
        above = lengths[:i][curve[:i] > curve[i]]
        lengths[i] += above.max(initial=0)
    end, length = int(lengths.argmax()), int(lengths.max())
    return end - length // 2


LOW, HIGH, STEPS = 1e-7, 10.0, 100
FEWEST = 10  # points that tell a fall from noise
RISE = 4  # times its best: a smoothed loss above it has diverged
FLAT = 4  # the first quarter of the curve, at rates too low to have an effect, shows the noise


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Losses at rising learning rates, and the suggested rates."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Of one batch each, before its update."""
    smoothed: tuple[float, ...]
    stopped: str
    """Why the test ended."""
    suggestions: tuple[Suggestion, ...]
    """By rising rate."""

    @property
    def proposed(self) -> Suggestion:
        return propose(self.suggestions)[0]

    @property
    def reason(self) -> str:
        """Why this rate is proposed."""
        return propose(self.suggestions)[1]

    @property
    def rate(self) -> float:
        """The proposed learning rate in two digits, more than its accuracy."""
        return float(f"{self.proposed.rate:.2g}")

    def to_json(self) -> dict[str, Any]:
        """The curve as numbers, strings and lists."""
        return {"rate": self.rate, "proposed": self.proposed.rule, "reason": self.reason, **asdict(self)}


def range_test(
    model: nn.Module,
    batches: Batches,
    task: Task,
    settings: TrialSettings,
    *,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
) -> RateCurve:
    """Train a copy of the network for some steps at rates that rise geometrically from `low` to `high`.

        rate_i = low * (high / low)**(i / (steps - 1))

    It ends if the smoothed loss exceeds four times its best, or the loss is not finite. Optimiser, clipping, batches
    and their augmentation are the run's; the network, torch's generators and the batches are left as they are.

    Raises ConfigError for an empty range, or one that begins too high; DivergenceError if the loss of the first batch
    is not finite, or the loss does not fall at any rate.
    Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
    """
    check_range(low, high, steps)
    planned = [float(rate) for rate in np.geomspace(low, high, steps)]
    batches = copy.copy(batches)  # a loader keeps its last batches; the caller's are not pushed out
    losses: list[float] = []
    best = math.inf
    stopped = f"the range ends at {high:g}"
    trial = Trial(model, task, settings)
    with own_randomness(model), Bar("range test", steps) as bar:
        for step, rate in enumerate(planned):
            try:
                losses.append(trial.gradients(batches.batch(*divmod(step, batches.num_steps))))
            except NotFiniteError as error:
                if not losses:
                    raise describe_first_loss(trial.training.model, error.images, error.loss) from None
                stopped = f"the loss became {describe(error.loss)} after updates up to {planned[step - 1]:.2g}"
                break
            newest = float(smooth(planned[: step + 1], losses, [rate])[0])
            best = min(best, newest)
            if newest > RISE * best:
                stopped = f"the smoothed loss rose to {RISE} times its best at {rate:.2g}"
                break
            trial.update(rate)
            bar.draw(step, f"rate {rate:.1e}  loss {losses[-1]:.4f}")
    return curve_of(planned[: len(losses)], losses, stopped)


def curve_of(rates: list[float], losses: list[float], stopped: str) -> RateCurve:
    """The measured curve with its suggestions. Raises ConfigError or DivergenceError if it allows none."""
    if len(losses) < FEWEST:
        raise ConfigError(
            f"A range test needs {FEWEST} losses before it diverges.",
            received=f"{len(losses)}, from rates {rates[0]:.2g} to {rates[-1]:.2g}; {stopped}",
            fix=f"Start lower: --low {rates[0] / 1000:.1g}",
        )
    smoothed = smooth(rates, losses)
    logs, noise = np.log(smoothed), spread(losses, smoothed)
    if logs[0] - logs.min() <= noise:
        raise DivergenceError(
            "The learning-rate finder needs a loss that falls.",
            received=f"a loss from {smoothed[0]:.4g} to {smoothed.min():.4g} at best, between rates {rates[0]:.2g} and "
            f"{rates[-1]:.2g}, no more than batches differ by ({noise:.1%})",
            fix="Take more steps (--steps 300), larger batches (--train.batch_size), or check the labels: neocog check "
            "DATA",
        )
    return RateCurve(tuple(rates), tuple(losses), tuple(smoothed.tolist()), stopped, suggest(rates, smoothed.tolist()))


def spread(losses: list[float], smoothed: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The relative spread of losses between batches: the deviation from the curve while it is still flat."""
    flat = max(len(losses) // FLAT, 2)
    tiny = np.finfo(np.float64).tiny
    return float(np.std(np.log(np.maximum(losses[:flat], tiny)) - np.log(smoothed[:flat])))


def check_range(low: float, high: float, steps: int) -> None:
    if not 0 < low < high < math.inf:
        raise ConfigError("Rates must rise from --low to --high, both above 0.", received=f"{low:g} and {high:g}")
    if steps < FEWEST:
        raise ConfigError(f"A range test needs at least {FEWEST} steps.", received=f"--steps {steps}")


def describe_first_loss(model: nn.Module, inputs: Tensor, value: float) -> DivergenceError:
    """The error that says where the loss of the first batch became NaN or infinite."""
    with torch.no_grad():
        where = first_nonfinite(model, inputs)
    return DivergenceError(
        f"The loss must be finite before the first update. On the first batch it is {describe(value)}; "
        f"it first appears in {where}.",
        fix="No learning rate helps: check the data (neocog check DATA) and the initial weights.",
    )


def describe(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
