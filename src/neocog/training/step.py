"""One step: a batch goes forward, its loss backward, and the weights follow the gradient."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from neocog.tasks import Task
from neocog.training.adaptive_clipping import clip_adaptively
from neocog.training.config import TrainConfig
from neocog.training.distributed import World, loss_weight, sum_everywhere
from neocog.training.engine import Engine
from neocog.training.lookahead import lookahead
from neocog.training.optimizers import OptimizerConfig, penalise
from neocog.training.state import Training

__all__ = ["NotFiniteError", "gradients", "hold_still", "update"]

Batch = tuple[Tensor, Tensor]


class NotFiniteError(Exception):
    """The loss of these inputs is no finite number; the weights are as before the step."""

    def __init__(self, loss: float, images: Tensor) -> None:
        self.loss, self.images = loss, images
        super().__init__(loss)


def gradients(
    training: Training, engine: Engine, batch: Batch, task: Task, config: TrainConfig, world: World
) -> tuple[float, Tensor]:
    """Leave the gradient of the batch's mean loss; returns this process's mean loss, and logits (n, K).

    The batch is computed in parts where the settings say so, and may be a part itself of what several processes share:
    each part's loss counts by its share, so that the gradient is that of the whole. Raises NotFiniteError.
    """
    training.optimizer.zero_grad()
    own = loss_weight(batch[1], task.weights)
    total = own if world.size == 1 else sum_everywhere([own], world)[0]
    mean, logits = 0.0, []
    parts = list(divided(batch, config.accumulate))
    for i, (images, labels) in enumerate(parts):
        weight = loss_weight(labels, task.weights)
        with exchange_later(engine) if i + 1 < len(parts) else nullcontext():
            loss, outputs = engine.forward(images, labels)
            value = loss.item()
            if not math.isfinite(value):
                raise NotFiniteError(value, images)
            share = 1.0 if world.size == len(parts) == 1 else weight * world.size / total
            engine.backward(loss * share if share != 1 else loss)
        mean += value * weight / own
        logits.append(task.logits(outputs).detach())
    return mean, torch.cat(logits) if len(logits) > 1 else logits[0]


def divided(batch: Batch, parts: int) -> Iterator[Batch]:
    """A batch in so many parts of about equal size, or as many as it has records."""
    images, labels = batch
    count = min(parts, len(images))
    if count == 1:
        yield batch
        return
    yield from zip(images.tensor_split(count), labels.tensor_split(count), strict=True)


def exchange_later(engine: Engine) -> AbstractContextManager[None]:
    """Within it processes add to their gradients without telling each other."""
    return engine.model.no_sync() if isinstance(engine.model, DistributedDataParallel) else nullcontext()


def hold_still(training: Training) -> None:
    """Leave all but the head out of the update that follows."""
    sgd = isinstance(training.optimizer, torch.optim.SGD) and training.optimizer.defaults["momentum"]
    for parameter in training.hidden:
        parameter.grad = None
        state = training.optimizer.state[parameter] if sgd else {}
        if sgd and not state:  # torch's fused update takes momenta for all parameters or none
            state["momentum_buffer"] = torch.zeros_like(parameter)


def update(
    training: Training, engine: Engine, config: TrainConfig, optimizer: OptimizerConfig, *, last: bool = False
) -> None:
    """Let the weights follow their gradients, which have their true size, and their average follow them.

    `last`: slow weights are brought up to date, because the epoch ends and they are to be measured.
    """
    if optimizer.l1:
        penalise(training.optimizer, optimizer.l1)
    if config.adaptive_clip:
        clip_adaptively(training.hidden, config.adaptive_clip)
    if config.clip_norm:
        nn.utils.clip_grad_norm_(training.model.parameters(), config.clip_norm)
    step = training.state.step
    with lookahead(training.optimizer, step, optimizer.lookahead_steps, optimizer.lookahead_alpha, gather=last):
        engine.step(training.optimizer)
    if training.average:
        training.average.update(step)
