"""Measure the overhead of Neocog's training loop, compared with a hand-written one on a tiny network.

    python bench/loop_cost.py

Both train the same network (convolution 1 -> 8, linear) on 8x8 inputs in batches of 64, in one process, in alternating
epochs. Neocog's loop gathers, normalises, tracks loss and accuracy, checks for NaN, follows its schedule, logs, and
writes checkpoints; the hand-written loop does none of this. Neocog gathers and scores several small steps at once, so
the mean, which includes all of it, is shown beside the median. Target: at most 1.10 times the median step.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.data import ImagePreprocess
from neocog.loading import InMemoryDataset, Loader
from neocog.progress import quiet
from neocog.runs import Run
from neocog.runs.checkpoints import RunCheckpointer
from neocog.tasks import Classification
from neocog.training import FitSettings, Interrupt, OptimizerConfig, ScheduleConfig, TrainConfig, Training, fit

NUM, BATCH, EPOCHS, CLASSES = 64 * 400, 64, 15, 10
LR, MOMENTUM = 0.01, 0.9


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, CLASSES))


class HandWritten:
    """A loop written for just this case, over normalised data in memory."""

    def __init__(self, images: Tensor, labels: Tensor, **options: bool) -> None:
        self.images, self.labels = images, labels
        self.model = tiny()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LR, momentum=MOMENTUM, nesterov=True, **options)
        self.seconds: list[float] = []

    def epoch(self) -> None:
        self.model.train()
        order = torch.randperm(NUM)
        for start in range(0, NUM, BATCH):
            began = time.perf_counter()
            chosen = order[start : start + BATCH]
            images, labels = self.images[chosen], self.labels[chosen]
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.seconds.append(time.perf_counter() - began)


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


def main() -> None:
    pixels = torch.randint(0, 256, (NUM, 1, 8, 8), dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (NUM,))
    preprocess = ImagePreprocess(size=(8, 8), channels=1).measured(pixels)
    normalised = preprocess.normalise(pixels)
    plain = HandWritten(normalised, labels)
    fused = HandWritten(normalised, labels, fused=True)

    data = InMemoryDataset(pixels, labels, np.arange(NUM, dtype=np.uint64))
    loader = TimedLoader(data, preprocess, batch_size=BATCH, seed=0)
    optimizer = OptimizerConfig(lr=LR, momentum=MOMENTUM)
    training = Training(tiny(), optimizer)
    config = TrainConfig(epochs=EPOCHS, batch_size=BATCH, checkpoint_seconds=1)

    def in_turn(model: nn.Module) -> dict[str, float]:
        """Run an epoch of each hand-written loop in place of validation, between two of Neocog's epochs."""
        plain.epoch()
        fused.epoch()
        return {"loss": 1.0, "accuracy": 0.1}

    with tempfile.TemporaryDirectory() as folder, quiet(), Interrupt() as interrupt:
        run = Run.create(Path(folder), "bench", "bench")
        fit(
            training,
            loader,
            in_turn,
            Classification(tuple(map(str, range(CLASSES)))),
            FitSettings(train=config, optimizer=optimizer, schedule=ScheduleConfig(name="cosine")),
            checkpointer=RunCheckpointer(run, config, data="bench", settings="bench"),
            interrupt=interrupt,
        )
    skip = len(loader.seconds) // EPOCHS  # the first epoch warms up
    figures = {"Neocog": loader.seconds, "hand-written": plain.seconds, "hand-written, fused SGD": fused.seconds}
    bases = [(statistics.median(plain.seconds[skip:]), statistics.fmean(plain.seconds[skip:]))]
    bases.append((statistics.median(fused.seconds[skip:]), statistics.fmean(fused.seconds[skip:])))
    print(f"{'':<26}{'':>20}{'/ hand-written':>20}{'/ fused':>20}")
    print(f"{'loop':<26}{'median us':>10}{'mean us':>10}" + f"{'median':>10}{'mean':>10}" * 2)
    for name, seconds in figures.items():
        median, mean = statistics.median(seconds[skip:]), statistics.fmean(seconds[skip:])
        ratios = "".join(f"{median / base[0]:>10.3f}{mean / base[1]:>10.3f}" for base in bases)
        print(f"{name:<26}{1e6 * median:>10.1f}{1e6 * mean:>10.1f}{ratios}")


if __name__ == "__main__":
    main()
