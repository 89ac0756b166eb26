"""Forecasts beside measurements: by which factor the measured time or memory differs from the forecast.

The floor of a network follows from the machine's measured peaks, which each row measures; the forecast is the
floor times a factor that was the median over several networks, plus the calls of torch. A row's figure is measured
over forecast, or forecast over measured, whichever is larger: 1 is perfect. Steps are eager fp32, with SGD with
momentum. Networks with one or six channels leave most of a vector unit idle, which the forecast does not know.

Memory is what a process gained at its peak, in a process of its own for each turn; see `measure_memory`.
"""

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import neocog
from harness import Row, Sides
from neocog.bundle import find_model
from neocog.planning import Forecast, forecast, measure_machine

__all__ = ["ROWS"]

Case = tuple[str, tuple[int, ...], int]
"""A network, the shape of its input, and the batch size."""
CLOSE = 1.25
"""The factor within which forecasts for large networks should stay."""


def expect(case: Case) -> tuple[nn.Module, Forecast]:
    name, shape, batch_size = case
    model = find_model(name).model
    return model, forecast(neocog.plan(model, shape), measure_machine(fresh=True), batch_size=batch_size)


def times(case: Case, kind: Literal["inference", "training"], steps: int = 1) -> Callable[[Path], Iterator[Sides]]:
    """Prepare a row: the factor between the median of some steps and the forecast."""

    def prepare(folder: Path) -> Iterator[Sides]:
        model, expected = expect(case)
        model = real(model).train(kind == "training")
        images = torch.randn(case[2], *case[1])
        work = trainer(model, images) if kind == "training" else inference(model, images)
        seconds, floor = (
            (expected.training_seconds, expected.training_floor)
            if kind == "training"
            else (expected.inference_seconds, expected.inference_floor)
        )
        probe = median_time(work, 3)

        def turn() -> float:
            return apart(median_time(work, steps), seconds)

        yield Sides(
            {"Neocog": turn},
            note=f"forecast {seconds:.3g} s, floor {floor:.3g} s, measured {probe:.3g} s before the turns",
        )

    return prepare


def memory(case: Case) -> Callable[[Path], Iterator[Sides]]:
    """Prepare a row: the factor between the memory that training gained, in a process of its own, and the forecast."""

    def prepare(folder: Path) -> Iterator[Sides]:
        _, expected = expect(case)
        name, shape, batch_size = case
        words = [sys.executable, "-m", "rows.forecasts", name, ",".join(map(str, shape)), str(batch_size)]
        place = Path(__file__).parents[1]

        def turn() -> float:
            done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True)
            return apart(int(done.stdout), expected.training_bytes)

        yield Sides({"Neocog": turn}, note=f"forecast {expected.training_bytes / 1e6:,.0f} MB")

    return prepare


def apart(measured: float, expected: float) -> float:
    """By which factor they differ.

    >>> apart(2.0, 1.0), apart(1.0, 2.0)
    (2.0, 2.0)
    """
    return math.exp(abs(math.log(measured / expected)))


def measure_memory(name: str, shape: tuple[int, ...], batch_size: int) -> int:
    """Bytes that this process gains at its peak by two training steps of a network, weights included."""
    model = find_model(name).model
    before: int = psutil.Process().memory_info().rss
    work = trainer(real(model), torch.randn(batch_size, *shape))
    work()
    work()
    return peak_bytes() - before


def peak_bytes() -> int:
    """The most memory that this process held so far."""
    import resource

    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def inference(model: nn.Module, images: Tensor) -> Callable[[], None]:
    def work() -> None:
        with torch.no_grad():
            model(images)

    return work


def trainer(model: nn.Module, images: Tensor) -> Callable[[], None]:
    """A training step of a network, which gives one vector of logits for each image."""
    with torch.no_grad():
        assert len(model(images[:2])) == 2
    labels = torch.zeros(len(images), dtype=torch.int64)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def work() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return work


def median_time(work: Callable[[], None], steps: int) -> float:
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def real(model: nn.Module) -> nn.Module:
    """Give a network on the meta device memory and initial weights."""
    if any(parameter.is_meta for parameter in model.parameters()):
        model = model.to_empty(device="cpu")
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                module.reset_parameters()
    return model


def compared(name: str, what: str, prepare: Callable[[Path], Iterator[Sides]], limit: float | None = CLOSE) -> Row:
    return Row(f"forecast-{name}", "start", f"forecast of {what}: factor to the measured", "x", "less", prepare,
               limit=limit)  # fmt: skip


RESNET = ("resnet50", (3, 224, 224), 8)
ALEXNET = ("alexnet_one_column", (3, 224, 224), 16)
LENET = ("lenet5_relu", (1, 32, 32), 128)
MEMORY = ("resnet50", (3, 64, 64), 32)

ROWS = (
    compared("inference-resnet50", "inference, ResNet-50 at 224x224, batch 8", times(RESNET, "inference")),
    compared("training-resnet50", "a training step, ResNet-50 at 224x224, batch 8", times(RESNET, "training")),
    compared("training-alexnet", "a training step, AlexNet at 224x224, batch 16", times(ALEXNET, "training")),
    compared("training-lenet5", "a training step, LeNet-5 with ReLU, batch 128", times(LENET, "training", 51), None),
    compared("memory-resnet50", "memory of training, ResNet-50 at 64x64, batch 32", memory(MEMORY)),
)

if __name__ == "__main__":
    name, shape, batch_size = sys.argv[1:]
    print(measure_memory(name, tuple(map(int, shape.split(","))), int(batch_size)))
