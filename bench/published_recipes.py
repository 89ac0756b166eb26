"""The recipes that users start from, as their documentation gives them, on images in memory.

    pytorch   examples/mnist/main.py of PyTorch: two convolutions, dropout, Adadelta, 14 epochs
    keras     "Simple MNIST convnet" of keras.io on the torch backend: Adam, 15 epochs
    tutorial  PyTorch's "Training a Classifier": LeNet's form, batches of 4, SGD, 2 epochs
    resnet18  ResNet-18 for CIFAR-10 (github.com/kuangliu/pytorch-cifar): batches of 128, SGD with cosine, 200 epochs

time_to_accuracy.py runs them to their end. The bench gives one a number of seconds:

    python bench/published_recipes.py pytorch FOLDER --seconds 8 [--seed 3]

FOLDER has MNIST's or CIFAR-10's files. The clock runs from the start of the process to its last line, which is the
accuracy on the test data. Scoring a thousand test images before training tells how much time to keep back for all.
"""

import argparse
import gzip
import importlib
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["EPOCHS", "RECIPES", "Images", "Point", "load_images"]


SOME = 1_000  # test images that are scored to see how long all of them take


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


class Deadline:
    """When a recipe must have printed its accuracy, and the time that it keeps back to score all test images."""

    def __init__(self, at: float) -> None:
        """`at` is in seconds since the epoch."""
        self.at, self.reserve = at, 0.0

    def keep_back(self, score_part: Callable[[], object], parts: float) -> None:
        """Time a part of the scoring, the second time, since the first is slower."""
        score_part()
        began = time.perf_counter()
        score_part()
        self.reserve = 1.1 * parts * (time.perf_counter() - began)

    def passed(self) -> bool:
        return time.time() > self.at - self.reserve


Recipe = Callable[[Images, Deadline], Iterator[Point]]
"""Trains, and yields a point after each epoch; ends with a last one when the deadline has passed."""


def load_images(folder: Path) -> Images:
    """MNIST's or CIFAR-10's files."""
    return mnist(folder) if list(folder.glob("*-ubyte*")) else cifar10(folder)


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
    deadline: Deadline,
    *,
    epochs: int,
    batch_size: int,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    augment: Callable[[Tensor], Tensor] | None = None,
    score_every: float = 60.0,
) -> Iterator[Point]:
    """The loop of all PyTorch recipes; yields a point after each epoch, and every minute within a longer one."""
    few = data._replace(test=data.test[:SOME], test_labels=data.test_labels[:SOME])
    deadline.keep_back(lambda: score(model, few), len(data.test) / SOME)
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
            if deadline.passed():
                yield Point(seconds, epoch + (i + 1) / len(loader), score(model, data))
                return
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


def pytorch(data: Images, deadline: Deadline) -> Iterator[Point]:
    """https://github.com/pytorch/examples/blob/main/mnist/main.py"""
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(1),
    )  # fmt: skip
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    return train(
        model, optimizer, StepLR(optimizer, 1, gamma=0.7), normalise(data, [0.1307], [0.3081]), deadline,
        epochs=14, batch_size=64, loss=F.nll_loss,
    )  # fmt: skip


def keras_convnet(data: Images, deadline: Deadline) -> Iterator[Point]:
    """https://keras.io/examples/vision/mnist_convnet/"""
    os.environ["KERAS_BACKEND"] = "torch"
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(torch.initial_seed() % 2**32)
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
    batches = math.ceil(0.9 * len(images) / 128)
    deadline.keep_back(
        lambda: model.predict(test[:SOME], batch_size=1000, verbose=0), (len(test) + len(images) / 10) / SOME
    )
    done = [0]

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            done[0] += 1
            if deadline.passed():
                self.model.stop_training = True

    seconds = 0.0
    for _ in range(EPOCHS["keras"]):
        began = time.perf_counter()
        model.fit(images, labels, batch_size=128, epochs=1, validation_split=0.1, verbose=0, callbacks=[Watch()])
        seconds += time.perf_counter() - began
        guesses = model.predict(test, batch_size=1000, verbose=0).argmax(1)
        yield Point(seconds, done[0] / batches, float((guesses == data.test_labels.numpy()).mean()))
        if deadline.passed():
            return


def tutorial(data: Images, deadline: Deadline) -> Iterator[Point]:
    """https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html"""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    return train(
        model,
        optimizer,
        None,
        normalise(data, [0.5] * 3, [0.5] * 3),
        deadline,
        epochs=2,
        batch_size=4,
        score_every=math.inf,
    )


def resnet18(data: Images, deadline: Deadline) -> Iterator[Point]:
    """https://github.com/kuangliu/pytorch-cifar: 93.02% at its end according to its README."""
    model = ResNet18()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    return train(
        model, optimizer, CosineAnnealingLR(optimizer, T_max=200),
        normalise(data, [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]), deadline,
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


RECIPES: dict[str, Recipe] = {"pytorch": pytorch, "keras": keras_convnet, "tutorial": tutorial, "resnet18": resnet18}
EPOCHS = {"pytorch": 14, "keras": 15, "tutorial": 2, "resnet18": 200}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    deadline = Deadline(psutil.Process().create_time() + given.seconds)
    torch.manual_seed(given.seed)
    *_, last = RECIPES[given.recipe](load_images(given.folder), deadline)
    print(f"test accuracy {last.accuracy:.2%} after {last.epochs:.2f} epochs", flush=True)


if __name__ == "__main__":
    main()
