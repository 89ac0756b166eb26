"""Compare the time to reach an accuracy: the recipe `fast`, and the recipes that users start from.

    python bench/time_to_accuracy.py mnist [--seeds 10] [--limit 900] [--only pytorch]
    python bench/time_to_accuracy.py cifar10 [--seeds 3] [--limit 900]

Neocog runs as a user would run it, `neocog train DATA --recipe fast`, each time with a new seed and without cached
measurements. Its seconds are from the start of the process to the printed test accuracy. For MNIST a second setting,
`--train.epochs 7`, aims at the last tenths of a per cent.

The other recipes follow their documentation:

    pytorch   examples/mnist/main.py of PyTorch: two convolutions, dropout, Adadelta, 14 epochs
    keras     "Simple MNIST convnet" of keras.io on the torch backend: Adam, 15 epochs; if keras is installed
    tutorial  PyTorch's "Training a Classifier": LeNet's form, batches of 4, SGD, 2 epochs
    resnet18  ResNet-18 for CIFAR-10 (github.com/kuangliu/pytorch-cifar): batches of 128, SGD with cosine, 200 epochs

They get normalised images as tensors in memory, so their seconds begin with the first step. They are scored on the test
data after each epoch, which doesn't count as time. A recipe that exceeds the limit is stopped, and the time to its end
is extrapolated.
"""

import argparse
import gzip
import itertools
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR
from torch.utils.data import DataLoader, TensorDataset

NEOCOG = [sys.executable, "-m", "neocog"]


class Setting(NamedTuple):
    """One way to run the recipe, with its targets."""

    arguments: tuple[str, ...]
    seeds: int
    accuracy: float = 0.0
    seconds: float = math.inf
    with_tta: bool = False
    """Whether the accuracy is the one with test-time augmentation."""


SETTINGS = {
    "mnist": {
        "neocog fast, 1 epoch": Setting(("--train.epochs", "1"), 10, 0.990, 10.0),
        "neocog fast, 7 epochs": Setting(("--train.epochs", "7"), 10, 0.995, 40.0),
    },
    "cifar10": {
        "neocog fast, 1 epoch": Setting(("--train.epochs", "1"), 1, with_tta=True),
        "neocog fast": Setting((), 3, 0.940, 780.0, with_tta=True),
    },
}


class Images(NamedTuple):
    """Images (N, C, H, W) in [0, 1], and their labels (N,)."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


@dataclass(frozen=True, slots=True)
class Point:
    """The accuracy of a recipe after some seconds of training."""

    seconds: float
    epochs: float
    accuracy: float


class Result(NamedTuple):
    """The result of one run of Neocog."""

    seconds: float
    accuracy: float
    with_tta: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=SETTINGS)
    parser.add_argument("--seeds", type=int, help="number of runs of Neocog; by default 10 for mnist, 3 for cifar10")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which the other recipes are stopped")
    parser.add_argument("--only", help="measure only this row, such as pytorch")
    given = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}", flush=True
    )
    reached = {}
    for name, setting in SETTINGS[given.data].items():
        if given.only in (None, name):
            results = [neocog(given.data, seed, setting) for seed in range(given.seeds or setting.seeds)]
            reached[name] = show_neocog(name, setting, results)
    for name, recipe in RECIPES[given.data].items():
        if given.only in (None, name):
            show_recipe(name, recipe, load_images(given.data), given.limit, reached)


def neocog(data: str, seed: int, setting: Setting) -> Result:
    """Run the command line once in an empty folder, and time it until the test accuracy is printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*NEOCOG, "train", data, "--recipe", "fast", "--train.seed", str(seed), *setting.arguments]
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "NEOCOG_CACHE": folder},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        found = [
            (time.perf_counter() - began, float(percent[1]) / 100)
            for line in process.stdout
            if (percent := re.match(r"test accuracy ([\d.]+)%", line))  # first without TTA, then with it
        ]
        if process.wait() or not found:
            raise SystemExit(f"{' '.join(command)} failed")
    return Result(found[-1 if setting.with_tta else 0][0], found[0][1], found[-1][1])


def show_neocog(name: str, setting: Setting, results: list[Result]) -> tuple[float, float]:
    """Print the means; returns mean accuracy and mean seconds."""
    seconds, accuracy, tta = (statistics.mean(column) for column in zip(*results, strict=True))
    spread = statistics.stdev(result.accuracy for result in results) if len(results) > 1 else math.nan
    print(
        f"{name:<24}{accuracy:>8.2%} (standard deviation {spread:.2%}, {len(results)} seeds), {tta:.2%} with TTA"
        f"{seconds:>9.1f} s on average, {max(result.seconds for result in results):.1f} s at most",
        flush=True,
    )
    figure = tta if setting.with_tta else accuracy
    if setting.accuracy:
        verdict = "met" if figure >= setting.accuracy and seconds <= setting.seconds else "missed"
        print(f"{'':<24}target {setting.accuracy:.1%} in {setting.seconds:g} s: {verdict}", flush=True)
    return figure, seconds


def show_recipe(
    name: str,
    recipe: Callable[[Images], Iterator[Point]],
    data: Images,
    limit: float,
    reached: dict[str, tuple[float, float]],
) -> None:
    """Run a recipe to its end or the limit, and print when it reached Neocog's accuracies."""
    torch.manual_seed(0)
    points = []
    for point in recipe(data):
        points.append(point)
        print(f"{name:<24}{point.accuracy:>8.2%} after {point.epochs:.2f} epochs, {point.seconds:,.1f} s", flush=True)
        if point.seconds > limit:
            break
    if not points:
        print(f"{name:<24}not measured: keras is not installed")
        return
    last, num_epochs = points[-1], EPOCHS[name]
    whole = last.seconds / last.epochs * num_epochs
    text = "at its end" if last.epochs >= num_epochs else f"stopped; its {num_epochs} epochs take {whole:,.0f} s"
    print(f"{'':<24}{text}", flush=True)
    for whose, (accuracy, seconds) in reached.items():
        first = next((point.seconds for point in points if point.accuracy >= accuracy), None)
        against = f"after {first:,.1f} s, {first / seconds:.1f} times as long" if first else "not reached"
        print(f"{'':<24}{accuracy:.2%}, which {whose} reached in {seconds:.1f} s: {against}", flush=True)


def load_images(data: str) -> Images:
    """The data set from the folder that NEOCOG_DATA names."""
    folder = Path(os.environ.get("NEOCOG_DATA", Path.home() / ".cache/neocog/data")) / data
    return mnist(folder) if data == "mnist" else cifar10(folder)


def mnist(folder: Path) -> Images:
    def read(stem: str, header: int) -> Tensor:
        packed = folder / f"{stem}.gz"
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / stem).read_bytes()
        return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).copy())

    def images(stem: str) -> Tensor:
        return read(stem, 16).reshape(-1, 1, 28, 28) / 255

    return Images(
        images("train-images-idx3-ubyte"), read("train-labels-idx1-ubyte", 8).long(),
        images("t10k-images-idx3-ubyte"), read("t10k-labels-idx1-ubyte", 8).long(),
    )  # fmt: skip


def cifar10(folder: Path) -> Images:
    def read(names: list[str]) -> tuple[Tensor, Tensor]:
        content = b"".join(next(folder.rglob(name)).read_bytes() for name in names)
        records = torch.from_numpy(np.frombuffer(content, np.uint8).copy()).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32) / 255, records[:, 0].long()

    return Images(*read([f"data_batch_{i}.bin" for i in range(1, 6)]), *read(["test_batch.bin"]))


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler | None,
    data: Images,
    *,
    epochs: int,
    batch_size: int,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    augment: Callable[[Tensor], Tensor] | None = None,
    score_every: float = 60.0,
) -> Iterator[Point]:
    """The loop of all PyTorch recipes; yields a point after each epoch, and every minute within a longer one."""
    loader = DataLoader(TensorDataset(data.train, data.train_labels), batch_size=batch_size, shuffle=True)
    seconds = 0.0
    for epoch in range(epochs):
        model.train()
        scored, began = seconds, time.perf_counter() - seconds
        for i, (images, labels) in enumerate(loader):
            optimizer.zero_grad()
            loss(model(augment(images) if augment else images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            seconds = time.perf_counter() - began
            if seconds > scored + score_every:
                yield Point(seconds, epoch + (i + 1) / len(loader), score(model, data))
                scored, began = seconds, time.perf_counter() - seconds
        if schedule:
            schedule.step()
        yield Point(seconds, epoch + 1, score(model, data))


@torch.inference_mode()
def score(model: nn.Module, data: Images) -> float:
    """Accuracy on the test data."""
    was = model.training
    model.eval()
    guesses = torch.cat([model(images).argmax(1) for images in torch.split(data.test, 1000)])
    model.train(was)
    return float((guesses == data.test_labels).float().mean())


def pytorch(data: Images) -> Iterator[Point]:
    """https://github.com/pytorch/examples/blob/main/mnist/main.py"""
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(1),
    )  # fmt: skip
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    return train(
        model, optimizer, StepLR(optimizer, 1, gamma=0.7), normalise(data, [0.1307], [0.3081]),
        epochs=14, batch_size=64, loss=F.nll_loss,
    )  # fmt: skip


def keras_convnet(data: Images) -> Iterator[Point]:
    """https://keras.io/examples/vision/mnist_convnet/"""
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        return
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"), layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"), layers.MaxPooling2D((2, 2)),
            layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax"),
        ]
    )  # fmt: skip
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    images, test = (part.permute(0, 2, 3, 1).numpy() for part in (data.train, data.test))
    labels = keras.utils.to_categorical(data.train_labels.numpy(), 10)
    seconds = 0.0
    for epoch in range(EPOCHS["keras"]):
        began = time.perf_counter()
        model.fit(images, labels, batch_size=128, epochs=1, validation_split=0.1, verbose=0)
        seconds += time.perf_counter() - began
        guesses = model.predict(test, batch_size=1000, verbose=0).argmax(1)
        yield Point(seconds, epoch + 1, float((guesses == data.test_labels.numpy()).mean()))


def tutorial(data: Images) -> Iterator[Point]:
    """https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html"""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    return train(
        model, optimizer, None, normalise(data, [0.5] * 3, [0.5] * 3), epochs=2, batch_size=4, score_every=math.inf
    )


def resnet18(data: Images) -> Iterator[Point]:
    """https://github.com/kuangliu/pytorch-cifar: 93.02% at its end according to its README."""
    model = ResNet18()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    return train(
        model, optimizer, CosineAnnealingLR(optimizer, T_max=200),
        normalise(data, [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]),
        epochs=200, batch_size=128, augment=crop_and_flip,
    )  # fmt: skip


class ResNet18(nn.Sequential):
    """ResNet-18 with a first convolution of 3x3 and stride 1, without max pooling; (N, 3, 32, 32) -> (N, 10)."""

    def __init__(self) -> None:
        widths, strides = (64, 64, 128, 128, 256, 256, 512, 512), (1, 1, 2, 1, 2, 1, 2, 1)
        blocks = [
            Block(c_in, c_out, stride)
            for (c_in, c_out), stride in zip(itertools.pairwise((64, *widths)), strides, strict=True)
        ]
        super().__init__(
            nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), *blocks,
            nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip


class Block(nn.Module):
    """y = relu(x + conv(conv(x))), each with batch norm."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out),
        )  # fmt: skip
        self.shortcut = nn.Sequential()
        if c_in != c_out or stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


def crop_and_flip(images: Tensor) -> Tensor:
    """Random 32x32 crops of images padded with four zeros, half of them mirrored, drawn for each image separately."""
    padded = F.pad(images, (4, 4, 4, 4))
    top, left = torch.randint(0, 9, (2, len(images)))
    rows = (top[:, None] + torch.arange(32))[:, None, :, None]
    columns = left[:, None] + torch.arange(32)
    columns = torch.where(torch.rand(len(images), 1) < 0.5, columns, columns.flip(1))[:, None, None, :]
    number, channel = torch.arange(len(images))[:, None, None, None], torch.arange(3)[None, :, None, None]
    return padded[number, channel, rows, columns]


def normalise(data: Images, mean: list[float], deviation: list[float]) -> Images:
    """The images, normalised with a recipe's mean and standard deviation of each channel."""
    centre, scale = (torch.tensor(values)[:, None, None] for values in (mean, deviation))
    return data._replace(train=(data.train - centre) / scale, test=(data.test - centre) / scale)


RECIPES: dict[str, dict[str, Callable[[Images], Iterator[Point]]]] = {
    "mnist": {"pytorch": pytorch, "keras": keras_convnet},
    "cifar10": {"tutorial": tutorial, "resnet18": resnet18},
}
EPOCHS = {"pytorch": 14, "keras": 15, "tutorial": 2, "resnet18": 200}

if __name__ == "__main__":
    main()
