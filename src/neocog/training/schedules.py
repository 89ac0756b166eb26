"""The learning rate as a pure function of the step, so that there is nothing to save or restore."""

import math
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS

__all__ = ["ScheduleConfig", "learning_rate"]

FIELDS = {
    "constant": {"warmup_epochs"},
    "step": {"warmup_epochs", "step_epochs", "gamma"},
    "cosine": {"warmup_epochs", "final"},
    "one_cycle": {"rise"},
}
START, END = 1 / 25, 1 / (25 * 1e4)  # of one-cycle, as shares of its peak


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class ScheduleConfig:
    """How the learning rate moves."""

    name: Literal["constant", "step", "cosine", "one_cycle"] = "cosine"
    """Its course after warm-up."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Rise linearly to the full rate over so many epochs (not one_cycle, which rises by itself)."""
    step_epochs: Annotated[float, Field(ge=0.001)] = 10.0
    """Multiply by gamma every so many epochs (step)."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The factor of each step (step)."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the full rate that is left at the end (cosine)."""
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of all steps in which the rate rises (one_cycle)."""

    def ignored(self) -> dict[str, str]:
        others = set().union(*FIELDS.values()) - FIELDS[self.name]
        return {field: f"the schedule {self.name} has no {field}" for field in sorted(others)}


def learning_rate(config: ScheduleConfig, peak: float, step: int, num_steps: int, epoch_steps: int) -> float:
    """The rate of one step, 0 <= step < num_steps, where an epoch has `epoch_steps`.

    Sources: Loshchilov & Hutter 2017 (cosine, equation 5); Smith & Topin 2018 (one-cycle, with cosine slopes).

    >>> cosine = ScheduleConfig(name="cosine", warmup_epochs=1)
    >>> [round(learning_rate(cosine, 1.0, step, 8, 2), 3) for step in range(8)]
    [0.5, 1.0, 1.0, 0.933, 0.75, 0.5, 0.25, 0.067]
    """
    if config.name == "one_cycle":
        return peak * one_cycle(step, num_steps, config.rise)
    warmup = min(round(config.warmup_epochs * epoch_steps), num_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    match config.name:
        case "constant":
            return peak
        case "step":
            return peak * config.gamma ** math.floor(step / (config.step_epochs * epoch_steps))
        case "cosine":
            through = (step - warmup) / (num_steps - warmup)
            return peak * slope(1.0, config.final, through)


def one_cycle(step: int, num_steps: int, rise: float) -> float:
    """Up from 1/25 to 1 within the first share of the steps, then down to a 250,000th."""
    top = rise * num_steps - 1
    if step <= top:
        return slope(START, 1.0, step / top) if top > 0 else 1.0
    return slope(1.0, END, (step - top) / (num_steps - 1 - top))


def slope(start: float, end: float, through: float) -> float:
    """Half a cosine from start to end, 0 <= through <= 1."""
    return end + (start - end) * (1 + math.cos(math.pi * through)) / 2
