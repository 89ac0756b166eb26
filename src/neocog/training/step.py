"""One step: a batch goes forward, its loss backward, and the weights follow the gradient.

On a CPU a loss that is not finite is found before its backward pass. On a GPU reading it would make the host wait in
every step, so it stays there: a flag on the device turns the updates from then on into no-ops, and the loss is read
together with those of the next steps.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from neocog.tasks import Task
from neocog.training.config import TrainConfig
from neocog.training.distributed import SINGLE_PROCESS, World, loss_weight, sum_everywhere
from neocog.training.executor import StepExecutor
from neocog.training.optim import OptimizerConfig, clip_adaptively, lookahead, penalise, perturb_weights, start_momenta
from neocog.training.precise_bn import batch_norms
from neocog.training.state import Training

__all__ = [
    "NotFiniteError",
    "StepLoss",
    "TrainingStep",
    "freeze_backbone",
    "freeze_batch_norms",
    "seed_dropout",
    "split_batch",
]

Batch = tuple[Tensor, Tensor]


class NotFiniteError(Exception):
    """The loss of these inputs is not a finite number; the weights are as before the step."""

    def __init__(self, loss: float, images: Tensor) -> None:
        self.loss, self.images = loss, images
        super().__init__(loss)


@dataclass(frozen=True, slots=True)
class StepLoss:
    """A step's mean loss, as those of its parts, each with its share; `float` reads it, from the device if need be."""

    parts: Sequence[float | Tensor]
    weights: Sequence[float]
    total: float

    def __float__(self) -> float:
        return self.mean([float(part) for part in self.parts])

    def mean(self, values: Sequence[float]) -> float:
        """The mean of the parts' values, which have been read already."""
        mean = 0.0
        for value, weight in zip(values, self.weights, strict=True):
            mean += value * weight / self.total
        return mean


class DeviceFlag:
    """Whether a loss so far was not finite, known to the device alone: a float32 of 0 or 1, which stays 1."""

    def __init__(self, device: torch.device) -> None:
        self.value = torch.zeros((), device=device)

    def add(self, loss: Tensor) -> None:
        self.value = torch.maximum(self.value, (~loss.detach().isfinite()).float())

    def ruin(self, loss: Tensor) -> Tensor:
        """The loss, with a gradient of NaN once the flag is 1: GradScaler then skips the update."""
        return loss * torch.where(self.value > 0, torch.nan, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingStep:
    """Takes steps of a training: for the loop, and for finders on a copy.

    `flag` is there if losses are checked later; else `gradients` raises NotFiniteError before the backward pass.
    """

    training: Training
    executor: StepExecutor
    task: Task
    train: TrainConfig
    optimizer: OptimizerConfig
    world: World = SINGLE_PROCESS
    flag: DeviceFlag | None = None

    def compute_gradients(self, batch: Batch, seed: int) -> tuple[StepLoss, Tensor]:
        """Leave the gradients that an update follows, at their true scale; returns the loss and the logits (n, K).

        Layers that draw, such as dropout, draw by the seed. With SAM the gradients are those of a second pass.
        """
        seed_dropout(seed, self.executor.device)
        found = self.gradients(batch)
        if self.optimizer.sam_rho:
            seed_dropout(seed, self.executor.device)
            with perturb_weights(self.training.model, self.training.optimizer, self.optimizer.sam_rho):
                self.gradients(batch)
        self.executor.unscale(self.training.optimizer)
        return found

    def gradients(self, batch: Batch) -> tuple[StepLoss, Tensor]:
        """Leave the gradient of the batch's mean loss; returns this process's loss and its logits (n, K).

        The batch is computed in parts if the settings say so, and may itself be a part of one that several processes
        share: the loss of each part counts by its share, so that the gradient is that of the whole.
        """
        self.training.optimizer.zero_grad()
        parts = list(split_batch(batch, self.train.accumulate))
        weights, own, total = self.weigh(batch, parts)
        losses: list[float | Tensor] = []
        logits = []
        for i, (images, targets) in enumerate(parts):
            with delay_exchange(self.executor) if i + 1 < len(parts) else nullcontext():
                loss, outputs = self.executor.forward(images, targets)
                losses.append(self.check(loss, images))
                share = 1.0 if self.world.size == len(parts) == 1 else weights[i] * self.world.size / total
                loss = loss * share if share != 1 else loss
                self.executor.backward(self.flag.ruin(loss) if self.flag and self.executor.scaler else loss)
            logits.append(self.task.logits(outputs).detach())
        if self.flag and self.world.size > 1:
            dist.all_reduce(self.flag.value, dist.ReduceOp.MAX)
        return StepLoss(losses, weights, own), torch.cat(logits) if len(logits) > 1 else logits[0]

    def weigh(self, batch: Batch, parts: Sequence[Batch]) -> tuple[list[float], float, float]:
        """The weight of the loss of each part, and the sums over this process and over all.

        Weights of classes are read from the device, unless losses are checked later and there is but one part.
        """
        if self.flag and self.world.size == len(parts) == 1:
            return [1.0], 1.0, 1.0
        own = loss_weight(batch[1], self.task.weights)
        total = own if self.world.size == 1 else sum_everywhere([own], self.world)[0]
        return [loss_weight(targets, self.task.weights) for _, targets in parts], own, total

    def check(self, loss: Tensor, images: Tensor) -> float | Tensor:
        """The loss as a number, or on the device if it is checked later. Raises NotFiniteError."""
        if self.flag:
            self.flag.add(loss)
            return loss.detach()
        value = loss.item()
        if not math.isfinite(value):
            raise NotFiniteError(value, images)
        return value

    def update(self, *, last: bool = False) -> None:
        """Let the weights follow their gradients, and the weight average follow them.

        `last`: slow weights are brought up to date, because the epoch ends and they are to be validated.
        """
        training, optimizer = self.training, self.optimizer
        skip = self.flag.value if self.flag else None
        if optimizer.l1:
            penalise(training.optimizer, optimizer.l1)
        if self.train.adaptive_clip:
            clip_adaptively(training.hidden, self.train.adaptive_clip)
        if self.train.clip_norm:
            nn.utils.clip_grad_norm_(training.model.parameters(), self.train.clip_norm)
        step = training.state.step
        steps, alpha = optimizer.lookahead_steps, optimizer.lookahead_alpha
        with lookahead(training.optimizer, step, steps, alpha, gather=last, skip=skip):
            self.executor.step(training.optimizer, skip)
        if training.average:
            training.average.update(step)


def split_batch(batch: Batch, parts: int) -> Iterator[Batch]:
    """A batch in this many parts of about equal size, or in as many as it has samples."""
    images, targets = batch
    count = min(parts, len(images))
    if count == 1:
        yield batch
        return
    yield from zip(images.tensor_split(count), targets.tensor_split(count), strict=True)


def delay_exchange(executor: StepExecutor) -> AbstractContextManager[None]:
    """Within this block processes add to their gradients without exchanging them."""
    return executor.model.no_sync() if isinstance(executor.model, DistributedDataParallel) else nullcontext()


def freeze_backbone(training: Training) -> None:
    """Leave all parameters but those of the head out of the update that follows."""
    for parameter in training.hidden:
        parameter.grad = None
    start_momenta(training.optimizer, training.hidden)


def freeze_batch_norms(training: Training) -> None:
    """Leave scales and shifts of batch norms out of the update that follows."""
    parameters = [parameter for norm in batch_norms(training.model) for parameter in norm.parameters()]
    for parameter in parameters:
        parameter.grad = None
    start_momenta(training.optimizer, parameters)


def seed_dropout(seed: int, device: torch.device) -> None:
    """Let layers that draw in a step, such as dropout, draw by the step's number, whatever was drawn before."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
