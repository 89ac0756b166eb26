"""The running loss, progress metric and speed of an epoch."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from neocog.errors import DivergenceError
from neocog.tasks import Task
from neocog.training.state import State
from neocog.training.step import StepLoss

__all__ = ["METER_STEPS", "Meter"]

METER_STEPS = 16  # steps whose logits are scored at once, and whose losses on a GPU are read at once


class Meter:
    """The running loss, progress metric and speed of an epoch, at a few microseconds per step.

    The sums live in the state, so that they survive a kill; losses and logits wait until several steps can be read and
    scored at once. `explain` gives the error for a loss that was not finite, by its step, its part of it and its value.
    """

    def __init__(self, state: State, task: Task, explain: Callable[[int, int, float], DivergenceError]) -> None:
        self.state, self.task, self.explain = state, task, explain
        self.waiting: list[tuple[int, StepLoss, Tensor, Tensor]] = []
        self.since = time.perf_counter()

    def add(self, step: int, loss: StepLoss, logits: Tensor, targets: Tensor) -> None:
        self.waiting.append((step, loss, logits, targets))
        if len(self.waiting) == (1 if self.task.dense else METER_STEPS):
            self.flush()

    def flush(self) -> None:
        """Read and score what waits, and bring the sums up to date. Raises DivergenceError."""
        if self.waiting:
            steps, losses, logits, targets = zip(*self.waiting, strict=True)
            self.waiting.clear()
            for step, loss, values, batch in zip(steps, losses, read_losses(losses), targets, strict=True):
                wrong = next((part for part, value in enumerate(values) if not math.isfinite(value)), None)
                if wrong is not None:
                    raise self.explain(step, wrong, values[wrong])
                self.state.loss_sum += loss.mean(values) * len(batch)
                self.state.num_seen += len(batch)
            self.state.progress_sum += self.task.progress_sum(torch.cat(logits), torch.cat(targets))
        now = time.perf_counter()
        self.state.seconds += now - self.since
        self.since = now

    def text(self) -> str:
        """The text of the bar: loss, progress metric, samples per second."""
        self.flush()
        s, task = self.state, self.task
        progress = format(s.progress_sum / s.num_seen, ".2%" if task.progress_percent else ".4f")
        return (
            f"loss {s.loss_sum / s.num_seen:.4f}  {task.progress_metric} {progress}  "
            f"{s.num_seen / max(s.seconds, 1e-9):,.0f}/s"
        )


def read_losses(losses: tuple[StepLoss, ...]) -> list[list[float]]:
    """The values of each step's parts, those on the device in one transfer."""
    tensors = [part for loss in losses for part in loss.parts if isinstance(part, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return [[next(read) if isinstance(part, Tensor) else part for part in loss.parts] for loss in losses]
