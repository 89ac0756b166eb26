"""The training loop. It reads top to bottom: batch, forward, loss, backward, update; then validate, save, continue."""

import math
import time
from collections.abc import Callable
from typing import NoReturn

import torch
from torch import nn

from neocog.loading import Loader
from neocog.progress import Bar, note
from neocog.tasks import Task
from neocog.training.clock import Clock
from neocog.training.distributed import (
    SINGLE_PROCESS,
    World,
    agree_stop,
    barrier,
    broadcast_buffers,
    broadcast_json,
    combine_statistics,
    sum_everywhere,
)
from neocog.training.executor import StepExecutor
from neocog.training.history import finish_epoch
from neocog.training.interrupt import Interrupt, Interrupted
from neocog.training.loop_state import Checkpointer, FitSettings, Loop
from neocog.training.meter import Meter
from neocog.training.monitoring import NO_MONITOR, Monitor, null_log
from neocog.training.optim import set_rate
from neocog.training.precise_bn import batch_norms, precise_bn
from neocog.training.replans import read_replans
from neocog.training.speed import PLAIN
from neocog.training.state import State, Training
from neocog.training.step import Batch, DeviceFlag, NotFiniteError, TrainingStep, freeze_backbone, freeze_batch_norms

__all__ = ["Checkpointer", "FitSettings", "fit"]

TOLD = 0.1  # share of its steps by which a run changes before it says so; all changes are logged


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


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
