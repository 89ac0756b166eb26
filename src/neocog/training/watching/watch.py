"""Watching a run: what the training loop tells, and what becomes of it."""

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neocog.training.watching.board import Board
from neocog.training.watching.config import WatchConfig
from neocog.training.watching.look import Look, Streaks
from neocog.training.watching.rates import peak_memory, rates
from neocog.training.watching.signs import dead_layers, parting_curves, slow_data, still_loss
from neocog.training.watching.stages import stages_of
from neocog.training.watching.told import Log, Told

__all__ = ["Watch"]

CHECKED = 3  # steps of each epoch in which layers are looked at
FIRST_CHECKED = 8  # of an epoch: zeros that a network begins with are gone by then


class Watch:
    """Told of each step by the loop, it notes how training goes: events `step`, `norms`, `speed` and `warning`.

    Within an epoch the loop calls `waited` when a batch has come, `begin` before the forward pass, `gradients` after
    the backward pass and before anything is clipped, and `step` after the update. `epoch` comes after validation, and
    `close` at the end, whatever happened. Nothing is computed in a step that is not looked at.
    """

    def __init__(
        self,
        config: WatchConfig,
        model: nn.Module,
        log: Log,
        *,
        device: torch.device,
        num_classes: int = 0,
        flops: int = 0,
        peak: float | None = None,
        compiled: bool = False,
        step: int = 0,
        history: Iterable[Mapping[str, float]] = (),
        told: Iterable[tuple[str, str]] = (),
        folder: Path | None = None,
    ) -> None:
        """Args:

        log: where events go, such as `Run.log`.
        flops: of the forward pass of one sample; 0: not known.
        peak: FLOP/s of the device in the precision of training; None: not measured.
        compiled: the loop runs a compiled form of the model, so that hooks would see nothing.
        step: updates made before, where a run is resumed; `history` and `told` are those of then.
        folder: of TensorBoard's files, if the config wants them.
        """
        self.config, self.model, self.device = config, model, device
        self.num_classes, self.flops, self.peak, self.compiled = num_classes, flops, peak, compiled
        self.stages = stages_of(model)
        self.history = list(history)
        self.board = Board(folder, step) if config.tensorboard and folder is not None else None
        self.log = log
        self.updates = step
        self.told = Told(self.tell, told)
        self.streaks = Streaks(CHECKED)
        self.look: Look | None = None
        self.start_epoch(0, 0)

    def start_epoch(self, epoch: int, num_steps: int) -> None:
        """An epoch begins, or goes on after a stop; it has so many steps."""
        self.num_steps = num_steps
        first = epoch * num_steps + max(0, min(FIRST_CHECKED, num_steps - CHECKED))
        self.checked = range(first, min(first + CHECKED, (epoch + 1) * num_steps)) if self.config.warnings else range(0)
        self.began = self.until = self.logged = time.perf_counter()
        self.log_at = self.began + (self.config.log_seconds or math.inf)
        self.num_samples = self.logged_samples = 0
        self.waiting = self.logged_waiting = 0.0

    def waited(self, seconds: float) -> None:
        """The loop had to wait so long for its batch."""
        self.waiting += seconds

    def begin(self, step: int, inputs: Tensor) -> None:
        """A step begins, after `step` updates. A step that is looked at gets hooks."""
        norms = self.config.norms_every
        if step in self.checked or (norms and (step + 1) % norms == 0):
            self.look = Look(self.model, self.stages, check=step in self.checked)
            if self.compiled:
                self.look.run(inputs)

    def gradients(self) -> None:
        """All gradients of the step are there, in their true size."""
        if self.look is not None:
            self.look.read_gradients()

    def step(self, step: int, loss: float, lr: float, num_samples: int) -> None:
        """A step ends, with `step` updates made."""
        self.updates = step
        self.num_samples += num_samples
        if self.look is not None:
            self.finish_look(self.look, loss)
        self.until = time.perf_counter()
        every = self.config.log_every
        if self.until >= self.log_at or (every and step % every == 0):
            self.log_step(loss, lr)

    def log_step(self, loss: float, lr: float) -> None:
        """Note a step, with the speed since the last that was noted."""
        speed = rates(
            seconds=self.until - self.logged,
            samples=self.num_samples - self.logged_samples,
            waited=self.waiting - self.logged_waiting,
        )
        self.tell("step", loss=loss, lr=lr, **speed)
        self.logged, self.logged_samples, self.logged_waiting = self.until, self.num_samples, self.waiting
        self.log_at = self.until + (self.config.log_seconds or math.inf)

    def finish_look(self, look: Look, loss: float) -> None:
        """Note what was seen in a step."""
        self.look = None
        look.remove()
        every = self.config.norms_every
        if every and self.updates % every == 0:
            self.tell("norms", gradients=look.gradient_norms(), activations=look.activation_sizes())
        if look.check:
            activations, layers = (self.told.new("dead", found) for found in self.streaks.add(*look.dead(loss)))
            self.told.tell("dead", dead_layers(activations, layers, CHECKED), [*activations, *layers])

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch is trained and validated; `row` is what the history says of it."""
        self.history.append(row)
        seconds = self.until - self.began
        if self.board is not None:
            self.board.add("epoch", self.updates, row)
        if self.num_samples:  # else a resumed epoch had nothing left but its validation
            speed = rates(
                seconds=seconds, samples=self.num_samples, waited=self.waiting, flops=self.flops, peak=self.peak
            )  # fmt: skip
            memory = peak_memory(self.device)
            self.tell("speed", epoch=row["epoch"], **speed, peak_memory_bytes=memory)
        if self.config.warnings:
            self.told.tell("data", slow_data(len(self.history), seconds, self.waiting))
            self.told.tell("curves", parting_curves(self.history))
            if len(self.history) == 1:
                self.told.tell("loss", still_loss(row, self.num_classes, self.num_steps))

    def tell(self, event: str, **facts: Any) -> None:
        """Write an event to the log, and its numbers to TensorBoard; what is no finite number is null."""
        facts = {name: finite(value) for name, value in facts.items()}
        self.log(event, step=self.updates, **facts)
        if self.board is not None:
            self.board.add(event, self.updates, facts)

    def close(self) -> None:
        """Take away what is left of a step that was broken off, and close TensorBoard's files."""
        if self.look is not None:
            self.look.remove()
            self.look = None
        if self.board is not None:
            self.board.close()


def finite(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
