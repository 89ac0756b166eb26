"""The training loop. It reads top to bottom: batch, forward, loss, backward, update; then validate, save, continue."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import torch
from torch import Tensor, nn

from neocog.errors import DivergenceError
from neocog.loading import Loader
from neocog.progress import Bar, note
from neocog.rng import derive_seed
from neocog.tasks import Task
from neocog.training.clock import Clock
from neocog.training.config import TrainConfig
from neocog.training.distributed import (
    SINGLE_PROCESS,
    World,
    agree_stop,
    barrier,
    broadcast_buffers,
    broadcast_json,
    combine_statistics,
    sum_everywhere,
    unsynchronised,
)
from neocog.training.divergence import divergence
from neocog.training.executor import StepExecutor
from neocog.training.interrupt import Interrupt, Interrupted
from neocog.training.monitoring import NO_MONITOR, Monitor, null_log
from neocog.training.optim import OptimizerConfig, ScheduleConfig, learning_rate, set_rate
from neocog.training.precise_bn import batch_norms, precise_bn
from neocog.training.progressive import mean_work, reduce_images, size_at, work_at
from neocog.training.replans import planned_step, read_replans
from neocog.training.speed import PLAIN
from neocog.training.state import State, Training
from neocog.training.step import (
    Batch,
    DeviceFlag,
    NotFiniteError,
    StepLoss,
    TrainingStep,
    freeze_backbone,
    freeze_batch_norms,
    split_batch,
)

__all__ = ["Checkpointer", "FitSettings", "fit"]

METER_STEPS = 16  # steps whose logits are scored at once, and whose losses on a GPU are read at once

TOLD = 0.1  # share of its steps by which a run changes before it says so; all changes are logged


@dataclass(frozen=True, kw_only=True, slots=True)
class FitSettings:
    """The settings of a run that the loop follows."""

    train: TrainConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig


class Checkpointer(Protocol):
    """Keeps a run's state safe: it decides when to write, and writes."""

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after this many steps."""
        ...

    def save(self, training: Training) -> None: ...
    def start_done(self, training: Training) -> None:
        """The network has been validated before the first step, and is the best so far."""
        ...

    def epoch_done(self, training: Training, *, best: bool) -> None: ...
    def close(self) -> None:
        """Wait until all is written."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """All that the loop works with."""

    training: Training
    loader: Loader
    settings: FitSettings
    task: Task
    step: TrainingStep
    checkpointer: Checkpointer
    interrupt: Interrupt
    monitor: Monitor
    world: World
    clock: Clock | None = None

    @property
    def epoch_steps(self) -> int:
        return self.loader.num_steps

    @property
    def planned(self) -> int:
        """The number of steps that the run was planned with."""
        return self.loader.num_steps * self.settings.train.epochs

    @property
    def num_steps(self) -> int:
        """The number of steps in all, as it is known now."""
        return self.training.state.num_steps(self.planned)

    @property
    def num_epochs(self) -> int:
        return self.training.state.num_epochs(self.settings.train.epochs, self.epoch_steps)

    def end(self, epoch: int) -> int:
        """The number of steps at the end of this epoch; the last epoch may be partial."""
        return min((epoch + 1) * self.epoch_steps, self.num_steps)

    def seed(self, step: int) -> int:
        """Of dropout in this step."""
        rank = [self.world.rank] if self.world.rank else []
        return derive_seed(self.settings.train.seed, "dropout", *rank) + step

    def planned_step(self, step: int) -> float:
        """The step of the plan at the same position in the run."""
        return planned_step(step, self.planned, self.training.state.replans)

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of this step of an epoch, its images as small as they are trained now."""
        images, labels = self.loader.batch(epoch, step)
        if self.settings.train.progressive:
            position = self.planned_step(epoch * self.epoch_steps + step) / self.planned
            height, width = images.shape[2:]
            images = reduce_images(images, size_at((height, width), self.settings.train.progressive, position))
        return images, labels

    def work(self, step: int) -> tuple[float, float]:
        """The work of a step, as a share of one on whole images, and its mean from this step to the end."""
        if not self.settings.train.progressive:
            return 1.0, 1.0
        _, height, width = self.loader.preprocess.shape
        position = self.planned_step(step) / self.planned
        where = ((height, width), self.settings.train.progressive, position)
        return work_at(*where), mean_work(*where)

    def rate(self, step: int) -> float:
        """The learning rate of this step."""
        settings, at = self.settings, self.planned_step(step)
        return learning_rate(settings.schedule, settings.optimizer.lr, at, self.planned, self.epoch_steps)

    def explain(self, loss: float, images: Tensor, step: int, model: nn.Module | None = None) -> DivergenceError:
        """The error for a loss that was not finite after this many steps; each process looks on its own."""
        with unsynchronised():
            epoch = len(self.training.state.history)
            rate = self.rate(min(step, self.end(epoch) - 1))
            return divergence(model or self.training.model, images, loss, step=step, epoch=epoch, rate=rate)

    def explain_later(self, step: int, part: int, loss: float) -> DivergenceError:
        """The same for a loss that was read some steps later: the weights are still those of that step."""
        batch = self.batch(*divmod(step, self.epoch_steps))
        images = list(split_batch(batch, self.settings.train.accumulate))[part][0]
        return self.explain(loss, images, step)


def fit(
    training: Training,
    loader: Loader,
    validate: Callable[[nn.Module], dict[str, float]],
    task: Task,
    settings: FitSettings,
    *,
    checkpointer: Checkpointer,
    interrupt: Interrupt,
    monitor: Monitor | None = None,
    world: World = SINGLE_PROCESS,
    check_later: bool | None = None,
    clock: Clock | None = None,
    validates_start: bool = False,
    after_epoch: Callable[[], bool] | None = None,
) -> None:
    """Train from the current state to the end, or until `after_epoch`, called after each epoch, returns True.

    With `validates_start` the network counts as it is before the first step, too: if no epoch improves on it, it stays.

    `check_later` says whether the host reads losses every few steps only, so that it need not wait for the device in
    each; by default on a GPU. A loss that is not finite never reaches the weights or a checkpoint either way.
    With a `clock` the number of steps follows the time that is left; without, the changes of `train.replanned` are
    repeated.
    Raises DivergenceError for such a loss; and Interrupted, with the state saved, if the user asks to stop.
    """
    executor = training.executor or StepExecutor(training.model, task.loss, PLAIN, device_of(training.model))
    device = executor.device
    later = device.type == "cuda" if check_later is None else check_later
    step = TrainingStep(
        training=training, executor=executor, task=task, train=settings.train, optimizer=settings.optimizer,
        world=world, flag=DeviceFlag(device) if later else None,
    )  # fmt: skip
    monitor = monitor or Monitor(NO_MONITOR, training.model, null_log, device=device)
    loop = Loop(
        training=training, loader=loader, settings=settings, task=task, step=step, checkpointer=checkpointer,
        interrupt=interrupt, monitor=monitor, world=world, clock=clock,
    )  # fmt: skip
    state = training.state
    if settings.train.replanned and not state.replans:
        state.replans = read_replans(settings.train.replanned)
    if clock is not None:
        clock.used = max(clock.used, state.elapsed)
    if not world.first:
        training.state.start_epoch()  # the sums of a checkpoint are those of all processes, and the first has them
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if validates_start and not state.step and state.start is None:
            validate_start(loop, validate)
        look_at_clock(loop)
        while len(state.history) * loop.epoch_steps < loop.num_steps and not state.stopped_early:
            train_epoch(loop)
            validate_epoch(loop, validate)
            look_at_clock(loop)
            if after_epoch is not None and after_epoch():
                state.stopped_early = True


def train_epoch(loop: Loop) -> None:
    """Train to the end of the current epoch, from wherever in it the state is."""
    state, epoch = loop.training.state, len(loop.training.state.history)
    first = epoch * loop.epoch_steps
    meter = Meter(state, loop.task, loop.explain_later)
    loop.training.model.train()
    if loop.settings.train.freeze_bn:
        for norm in batch_norms(loop.training.model):
            norm.eval()
    loop.monitor.start_epoch(epoch, loop.epoch_steps)
    with Bar(f"epoch {epoch + 1}/{loop.num_epochs}", loop.end(epoch) - first) as bar:
        while state.step < loop.end(epoch):
            train_step(loop, epoch, meter)
            if bar.due:
                bar.draw(state.step - first, meter.text())
            if loop.clock is not None:
                loop.clock.tick(loop.work(state.step - 1)[0])
                if state.step < loop.end(epoch) and agree_stop(loop.clock.due(), loop.world):
                    look_at_clock(loop)
            save_or_stop(loop, meter)
    meter.flush()


def train_step(loop: Loop, epoch: int, meter: "Meter") -> None:
    """One batch, forward and backward, and the update that follows from it."""
    training, monitor, step = loop.training, loop.monitor, loop.training.state.step
    batch = wait_for_batch(loop, epoch, step)
    rate = loop.rate(step)
    set_rate(training.optimizer, rate)
    monitor.begin_step(step, batch[0])
    try:
        loss, logits = loop.step.compute_gradients(batch, loop.seed(step))
    except NotFiniteError as error:
        raise loop.explain(error.loss, error.images, step) from None
    monitor.read_gradients()
    if epoch < loop.settings.train.freeze_epochs:
        freeze_backbone(training)
    if loop.settings.train.freeze_bn:
        freeze_batch_norms(training)
    loop.step.update(last=step + 1 == loop.end(epoch))
    training.state.step += 1
    meter.add(step, loss, logits, batch[1])
    monitor.end_step(step + 1, loss, rate, len(logits) * loop.world.size)


def wait_for_batch(loop: Loop, epoch: int, step: int) -> Batch:
    """The batch of this step; the monitor is told for how long the loop waited."""
    asked_at = time.perf_counter()
    batch = loop.batch(epoch, step - epoch * loop.epoch_steps)
    loop.monitor.add_waiting(time.perf_counter() - asked_at)
    return batch


def save_or_stop(loop: Loop, meter: "Meter") -> None:
    """Save if a checkpoint is due; stop, with the state saved, if a signal asked for it; the same in all processes."""
    state, world = loop.training.state, loop.world
    due = loop.checkpointer.due(state.step)
    asked = agree_stop(2 * loop.interrupt.asked + due, world)
    if asked:
        meter.flush()
        gather_sums(state, world)
        note_elapsed(loop)
        loop.checkpointer.save(loop.training)
    if signum := asked // 2:
        stop_training(loop, f"Stopped after step {state.step} of {loop.num_steps}", signum)


def look_at_clock(loop: Loop) -> None:
    """Change the number of steps if the run would end too late or too early; the first process decides for all."""
    state, clock = loop.training.state, loop.clock
    if clock is None:
        return
    before = loop.num_steps
    mean = loop.work(state.step)[1]
    decided = clock.plan(state, loop.planned, loop.epoch_steps, mean) if loop.world.first else None
    total: int | None = broadcast_json(decided, loop.world)
    if total is None:
        return
    if state.replans and state.replans[-1][0] == state.step:  # of this moment, so no step has followed it
        state.replans.pop()
    state.replans.append([state.step, total])
    if loop.world.first:
        seconds = clock.seconds_per_step()
        loop.monitor.emit("replanned", steps=total, before=before, seconds_per_step=seconds, elapsed=clock.elapsed)
        if abs(total - before) >= TOLD * before:
            note(f"  {total:,} steps in all instead of {before:,}, to end in time")


def note_elapsed(loop: Loop) -> None:
    """Keep the time that is used in the state, for a checkpoint."""
    if loop.clock is not None:
        loop.training.state.elapsed = loop.clock.elapsed


def validate_epoch(loop: Loop, validate: Callable[[nn.Module], dict[str, float]]) -> None:
    """Validate the result of an epoch, add it to the history, and save."""
    training, epoch, settings = loop.training, len(loop.training.state.history), loop.settings.train
    begin = loop.clock.now() if loop.clock is not None else 0.0
    finalise_batch_norm(loop, epoch)
    scored_from = loop.clock.now() if loop.clock is not None else 0.0
    metrics = validate(training.result)
    scoring = loop.clock.now() - scored_from if loop.clock is not None else 0.0
    if not math.isfinite(metrics["loss"]):
        raise loop.explain(metrics["loss"], loop.loader.batch(epoch, 0)[0], training.state.step, training.result)
    gather_sums(training.state, loop.world, everywhere=True)
    # The last rate used, also if a resumed epoch had nothing left but its validation.
    best = finish_epoch(training.state, metrics, loop.task, settings, loop.rate(max(0, training.state.step - 1)))
    note_elapsed(loop)
    loop.checkpointer.epoch_done(training, best=best)
    loop.monitor.end_epoch(training.state.history[-1])
    if loop.clock is not None:
        loop.clock.validated(loop.clock.now() - begin, scoring)
    if signum := agree_stop(loop.interrupt.asked, loop.world):
        stop_training(loop, f"Stopped after epoch {epoch + 1} of {loop.num_epochs}", signum)


def validate_start(loop: Loop, validate: Callable[[nn.Module], dict[str, float]]) -> None:
    """Validate the network before the first step, and save it as the best so far."""
    training = loop.training
    begin = loop.clock.now() if loop.clock is not None else 0.0
    training.state.start = {f"val_{name}": value for name, value in validate(training.result).items()}
    scoring = loop.clock.now() - begin if loop.clock is not None else 0.0
    note_elapsed(loop)
    loop.checkpointer.start_done(training)
    if loop.clock is not None:
        loop.clock.validated(loop.clock.now() - begin, scoring)


def finalise_batch_norm(loop: Loop, epoch: int) -> None:
    """Give batch norm the statistics with which it is validated and saved, the same in all processes."""
    model, loader, config = loop.training.result, loop.loader, loop.settings.train
    if config.precise_bn:
        num_batches = min(config.precise_bn, loader.num_steps)
        precise_bn(model, (loader.batch(epoch, i)[0] for i in range(num_batches)))
        combine_statistics(model, sum(len(loader.own_positions(i)) for i in range(num_batches)))
    elif not config.sync_batch_norm:
        broadcast_buffers(model, loop.world)


def stop_training(loop: Loop, message: str, signum: int) -> NoReturn:
    """Stop once all is written: when one process ends, a launcher may end the others."""
    loop.checkpointer.close()
    barrier(loop.world)
    raise Interrupted(message, signum)


def gather_sums(state: State, world: World, *, everywhere: bool = False) -> None:
    """Bring an epoch's sums together in the first process, or in all; seconds are not added, as all work at once."""
    if world.size > 1:
        sums = sum_everywhere([state.loss_sum, state.progress_sum, state.num_seen], world)
        loss_sum, progress, seen = sums if world.first or everywhere else (0.0, 0.0, 0)
        state.loss_sum, state.progress_sum, state.num_seen = loss_sum, progress, round(seen)


def finish_epoch(state: State, metrics: dict[str, float], task: Task, config: TrainConfig, rate: float) -> bool:
    """Add the epoch's row to the history; returns whether it is the best so far."""
    row: dict[str, float] = {
        "epoch": len(state.history) + 1,
        "lr": rate,
        "train_loss": state.loss_sum / state.num_seen,
        f"train_{task.progress_metric}": state.progress_sum / state.num_seen,
        **{f"val_{name}": value for name, value in metrics.items()},
        "seconds": state.seconds,
        "samples_per_second": state.num_seen / state.seconds,
    }
    figure = score(row, task, config)
    before = [*state.history, *([{"epoch": 0, **state.start}] if state.start else [])]
    best = max((score(old, task, config) for old in before), default=-math.inf)
    if state.reference is None or figure > state.reference + config.min_delta:
        state.reference, state.stale = figure, 0
    else:
        state.stale += 1
    state.stopped_early = bool(config.patience) and state.stale >= config.patience
    state.history.append(row)
    state.start_epoch()
    if figure > best:
        state.best_epoch = len(state.history) - 1
        return True
    return False


def score(row: dict[str, float], task: Task, config: TrainConfig) -> float:
    """The figure by which epochs are compared: higher is better."""
    if config.monitor == "last":
        return row["epoch"]
    if config.monitor == "loss":
        return -row["val_loss"]
    value = row[f"val_{task.criterion.metric}"]
    return value if task.criterion.mode == "max" else -value


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


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
