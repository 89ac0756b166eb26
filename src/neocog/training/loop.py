"""The training loop. It reads top to bottom: batch, forward, loss, backward, update; then validate, keep, go on."""

import math
import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from neocog.loading import Loader
from neocog.progress import Bar
from neocog.rng import derive_seed
from neocog.tasks import Task
from neocog.training.config import TrainConfig
from neocog.training.distributed import (
    World,
    agree_stop,
    barrier,
    broadcast_buffers,
    combine_statistics,
    sum_everywhere,
    unsynchronised,
)
from neocog.training.divergence import divergence
from neocog.training.engine import Engine
from neocog.training.interrupt import Interrupt, Interrupted
from neocog.training.optimizers import OptimizerConfig, set_rate
from neocog.training.precise_bn import precise_bn
from neocog.training.sam import perturbed
from neocog.training.schedules import ScheduleConfig, learning_rate
from neocog.training.speed import PLAIN
from neocog.training.state import State, Training
from neocog.training.step import NotFiniteError, gradients, hold_still, update
from neocog.training.watching import Watch, WatchConfig

__all__ = ["ALONE", "QUIET", "Keeper", "fit", "silent"]

QUIET = WatchConfig(log_seconds=0, warnings=False)
ALONE = World()
METER_STEPS = 16  # logits of so many steps are scored at once


class Keeper(Protocol):
    """What keeps a run's state safe: it says when, and writes."""

    def due(self, step: int) -> bool:
        """Whether a checkpoint is wanted after so many steps."""
        ...

    def save(self, training: Training) -> None: ...
    def epoch_done(self, training: Training, *, best: bool) -> None: ...
    def close(self) -> None:
        """Wait until all is written."""
        ...


def fit(
    training: Training,
    loader: Loader,
    validate: Callable[[nn.Module], dict[str, float]],
    task: Task,
    *,
    config: TrainConfig,
    optimizer: OptimizerConfig,
    schedule: ScheduleConfig,
    keeper: Keeper,
    interrupt: Interrupt,
    watch: Watch | None = None,
    world: World = ALONE,
) -> None:
    """Train from where the state stands to the end.

    Raises DivergenceError where the loss is no finite number, before it reaches the weights; and Interrupted, with the
    state saved, where the user asks to stop.
    """
    model, state = training.model, training.state
    engine = training.engine or Engine(model, task.loss, PLAIN, next(model.parameters()).device)
    watch = watch or Watch(QUIET, model, silent, device=engine.device)
    epoch_steps, num_steps = loader.num_steps, loader.num_steps * config.epochs
    base_seed = derive_seed(config.seed, "dropout", *([world.rank] if world.rank else []))
    device = engine.device
    if not world.first:
        state.start_epoch()  # the sums of a checkpoint are those of all processes, and the first has them
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(state.history) < config.epochs and not state.stopped_early:
            epoch = len(state.history)
            meter = Meter(state, task)
            # The last rate used, should a resumed epoch have nothing left but its validation.
            rate = learning_rate(schedule, optimizer.lr, max(0, state.step - 1), num_steps, epoch_steps)
            model.train()
            watch.start_epoch(epoch, epoch_steps)
            with Bar(f"epoch {epoch + 1}/{config.epochs}", epoch_steps) as bar:
                while state.step < (epoch + 1) * epoch_steps:
                    step = state.step
                    asked_at = time.perf_counter()
                    batch = loader.batch(epoch, step - epoch * epoch_steps)
                    watch.waited(time.perf_counter() - asked_at)
                    rate = learning_rate(schedule, optimizer.lr, step, num_steps, epoch_steps)
                    set_rate(training.optimizer, rate)
                    watch.begin(step, batch[0])
                    try:
                        seed_dropout(base_seed + step, device)
                        value, logits = gradients(training, engine, batch, task, config, world)
                        if optimizer.sam_rho:
                            seed_dropout(base_seed + step, device)
                            with perturbed(model, training.optimizer, optimizer.sam_rho):
                                gradients(training, engine, batch, task, config, world)
                    except NotFiniteError as error:
                        with unsynchronised():
                            found = divergence(model, error.images, error.loss, step=step, epoch=epoch, rate=rate)
                        raise found from None
                    engine.unscale(training.optimizer)
                    watch.gradients()
                    if epoch < config.freeze_epochs:
                        hold_still(training)
                    update(training, engine, config, optimizer, last=step + 1 == (epoch + 1) * epoch_steps)

                    state.step += 1
                    meter.add(value, logits, batch[1])
                    watch.step(state.step, value, rate, len(logits) * world.size)
                    if bar.due:
                        bar.draw(state.step - epoch * epoch_steps, meter.text())
                    due, stop = agreed(keeper.due(state.step), interrupt.asked, world)
                    if due or stop:
                        meter.flush()
                        gather_sums(state, world)
                        keeper.save(training)
                    if stop:
                        leave(keeper, world, f"Stopped after step {state.step} of {num_steps}", stop)
            meter.flush()
            settle_norms(training.result, loader, epoch, config, world)
            figures = validate(training.result)
            if not math.isfinite(figures["loss"]):
                images, _ = loader.batch(epoch, 0)
                with unsynchronised():
                    raise divergence(training.result, images, figures["loss"], step=state.step, epoch=epoch, rate=rate)
            gather_sums(state, world, everywhere=True)
            best = close_epoch(state, figures, task, config, rate)
            keeper.epoch_done(training, best=best)
            watch.epoch(state.history[-1])
            if stop := agree_stop(interrupt.asked, world):
                leave(keeper, world, f"Stopped after epoch {epoch + 1} of {config.epochs}", stop)


def settle_norms(model: nn.Module, loader: Loader, epoch: int, config: TrainConfig, world: World) -> None:
    """Give batch norm the statistics with which it is measured and kept, the same in all processes."""
    if config.precise_bn:
        num_batches = min(config.precise_bn, loader.num_steps)
        precise_bn(model, (loader.batch(epoch, i)[0] for i in range(num_batches)))
        combine_statistics(model, sum(len(loader.mine(i)) for i in range(num_batches)))
    elif not config.sync_batch_norm:
        broadcast_buffers(model, world)


def leave(keeper: Keeper, world: World, message: str, signum: int) -> NoReturn:
    """Stop once all is written: where one process ends, a launcher may end the others."""
    keeper.close()
    barrier(world)
    raise Interrupted(message, signum)


def silent(event: str, **facts: Any) -> None:
    """A log that keeps nothing."""


def agreed(due: bool, stop: int, world: World) -> tuple[bool, int]:
    """Whether a checkpoint is due, and by which signal to stop, the same in all processes."""
    asked = agree_stop(2 * stop + due, world)
    return bool(asked % 2), asked // 2


def gather_sums(state: State, world: World, *, everywhere: bool = False) -> None:
    """Bring an epoch's sums together in the first process, or in all; seconds are not added, as all work at once."""
    if world.size > 1:
        sums = sum_everywhere([state.loss_sum, state.num_correct, state.num_seen], world)
        loss_sum, correct, seen = sums if world.first or everywhere else (0.0, 0, 0)
        state.loss_sum, state.num_correct, state.num_seen = loss_sum, correct, round(seen)


def seed_dropout(seed: int, device: torch.device) -> None:
    """Layers that draw in a step, such as dropout, draw by the step's number, whatever was drawn before."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def close_epoch(state: State, figures: dict[str, float], task: Task, config: TrainConfig, rate: float) -> bool:
    """Add the epoch's row to the history; returns whether it is the best so far."""
    row: dict[str, float] = {
        "epoch": len(state.history) + 1,
        "lr": rate,
        "train_loss": state.loss_sum / state.num_seen,
        f"train_{task.progress_metric}": state.num_correct / state.num_seen,
        **{f"val_{name}": value for name, value in figures.items()},
        "seconds": state.seconds,
        "samples_per_second": state.num_seen / state.seconds,
    }
    figure = merit(row, task, config)
    best = max((merit(old, task, config) for old in state.history), default=-math.inf)
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


def merit(row: dict[str, float], task: Task, config: TrainConfig) -> float:
    """By what an epoch is better than another: the more, the better."""
    if config.monitor != "accuracy":
        return row["epoch"] if config.monitor == "last" else -row["val_loss"]
    value = row[f"val_{task.criterion.metric}"]
    return value if task.criterion.mode == "max" else -value


class Meter:
    """The running loss, accuracy and speed of an epoch, at a few microseconds for each step.

    The sums live in the state, so that they survive a kill; logits wait until several steps can be scored at once.
    """

    def __init__(self, state: State, task: Task) -> None:
        self.state, self.task = state, task
        self.waiting: list[tuple[Tensor, Tensor]] = []
        self.since = time.perf_counter()

    def add(self, loss: float, logits: Tensor, labels: Tensor) -> None:
        self.state.loss_sum += loss * len(labels)
        self.state.num_seen += len(labels)
        self.waiting.append((logits, labels))
        if len(self.waiting) == METER_STEPS:
            self.flush()

    def flush(self) -> None:
        """Score what waits, and bring the sums up to date."""
        if self.waiting:
            logits, labels = (torch.cat(parts) for parts in zip(*self.waiting, strict=True))
            self.state.num_correct += self.task.progress_sum(logits, labels)
            self.waiting.clear()
        now = time.perf_counter()
        self.state.seconds += now - self.since
        self.since = now

    def text(self) -> str:
        """What the bar says: loss, accuracy, samples per second."""
        self.flush()
        s = self.state
        progress = format(s.num_correct / s.num_seen, ".2%" if self.task.progress_percent else ".4f")
        return (
            f"loss {s.loss_sum / s.num_seen:.4f}  {self.task.progress_metric} {progress}  "
            f"{s.num_seen / max(s.seconds, 1e-9):,.0f}/s"
        )
