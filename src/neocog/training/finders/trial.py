"""A few steps of training on a copy, thrown away afterwards: what a finder measures."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from neocog.rng import derive_seed
from neocog.tasks import Task
from neocog.training.config import TrainConfig
from neocog.training.executor import Arithmetic, StepExecutor
from neocog.training.optim import OptimizerConfig, set_rate
from neocog.training.speed import PLAIN
from neocog.training.state import Training
from neocog.training.step import TrainingStep

__all__ = ["Batches", "Trial", "TrialSettings", "own_randomness"]


class Batches(Protocol):
    """The training data of a run, such as `Loader`: any step of any epoch by its number."""

    num_steps: int

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSettings:
    """The settings of a run that its trials share."""

    train: TrainConfig
    optimizer: OptimizerConfig
    arithmetic: Arithmetic = PLAIN


class Trial:
    """A copy of a network that takes the steps of a run, as the loop takes them; the original is left as it is."""

    def __init__(self, model: nn.Module, task: Task, settings: TrialSettings, *, ema_decay: float = 0.0) -> None:
        own = copy.deepcopy(model)
        self.device = next(own.parameters()).device
        executor = StepExecutor(own, task.loss, settings.arithmetic, self.device)
        self.training = Training(own, settings.optimizer, ema_decay, executor=executor)
        self.step = TrainingStep(
            training=self.training, executor=executor, task=task, train=settings.train, optimizer=settings.optimizer
        )
        self.seed = derive_seed(settings.train.seed, "finder")
        own.train()

    def gradients(self, batch: tuple[Tensor, Tensor]) -> float:
        """Leave the gradients of a batch and return its loss; dropout draws by the number of the step.

        Raises NotFiniteError if the loss is not finite.
        """
        return float(self.step.compute_gradients(batch, self.seed + self.training.state.step)[0])

    def update(self, rate: float | None = None) -> None:
        """Let the weights follow their gradients, at this rate instead of the optimiser's own."""
        if rate is not None:
            set_rate(self.training.optimizer, rate)
        self.step.update()
        self.training.state.step += 1


@contextmanager
def own_randomness(model: nn.Module) -> Iterator[None]:
    """Within this block torch's generators may be seeded; afterwards they are as before."""
    device = next(model.parameters()).device
    of_mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            if of_mps is not None:
                torch.mps.set_rng_state(of_mps)
