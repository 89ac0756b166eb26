"""A few steps of training on a copy, thrown away afterwards: what a finder measures."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from neocog.rng import derive_seed
from neocog.tasks import Task
from neocog.training.config import TrainConfig
from neocog.training.distributed import World
from neocog.training.engine import Arithmetic, Engine
from neocog.training.loop import seed_dropout
from neocog.training.optimizers import OptimizerConfig, set_rate
from neocog.training.sam import perturbed
from neocog.training.speed import PLAIN
from neocog.training.state import Training
from neocog.training.step import gradients, update

__all__ = ["Batches", "Trial", "own_randomness"]

ALONE = World()


class Batches(Protocol):
    """The training data of a run, such as `Loader`: any step of any epoch by its number."""

    num_steps: int

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]: ...


class Trial:
    """A copy of a network that takes the steps of a run, as the loop takes them; the original is left as it is."""

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        optimizer: OptimizerConfig,
        config: TrainConfig,
        *,
        ema_decay: float = 0.0,
        arithmetic: Arithmetic = PLAIN,
    ) -> None:
        own = copy.deepcopy(model)
        self.device = next(own.parameters()).device
        self.engine = Engine(own, task.loss, arithmetic, self.device)
        self.training = Training(own, optimizer, ema_decay, engine=self.engine)
        self.task, self.optimizer, self.config = task, optimizer, config
        self.seed = derive_seed(config.seed, "finder")
        own.train()

    def gradients(self, batch: tuple[Tensor, Tensor]) -> float:
        """Leave the gradients of a batch, and give its loss; dropout draws by the number of the step.

        Raises NotFiniteError where the loss is none.
        """
        seed_dropout(self.seed + self.training.state.step, self.device)
        loss, _ = gradients(self.training, self.engine, batch, self.task, self.config, ALONE)
        if self.optimizer.sam_rho:
            seed_dropout(self.seed + self.training.state.step, self.device)
            with perturbed(self.training.model, self.training.optimizer, self.optimizer.sam_rho):
                gradients(self.training, self.engine, batch, self.task, self.config, ALONE)
        return loss

    def update(self, rate: float | None = None) -> None:
        """Let the weights follow their gradients, at this rate instead of the optimiser's own."""
        if rate is not None:
            set_rate(self.training.optimizer, rate)
        update(self.training, self.engine, self.config, self.optimizer)
        self.training.state.step += 1


@contextmanager
def own_randomness(model: nn.Module) -> Iterator[None]:
    """Within this block torch's generators may be seeded; afterwards they are as they were."""
    device = next(model.parameters()).device
    of_mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            if of_mps is not None:
                torch.mps.set_rng_state(of_mps)
