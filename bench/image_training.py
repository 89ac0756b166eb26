"""Measure what a training run of images costs beyond the network: ResNet-18 on 128x128 images in batches of 32.

    python bench/image_training.py
    python bench/image_training.py --channels 3 --precision fp32

Both sides take the same steps, in one process and in turns: forward, loss, backward and update of the same network in
the same arithmetic, precision and memory format. One side has a single batch, ready in memory. The other is Neocog's
loop, which gathers and augments its batches (random resized crops, flips, TrivialAugment, CutMix), follows its
schedule, averages the weights, checks, counts, logs and writes checkpoints. The parts are timed apart below. Times are
the processor's, medians of many steps, so that other programs matter less. Target: at least 0.9 of the bare network's
images/s.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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

clock = time.process_time
SIDE, BATCH, CLASSES, STEPS = 128, 32, 10, 6
OPTIMIZER = OptimizerConfig(lr=0.02, momentum=0.9, weight_decay=2e-3, decay="weights")
AUGMENT = AugmentConfig(crop_area=0.35, flip=0.5, policy="trivialaugment", cutmix=1.0)
TASK = Classification(tuple(map(str, range(CLASSES))))


def build(way: Candidate, channels: int, ema_decay: float = 0.0) -> Training:
    model = create_model("resnet18", num_classes=CLASSES, in_channels=channels).train()
    executor = StepExecutor(model, TASK.loss, way, torch.device("cpu"))
    return Training(model, OPTIMIZER, ema_decay, executor=executor)


class Bare:
    """The network's own steps on one batch."""

    def __init__(self, way: Candidate, batch: tuple[Tensor, Tensor], channels: int) -> None:
        self.training = build(way, channels)
        self.batch = batch
        self.seconds: list[float] = []

    def epoch(self) -> None:
        optimizer, executor = self.training.optimizer, self.training.executor
        assert executor is not None
        for _ in range(STEPS):
            began = clock()
            optimizer.zero_grad()
            loss, _ = executor.forward(*self.batch)
            executor.backward(loss)
            executor.step(optimizer)
            self.seconds.append(clock() - began)


class TimedLoader(Loader):
    """Times steps, from one call for a batch to the next within an epoch, and the calls themselves."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self.whole: list[float] = []
        self.calls: list[float] = []
        self.last = 0.0

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        now = clock()
        if step:
            self.whole.append(now - self.last)
        self.last = now
        found = super().batch(epoch, step)
        self.calls.append(clock() - now)
        return found


def make_loader(channels: int) -> TimedLoader:
    num = BATCH * (STEPS + 1)  # the last step of an epoch has no next one to be timed by
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (num, channels, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    data = InMemoryDataset(pixels, torch.arange(num) % CLASSES, np.arange(num, dtype=np.uint64))
    preprocess = ImagePreprocess(size=(SIDE, SIDE), channels=channels).measured(pixels)
    return TimedLoader(data, preprocess, batch_size=BATCH, seed=0, augment=AUGMENT, num_classes=CLASSES)


def run_in_turns(way: Candidate, channels: int, epochs: int) -> tuple[Bare, TimedLoader, Training]:
    """Epochs of Neocog's loop, and those of the bare network in place of its validation."""
    loader = make_loader(channels)
    bare = Bare(way, loader.batch(0, 0), channels)
    training = build(way, channels, ema_decay=0.999)

    def in_turn(_: object) -> dict[str, float]:
        bare.epoch()
        return {"loss": 1.0, "accuracy": 0.1}

    config = TrainConfig(epochs=epochs, batch_size=BATCH, ema_decay=0.999)
    settings = FitSettings(train=config, optimizer=OPTIMIZER, schedule=ScheduleConfig(name="cosine"))
    with tempfile.TemporaryDirectory() as folder, quiet(), Interrupt() as interrupt:
        run = Run.create(Path(folder), "bench", "bench")
        saver = RunCheckpointer(run, config, data="bench", settings="bench")
        fit(training, loader, in_turn, TASK, settings, checkpointer=saver, interrupt=interrupt)
    return bare, loader, training


def seconds_of(action: Callable[[], object], times: int = 9) -> float:
    taken = []
    for _ in range(times):
        began = clock()
        action()
        taken.append(clock() - began)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    way = Candidate(options.precision, channels_last=True)
    print(f"{way.name}, {options.channels} channel(s), {use_threads()} thread(s)")
    with keep_memory():
        bare, loader, training = run_in_turns(way, options.channels, options.epochs)
        average = training.average
        assert average is not None
        parts = {
            "gather and augment": statistics.median(loader.calls),
            "average the weights": seconds_of(lambda: average.update(1_000)),
        }
    own, whole = (statistics.median(seconds[STEPS:]) for seconds in (bare.seconds, loader.whole))
    print(f"{'bare network':<22}{BATCH / own:>8.1f} images/s")
    print(f"{'training':<22}{BATCH / whole:>8.1f} images/s, {own / whole:.3f} of the bare network")
    for name, seconds in parts.items():
        print(f"  {name:<20}{seconds / own:>8.3f} of a bare step")


if __name__ == "__main__":
    main()
