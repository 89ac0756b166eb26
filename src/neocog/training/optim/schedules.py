"""The learning rate as a pure function of the step, so that there is nothing to save or restore."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from neocog.errors import ConfigError
from neocog.settings import SETTINGS
from neocog.training.optim.phases import check_phases, phase_share, read_phases

__all__ = ["ScheduleConfig", "check_schedule", "learning_rate"]

FIELDS = {
    "constant": {"warmup_epochs"},
    "step": {"warmup_epochs", "step_epochs", "gamma"},
    "cosine": {"warmup_epochs", "final"},
    "linear": {"warmup_epochs", "final"},
    "polynomial": {"warmup_epochs", "final", "power"},
    "restarts": {"warmup_epochs", "final", "restart_epochs", "restart_factor"},
    "triangular": {"rise", "final"},
    "one_cycle": {"rise"},
    "sequence": {"phases"},
}
START, END = 1 / 25, 1 / (25 * 1e4)  # of one-cycle, as shares of its peak


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class ScheduleConfig:
    """The learning rate over the cycle of training."""

    name: Literal[
        "constant", "step", "cosine", "one_cycle", "linear", "polynomial", "triangular", "restarts", "sequence"
    ] = "cosine"
    """Its curve after warm-up."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Rise linearly to the full rate over this many epochs (not for one_cycle and triangular, which rise anyway, nor
    for sequence, whose phases say it)."""
    step_epochs: Annotated[float, Field(ge=0.001)] = 10.0
    """Multiply by gamma every N epochs (step)."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The factor of each step (step)."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the full rate at the end (cosine, linear, polynomial, triangular), or at the end of each cycle
    (restarts)."""
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of all steps in which the rate rises (one_cycle, triangular)."""
    power: Annotated[float, Field(gt=0)] = 2.0
    """The rate falls as this power of the remaining share of training (polynomial)."""
    restart_epochs: Annotated[float, Field(ge=0.001)] = 10.0
    """Epochs of the first cosine cycle; then the full rate returns (restarts)."""
    restart_factor: Annotated[float, Field(ge=1)] = 2.0
    """Factor by which each cycle is longer than the one before (restarts)."""
    phases: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(check_phases)] = (
        "linear 1 from 0 to 1",
        "cosine 9 to 0",
    )
    """Phases one after the other, in shares of the full rate (sequence): linear EPOCHS [from SHARE] to SHARE, cosine
    EPOCHS [from SHARE] to SHARE, constant EPOCHS [at SHARE]."""

    def ignored(self) -> dict[str, str]:
        others = set().union(*FIELDS.values()) - FIELDS[self.name]
        return {field: f"the schedule {self.name} has no {field}" for field in sorted(others)}


def check_schedule(config: ScheduleConfig, epochs: int) -> None:
    """Raises ConfigError if phases and training differ in length."""
    total = sum(phase.epochs for phase in read_phases(config.phases))
    if config.name == "sequence" and not math.isclose(total, epochs, abs_tol=1e-6):
        raise ConfigError(
            "The phases of a schedule must last as long as training.",
            received=f"schedule.phases of {total:g} epochs in all, train.epochs={epochs}",
            fix="Change one of them.",
        )


def learning_rate(config: ScheduleConfig, peak: float, step: float, num_steps: int, epoch_steps: int) -> float:
    """The rate of one step, 0 <= step < num_steps, with `epoch_steps` steps in an epoch.

    If a run has another number of steps than it was planned with, a step of it lies between two of the plan.

    Sources: Loshchilov & Hutter 2017 (cosine and restarts, equation 5); Smith & Topin 2018 (one-cycle, with cosine
    slopes); Smith 2017 (triangular, one cycle of it).

    >>> cosine = ScheduleConfig(name="cosine", warmup_epochs=1)
    >>> [round(learning_rate(cosine, 1.0, step, 8, 2), 3) for step in range(8)]
    [0.5, 1.0, 1.0, 0.933, 0.75, 0.5, 0.25, 0.067]
    """
    if config.name == "one_cycle":
        return peak * one_cycle(step, num_steps, config.rise)
    if config.name == "sequence":
        return peak * phase_share(read_phases(config.phases), step, epoch_steps)
    rising = config.rise * num_steps if config.name == "triangular" else config.warmup_epochs * epoch_steps
    warmup = min(round(rising), num_steps)
    if step < warmup:
        return peak * min(step + 1, warmup) / warmup
    through = (step - warmup) / (num_steps - warmup)
    match config.name:
        case "constant":
            return peak
        case "step":
            return peak * config.gamma ** math.floor(step / (config.step_epochs * epoch_steps))
        case "cosine":
            return peak * slope(1.0, config.final, through)
        case "linear" | "triangular":
            return peak * (1 - (1 - config.final) * through)
        case "polynomial":
            return peak * (config.final + (1 - config.final) * math.pow(1 - through, config.power))
        case "restarts":
            since = since_restart(step - warmup, config.restart_epochs * epoch_steps, config.restart_factor)
            return peak * slope(1.0, config.final, since)


def since_restart(step: float, length: float, factor: float) -> float:
    """The share of its cosine cycle that has passed at a step; cycles last `length`, `length * factor`, .. steps.

    Each is rounded to whole steps, so that every cycle begins at the full rate.
    """
    if factor == 1:
        cycle = max(1, round(length))
        return step % cycle / cycle
    while step >= (cycle := max(1, round(length))):
        step, length = step - cycle, length * factor
    return step / cycle


def one_cycle(step: float, num_steps: int, rise: float) -> float:
    """Up from 1/25 to 1 within the first share of the steps, then down to a 250,000th."""
    top = rise * num_steps - 1
    if step <= top:
        return slope(START, 1.0, step / top) if top > 0 else 1.0
    return slope(1.0, END, min(1.0, (step - top) / (num_steps - 1 - top)))


def slope(start: float, end: float, through: float) -> float:
    """Half a cosine from start to end, 0 <= through <= 1."""
    return end + (start - end) * (1 + math.cos(math.pi * through)) / 2
