"""The learning-rate range test: one short training in which the rate rises until the loss does."""

import copy
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neocog.errors import ConfigError, DivergenceError
from neocog.progress import Bar
from neocog.tasks import Task
from neocog.training.config import TrainConfig
from neocog.training.divergence import first_nonfinite
from neocog.training.engine import Arithmetic
from neocog.training.finders.suggest import Suggestion, propose, smooth, suggest
from neocog.training.finders.trial import Batches, Trial, own_randomness
from neocog.training.optimizers import OptimizerConfig
from neocog.training.speed import PLAIN
from neocog.training.step import NotFiniteError

__all__ = ["RateCurve", "range_test"]

LOW, HIGH, STEPS = 1e-7, 10.0, 100
FEWEST = 10  # points in which a fall can be told from noise
RISE = 4  # times its best: a smoothed loss above it has diverged
FLAT = 4  # the first quarter of the curve, where rates are too low for anything to happen, shows the noise


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Losses at rising learning rates, and the rates that they suggest."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Of one batch each, before its update."""
    smoothed: tuple[float, ...]
    stopped: str
    """Why the test ended where it did."""
    suggestions: tuple[Suggestion, ...]
    """By rising rate."""

    @property
    def proposed(self) -> Suggestion:
        return propose(self.suggestions)[0]

    @property
    def reason(self) -> str:
        """Why this one is proposed."""
        return propose(self.suggestions)[1]

    @property
    def rate(self) -> float:
        """The proposed learning rate in two digits, which is more than it is known to."""
        return float(f"{self.proposed.rate:.2g}")

    def to_json(self) -> dict[str, Any]:
        """The curve as numbers, strings and lists."""
        return {"rate": self.rate, "proposed": self.proposed.rule, "reason": self.reason, **asdict(self)}


def range_test(
    model: nn.Module,
    batches: Batches,
    task: Task,
    *,
    optimizer: OptimizerConfig,
    config: TrainConfig,
    arithmetic: Arithmetic = PLAIN,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
) -> RateCurve:
    """Train a copy of the network for some steps at rates that rise geometrically from `low` to `high`.

        rate_i = low * (high / low)**(i / (steps - 1))

    It ends where the smoothed loss is above four times its best, or the loss is no finite number. Optimiser, clipping,
    batches and their augmentation are the run's; the network, torch's generators and the batches are left as they are.

    Raises ConfigError for a range that is none, or that begins too high; DivergenceError where the loss of the first
    batch is no finite number, or the loss does not fall at any rate.
    Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
    """
    check_range(low, high, steps)
    planned = [float(rate) for rate in np.geomspace(low, high, steps)]
    batches = copy.copy(batches)  # a loader keeps its last batches; the caller's are not pushed out
    losses: list[float] = []
    best = math.inf
    stopped = f"the rates end at {high:g}"
    trial = Trial(model, task, optimizer, config, arithmetic=arithmetic)
    with own_randomness(model), Bar("range test", steps) as bar:
        for step, rate in enumerate(planned):
            try:
                losses.append(trial.gradients(batches.batch(*divmod(step, batches.num_steps))))
            except NotFiniteError as error:
                if not losses:
                    raise no_loss(trial.training.model, error.images, error.loss) from None
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
    """What was measured, with what follows from it. Raises ConfigError or DivergenceError where nothing does."""
    if len(losses) < FEWEST:
        raise ConfigError(
            f"A range test needs {FEWEST} losses before it diverges. Received: {len(losses)}, from rates "
            f"{rates[0]:.2g} to {rates[-1]:.2g}; {stopped}. Begin lower: --low {rates[0] / 1000:.1g}"
        )
    smoothed = smooth(rates, losses)
    logs, noise = np.log(smoothed), spread(losses, smoothed)
    if logs[0] - logs.min() <= noise:
        raise DivergenceError(
            f"A learning rate is found where the loss falls. From {rates[0]:.2g} to {rates[-1]:.2g} it went from "
            f"{smoothed[0]:.4g} to {smoothed.min():.4g} at best, no more than batches differ by ({noise:.1%}). "
            "Take more steps (--steps 300), larger batches (--train.batch_size), or check the labels: neocog check DATA"
        )
    return RateCurve(tuple(rates), tuple(losses), tuple(smoothed.tolist()), stopped, suggest(rates, smoothed.tolist()))


def spread(losses: list[float], smoothed: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """By what share losses differ from batch to batch: the deviation from the curve, where it is still flat."""
    flat = max(len(losses) // FLAT, 2)
    tiny = np.finfo(np.float64).tiny
    return float(np.std(np.log(np.maximum(losses[:flat], tiny)) - np.log(smoothed[:flat])))


def check_range(low: float, high: float, steps: int) -> None:
    if not 0 < low < high < math.inf:
        raise ConfigError(f"Rates rise from --low to --high, both above 0. Received: {low:g} and {high:g}.")
    if steps < FEWEST:
        raise ConfigError(f"A range test needs at least {FEWEST} steps. Received: --steps {steps}.")


def no_loss(model: nn.Module, inputs: Tensor, value: float) -> DivergenceError:
    """The error that says where a loss that never was a number first failed to be one."""
    with torch.no_grad():
        where = first_nonfinite(model, inputs)
    return DivergenceError(
        f"The loss must be a number before the first update. It is {describe(value)} on the first batch; it first "
        f"appears in {where}. No learning rate mends that: look at the data (neocog check DATA) and the first weights."
    )


def describe(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
