"""Everything that the training loop works with."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from neocog.errors import DivergenceError
from neocog.loading import Loader
from neocog.rng import derive_seed
from neocog.tasks import Task
from neocog.training.clock import Clock
from neocog.training.config import TrainConfig
from neocog.training.distributed import World, unsynchronised
from neocog.training.divergence import divergence
from neocog.training.interrupt import Interrupt
from neocog.training.monitoring import Monitor
from neocog.training.optim import OptimizerConfig, ScheduleConfig, learning_rate
from neocog.training.progressive import mean_work, reduce_images, size_at, work_at
from neocog.training.replans import planned_step
from neocog.training.state import Training
from neocog.training.step import Batch, TrainingStep, split_batch

__all__ = ["Checkpointer", "FitSettings", "Loop"]


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
