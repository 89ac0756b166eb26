"""The overhead of Neocog's training loop: its step beside that of a loop written by hand, on a tiny network.

All train the same network (convolution 1 -> 8, linear) on 8x8 inputs in batches of 64. Neocog's loop gathers,
normalises, tracks loss and accuracy, checks for NaN, follows its schedule, logs, and writes checkpoints; the
hand-written loops, over data in memory that are normalised already, do none of this. Neocog's update is the fused one,
so the hand-written loop that has it too is the first peer. Neocog gathers and scores several small steps at once: the
mean step, which includes all of it, is a row of its own beside the median step.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Row, Sides
from neocog.data import ImagePreprocess
from neocog.loading import InMemoryDataset, Loader
from neocog.progress import quiet
from neocog.runs import Run
from neocog.runs.checkpoints import RunCheckpointer
from neocog.tasks import Classification
from neocog.training import FitSettings, Interrupt, OptimizerConfig, ScheduleConfig, TrainConfig, Training, fit

__all__ = ["ROWS"]

STEPS, BATCH, CLASSES = 800, 64, 10
NUM = STEPS * BATCH
OPTIMIZER = OptimizerConfig(lr=0.01, momentum=0.9)
Average = Callable[[Sequence[float]], float]


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, CLASSES))


class HandWritten:
    """A loop written for just this case. A turn is an epoch."""

    def __init__(self, images: Tensor, labels: Tensor, average: Average, **options: bool) -> None:
        self.images, self.labels, self.average = images, labels, average
        self.model = tiny()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=OPTIMIZER.lr, momentum=OPTIMIZER.momentum, nesterov=True, **options
        )

    def turn(self) -> float:
        self.model.train()
        order = torch.randperm(NUM)
        seconds = []
        for start in range(0, NUM, BATCH):
            began = time.perf_counter()
            chosen = order[start : start + BATCH]
            images, labels = self.images[chosen], self.labels[chosen]
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            seconds.append(time.perf_counter() - began)
        return 1e6 * self.average(seconds)


class TimedLoader(Loader):
    """Times steps: from one call for a batch to the next within an epoch."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self.seconds: list[float] = []
        self.last = 0.0

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        now = time.perf_counter()
        if step:
            self.seconds.append(now - self.last)
        self.last = now
        return super().batch(epoch, step)


class Neocog:
    """Neocog's loop. A turn is a run of one epoch, with a checkpoint on the way."""

    def __init__(self, data: InMemoryDataset, preprocess: ImagePreprocess, average: Average, folder: Path) -> None:
        self.data, self.preprocess, self.average, self.folder = data, preprocess, average, folder
        self.numbers = count()

    def turn(self) -> float:
        config = TrainConfig(epochs=1, batch_size=BATCH, checkpoint_seconds=0.2)
        loader = TimedLoader(self.data, self.preprocess, batch_size=BATCH, seed=0)
        with quiet(), Interrupt() as interrupt:
            run = Run.create(self.folder, f"turn-{next(self.numbers)}", "bench")
            fit(
                Training(tiny(), OPTIMIZER),
                loader,
                lambda model: {"loss": 1.0, "accuracy": 0.1},
                Classification(tuple(map(str, range(CLASSES)))),
                FitSettings(train=config, optimizer=OPTIMIZER, schedule=ScheduleConfig(name="cosine")),
                checkpointer=RunCheckpointer(run, config, data="bench", settings="bench"),
                interrupt=interrupt,
            )
        assert len(loader.seconds) == STEPS - 1
        return 1e6 * self.average(loader.seconds)


def prepare_with(average: Average) -> Callable[[Path], Iterator[Sides]]:
    def prepare(folder: Path) -> Iterator[Sides]:
        torch.manual_seed(0)
        pixels = torch.randint(0, 256, (NUM, 1, 8, 8), dtype=torch.uint8)
        labels = torch.randint(0, CLASSES, (NUM,))
        preprocess = ImagePreprocess(size=(8, 8), channels=1).measured(pixels)
        data = InMemoryDataset(pixels, labels, np.arange(NUM, dtype=np.uint64))
        normalised = preprocess.normalise(pixels)
        yield Sides(
            {
                "Neocog": Neocog(data, preprocess, average, folder).turn,
                "by hand, fused SGD": HandWritten(normalised, labels, average, fused=True).turn,
                "by hand": HandWritten(normalised, labels, average).turn,
            }
        )

    return prepare


WHAT = "step of the training loop, tiny network on 8x8, batch 64"
ROWS = (
    Row("loop-median", "training", f"median {WHAT}", "µs", "less", prepare_with(statistics.median), target=1 / 1.1),
    Row("loop-mean", "training", f"mean {WHAT}", "µs", "less", prepare_with(statistics.fmean)),
)
