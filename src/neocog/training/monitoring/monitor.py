"""The monitor: it follows a run from step to step and reports how training goes."""

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, SupportsFloat

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from neocog.settings import SETTINGS
from neocog.training.monitoring.diagnostics import dead_layers, overfitting, plateau, slow_data
from neocog.training.monitoring.probes import StepProbe, Streaks, find_stages
from neocog.training.monitoring.tensorboard import TensorBoardWriter, import_writer
from neocog.training.monitoring.throughput import measure_peak_memory, throughput
from neocog.training.monitoring.warn_once import Log, WarnOnce

__all__ = ["NO_MONITOR", "Monitor", "MonitorConfig", "check_monitor", "null_log"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class MonitorConfig:
    """The figures recorded and the checks made during training."""

    log_seconds: Annotated[float, Field(ge=0)] = 10.0
    """Log loss, learning rate and speed to events.jsonl every N seconds; 0: off."""
    log_every: Annotated[int, Field(ge=0)] = 0
    """Also log them every N steps; 0: off."""
    norms_every: Annotated[int, Field(ge=0)] = 0
    """Log the norms of gradients and activations of each stage every N steps; 0: off."""
    warnings: bool = True
    """Warn, with the reason, about slow data loading, dead layers, a loss plateau and overfitting."""
    tensorboard: bool = False
    """Also write all of this for TensorBoard, into the run folder."""


NO_MONITOR = MonitorConfig(log_seconds=0, warnings=False)


def check_monitor(config: MonitorConfig) -> None:
    """Raises ConfigError if a setting needs something that is not installed; before a run leaves anything behind."""
    if config.tensorboard:
        import_writer()


def null_log(event: str, **facts: Any) -> None:
    """A log that keeps nothing."""


CHECKED = 3  # steps of each epoch in which layers are probed
FIRST_CHECKED = 8  # of an epoch: zeros of the initial weights are gone by then


class Monitor:
    """WarnOnce of each step by the loop, it logs how training goes: events `step`, `norms`, `speed` and `warning`.

    Within an epoch the loop calls `add_waiting` when a batch has arrived, `begin_step` before the forward pass,
    `read_gradients` after the backward pass and before any clipping, and `end_step` after the update. `end_epoch`
    follows validation, and `close` comes at the end, whatever happened. Nothing is computed in a step that is not
    probed, and a loss on the device is read only in steps that are probed or logged.
    """

    def __init__(
        self,
        config: MonitorConfig,
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
        warned: Iterable[tuple[str, str]] = (),
        folder: Path | None = None,
    ) -> None:
        """Args:

        log: where events go, such as `Run.log`.
        flops: of the forward pass of one sample; 0: unknown.
        peak: FLOP/s of the device at the precision of training; None: not measured.
        compiled: the loop runs a compiled form of the model, in which hooks have no effect.
        step: updates made before a resumed run; `history` and `warned` are those of that time.
        folder: for TensorBoard's files, if the config asks for them.
        """
        self.config, self.model, self.device = config, model, device
        self.num_classes, self.flops, self.peak, self.compiled = num_classes, flops, peak, compiled
        self.stages = find_stages(model)
        self.history = list(history)
        self.tensorboard = TensorBoardWriter(folder, step) if config.tensorboard and folder is not None else None
        self.log = log
        self.updates = step
        self.warnings = WarnOnce(self.emit, warned)
        self.streaks = Streaks(CHECKED)
        self.probe: StepProbe | None = None
        self.start_epoch(0, 0)

    def start_epoch(self, epoch: int, num_steps: int) -> None:
        """An epoch of this many steps begins, or continues after a stop."""
        self.num_steps = num_steps
        first = epoch * num_steps + max(0, min(FIRST_CHECKED, num_steps - CHECKED))
        self.checked = range(first, min(first + CHECKED, (epoch + 1) * num_steps)) if self.config.warnings else range(0)
        self.began = self.until = self.logged = time.perf_counter()
        self.log_at = self.began + (self.config.log_seconds or math.inf)
        self.num_samples = self.logged_samples = 0
        self.waiting = self.logged_waiting = 0.0

    def add_waiting(self, seconds: float) -> None:
        """The loop waited this long for its batch."""
        self.waiting += seconds

    def begin_step(self, step: int, inputs: Tensor) -> None:
        """A step begins, after `step` updates. A step that is probed gets hooks."""
        norms = self.config.norms_every
        if step in self.checked or (norms and (step + 1) % norms == 0):
            self.probe = StepProbe(self.model, self.stages, check=step in self.checked)
            if self.compiled:
                self.probe.run(inputs)

    def read_gradients(self) -> None:
        """All gradients of the step are complete, at their true scale."""
        if self.probe is not None:
            self.probe.read_gradients()

    def end_step(self, step: int, loss: SupportsFloat, lr: float, num_samples: int) -> None:
        """A step ends, with `step` updates made."""
        self.updates = step
        self.num_samples += num_samples
        if self.probe is not None:
            self.finish_probe(self.probe, float(loss))
        self.until = time.perf_counter()
        every = self.config.log_every
        if self.until >= self.log_at or (every and step % every == 0):
            self.log_step(float(loss), lr)

    def log_step(self, loss: float, lr: float) -> None:
        """Log a step, with the speed since the last one logged."""
        speed = throughput(
            seconds=self.until - self.logged,
            samples=self.num_samples - self.logged_samples,
            waited=self.waiting - self.logged_waiting,
        )
        self.emit("step", loss=loss, lr=lr, **speed)
        self.logged, self.logged_samples, self.logged_waiting = self.until, self.num_samples, self.waiting
        self.log_at = self.until + (self.config.log_seconds or math.inf)

    def finish_probe(self, probe: StepProbe, loss: float) -> None:
        """Log what a step's probe found."""
        self.probe = None
        probe.remove()
        every = self.config.norms_every
        if every and self.updates % every == 0:
            self.emit("norms", gradients=probe.gradient_norms(), activations=probe.activation_sizes())
        if probe.check:
            activations, layers = (self.warnings.new("dead", found) for found in self.streaks.add(*probe.dead(loss)))
            self.warnings.warn("dead", dead_layers(activations, layers, CHECKED), [*activations, *layers])

    def end_epoch(self, row: Mapping[str, float]) -> None:
        """An epoch is trained and validated; `row` is its row of the history."""
        self.history.append(row)
        seconds = self.until - self.began
        if self.tensorboard is not None:
            self.tensorboard.add("epoch", self.updates, row)
        if self.num_samples:  # else only the validation of a resumed epoch was left
            speed = throughput(
                seconds=seconds, samples=self.num_samples, waited=self.waiting, flops=self.flops, peak=self.peak
            )  # fmt: skip
            memory = measure_peak_memory(self.device)
            self.emit("speed", epoch=row["epoch"], **speed, peak_memory_bytes=memory)
        if self.config.warnings:
            self.warnings.warn("data", slow_data(len(self.history), seconds, self.waiting))
            self.warnings.warn("curves", overfitting(self.history))
            if len(self.history) == 1:
                self.warnings.warn("loss", plateau(row, self.num_classes, self.num_steps))

    def emit(self, event: str, **facts: Any) -> None:
        """Write an event to the log and its numbers to TensorBoard; non-finite numbers become null."""
        facts = {name: replace_nonfinite(value) for name, value in facts.items()}
        self.log(event, step=self.updates, **facts)
        if self.tensorboard is not None:
            self.tensorboard.add(event, self.updates, facts)

    def close(self) -> None:
        """Remove the hooks of a step that was interrupted, and close TensorBoard's files."""
        if self.probe is not None:
            self.probe.remove()
            self.probe = None
        if self.tensorboard is not None:
            self.tensorboard.close()


def replace_nonfinite(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, Mapping):
        return {name: replace_nonfinite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
