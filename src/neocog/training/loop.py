"""The training loop. It reads top to bottom: batch, forward, loss, backward, update; then validate, keep, go on."""

import math
import time
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from neocog.data import Loader
from neocog.progress import Bar
from neocog.rng import derive_seed
from neocog.tasks import Classification
from neocog.training.adaptive_clipping import clip_adaptively
from neocog.training.config import TrainConfig
from neocog.training.divergence import divergence
from neocog.training.interrupt import Interrupt, Interrupted
from neocog.training.optimizers import OptimizerConfig, penalise
from neocog.training.precise_bn import precise_bn
from neocog.training.schedules import ScheduleConfig, learning_rate
from neocog.training.state import State, Training

__all__ = ["Keeper", "fit"]

METER_STEPS = 16  # logits of so many steps are scored at once


class Keeper(Protocol):
    """What keeps a run's state safe: it says when, and writes."""

    def due(self, step: int) -> bool:
        """Whether a checkpoint is wanted after so many steps."""
        ...

    def save(self, training: Training) -> None: ...
    def epoch_done(self, training: Training, *, best: bool) -> None: ...


def fit(
    training: Training,
    loader: Loader,
    validate: Callable[[nn.Module], dict[str, float]],
    task: Classification,
    *,
    config: TrainConfig,
    optimizer: OptimizerConfig,
    schedule: ScheduleConfig,
    keeper: Keeper,
    interrupt: Interrupt,
) -> None:
    """Train from where the state stands to the end.

    Raises DivergenceError where the loss is no finite number, before it reaches the weights; and Interrupted, with the
    state saved, where the user asks to stop.
    """
    model, state = training.model, training.state
    epoch_steps, num_steps = loader.num_steps, loader.num_steps * config.epochs
    base_seed = derive_seed(config.seed, "dropout")
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(state.history) < config.epochs and not state.stopped_early:
            epoch = len(state.history)
            meter = Meter(state, task)
            # The last rate used, should a resumed epoch have nothing left but its validation.
            rate = learning_rate(schedule, optimizer.lr, max(0, state.step - 1), num_steps, epoch_steps)
            model.train()
            with Bar(f"epoch {epoch + 1}/{config.epochs}", epoch_steps) as bar:
                while state.step < (epoch + 1) * epoch_steps:
                    step = state.step
                    images, labels = loader.batch(epoch, step - epoch * epoch_steps)
                    rate = learning_rate(schedule, optimizer.lr, step, num_steps, epoch_steps)
                    for group in training.optimizer.param_groups:
                        group["lr"] = rate
                    seed_dropout(base_seed + step, images.device)

                    outputs = model(images)
                    loss = task.loss(outputs, labels)
                    value = loss.item()
                    if not math.isfinite(value):
                        raise divergence(model, images, value, step=step, epoch=epoch, rate=rate)
                    update(training, loss, config, l1=optimizer.l1)

                    state.step += 1
                    meter.add(value, task.logits(outputs).detach(), labels)
                    if bar.due:
                        bar.draw(state.step - epoch * epoch_steps, meter.text())
                    due, stop = keeper.due(state.step), interrupt.asked
                    if due or stop:
                        meter.flush()
                        keeper.save(training)
                    if stop:
                        raise Interrupted(f"Stopped after step {state.step} of {num_steps}", stop)
            meter.flush()
            if config.precise_bn:
                num_batches = min(config.precise_bn, epoch_steps)
                precise_bn(training.result, (loader.batch(epoch, i)[0] for i in range(num_batches)))
            figures = validate(training.result)
            if not math.isfinite(figures["loss"]):
                images, _ = loader.batch(epoch, 0)
                raise divergence(training.result, images, figures["loss"], step=state.step, epoch=epoch, rate=rate)
            best = close_epoch(state, figures, config, rate)
            keeper.epoch_done(training, best=best)
            if interrupt.asked:
                raise Interrupted(f"Stopped after epoch {epoch + 1} of {config.epochs}", interrupt.asked)


def update(training: Training, loss: Tensor, config: TrainConfig, *, l1: float) -> None:
    """One step of the weights down the gradient of this loss, and of their average after them."""
    training.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if l1:
        penalise(training.optimizer, l1)
    if config.adaptive_clip:
        clip_adaptively(training.hidden, config.adaptive_clip)
    if config.clip_norm:
        nn.utils.clip_grad_norm_(training.model.parameters(), config.clip_norm)
    training.optimizer.step()
    if training.average:
        training.average.update(training.state.step)


def seed_dropout(seed: int, device: torch.device) -> None:
    """Layers that draw in a step, such as dropout, draw by the step's number, whatever was drawn before."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def close_epoch(state: State, figures: dict[str, float], config: TrainConfig, rate: float) -> bool:
    """Add the epoch's row to the history; returns whether it is the best so far."""
    row: dict[str, float] = {
        "epoch": len(state.history) + 1,
        "lr": rate,
        "train_loss": state.loss_sum / state.num_seen,
        "train_accuracy": state.num_correct / state.num_seen,
        **{f"val_{name}": value for name, value in figures.items()},
        "seconds": state.seconds,
        "samples_per_second": state.num_seen / state.seconds,
    }
    sign = 1 if config.monitor == "accuracy" else -1
    figure = sign * figures[config.monitor]
    best = max((sign * old[f"val_{config.monitor}"] for old in state.history), default=-math.inf)
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


class Meter:
    """The running loss, accuracy and speed of an epoch, at a few microseconds for each step.

    The sums live in the state, so that they survive a kill; logits wait until several steps can be scored at once.
    """

    def __init__(self, state: State, task: Classification) -> None:
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
            self.state.num_correct += self.task.num_correct(logits, labels)
            self.waiting.clear()
        now = time.perf_counter()
        self.state.seconds += now - self.since
        self.since = now

    def text(self) -> str:
        """What the bar says: loss, accuracy, samples per second."""
        self.flush()
        s = self.state
        return (
            f"loss {s.loss_sum / s.num_seen:.4f}  accuracy {s.num_correct / s.num_seen:.2%}  "
            f"{s.num_seen / max(s.seconds, 1e-9):,.0f}/s"
        )
