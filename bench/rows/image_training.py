"""The cost of a training run of images beyond its network: ResNet-18 on grey 128x128 images in batches of 32.

Both sides take the same steps in the same arithmetic, bf16 with channels last: forward, loss, backward and update of
the same network. The peer has a single batch, ready in memory. Neocog's side is its loop, which gathers and augments
its batches (random resized crops, flips, TrivialAugment, CutMix), follows its schedule, averages the weights, checks,
counts, logs and writes checkpoints. Its steps are timed in the second of two epochs, from one call for a batch to the
next, so what comes between epochs doesn't count. The first of these calls makes the batches of several steps, so means
count, not medians. The note says what augmentation alone takes.

Target: 0.9 of the bare network's images/s.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import Tensor

from harness import Row, Sides
from harness.steps import timed
from neocog.data import AugmentConfig, ImagePreprocess
from neocog.loading import InMemoryDataset, Loader
from neocog.progress import quiet
from neocog.runs import Run
from neocog.runs.checkpoints import RunCheckpointer
from neocog.tasks import Classification
from neocog.training import FitSettings, Interrupt, OptimizerConfig, ScheduleConfig, TrainConfig, Training, fit
from neocog.training.executor import StepExecutor
from neocog.training.speed import Candidate, keep_memory, use_threads
from neocog.zoo import create_model

__all__ = ["ROWS"]

SIDE, BATCH, CLASSES, STEPS, AVERAGE = 128, 32, 10, 3, 0.999
WAY = Candidate("bf16", channels_last=True)
OPTIMIZER = OptimizerConfig(lr=0.02, momentum=0.9, weight_decay=2e-3, decay="weights")
AUGMENT = AugmentConfig(crop_area=0.35, flip=0.5, policy="trivialaugment", cutmix=1.0)
TASK = Classification(tuple(map(str, range(CLASSES))))


class TimedLoader(Loader):
    """Times steps of the second epoch, from one call for a batch to the next, and the calls themselves."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self.whole: list[float] = []
        self.calls: list[float] = []
        self.last = 0.0

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        now = time.perf_counter()
        if epoch and step:
            self.whole.append(now - self.last)
        self.last = now
        found = super().batch(epoch, step)
        if epoch:
            self.calls.append(time.perf_counter() - now)
        return found


def build(average: float) -> Training:
    model = create_model("resnet18", num_classes=CLASSES, in_channels=1).train()
    executor = StepExecutor(model, TASK.loss, WAY, torch.device("cpu"))
    return Training(model, OPTIMIZER, average, executor=executor)


def make_loader() -> TimedLoader:
    num = BATCH * (STEPS + 1)  # the last step of an epoch has no next one to be timed by
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (num, 1, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    data = InMemoryDataset(pixels, torch.arange(num) % CLASSES, np.arange(num, dtype=np.uint64))
    preprocess = ImagePreprocess(size=(SIDE, SIDE), channels=1).measured(pixels)
    return TimedLoader(data, preprocess, batch_size=BATCH, seed=0, augment=AUGMENT, num_classes=CLASSES)


def bare_step(training: Training, batch: tuple[Tensor, Tensor]) -> None:
    optimizer, executor = training.optimizer, training.executor
    assert executor is not None
    optimizer.zero_grad()
    loss, _ = executor.forward(*batch)
    executor.backward(loss)
    executor.step(optimizer)


def train_two_epochs(folder: Path, loader: TimedLoader) -> None:
    """Neocog's loop over two epochs, without validation."""
    config = TrainConfig(epochs=2, batch_size=BATCH, ema_decay=AVERAGE)
    settings = FitSettings(train=config, optimizer=OPTIMIZER, schedule=ScheduleConfig(name="cosine"))
    run = Run.create(folder, "bench", "bench")
    saver = RunCheckpointer(run, config, data="bench", settings="bench")
    with Interrupt() as interrupt:
        training, figures = build(AVERAGE), {"loss": 1.0, "accuracy": 0.1}
        fit(training, loader, lambda _: figures, TASK, settings, checkpointer=saver, interrupt=interrupt)


def prepare(folder: Path) -> Iterator[Sides]:
    threads, loader, bare = use_threads(), make_loader(), build(0.0)
    batch, epochs = loader.batch(0, 0), iter(range(10**6))
    of_bare: list[float] = []

    def ours() -> float:
        loader.whole.clear()
        train_two_epochs(folder / str(next(epochs)), loader)
        assert len(loader.whole) == STEPS, "each step but the last is timed"
        return BATCH / mean(loader.whole)

    def theirs() -> float:
        steps = [timed(lambda: bare_step(bare, batch)) for _ in range(STEPS)]
        of_bare.extend(steps)
        return BATCH / mean(steps)

    def note() -> str:
        share = mean(loader.calls) / mean(of_bare)
        return f"{WAY.name}, {threads} threads; gathering and augmenting take {share:.1%} of a bare step"

    with keep_memory(), quiet():
        yield Sides({"Neocog": ours, "bare network": theirs}, note=note)


WORDS = f"training ResNet-18 with augmentation, 1x{SIDE}x{SIDE}, batches of {BATCH}, beside the bare network's steps"
ROWS = (Row("train-augmented", "training", WORDS, "images/s", "more", prepare, target=0.9, bound=True),)
