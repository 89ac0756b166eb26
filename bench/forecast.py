"""Compare forecasts with measurements: `python bench/forecast.py`, with nothing else on the machine.

For each network, the program prints the median seconds of an inference and of a training step in eager fp32 (SGD with
momentum) as multiples of the floor, which follows from the machine's measured peaks, and of the forecast. It also
compares the peak memory that the process gained with its forecast.
"""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

import neocog
from neocog.bundle import find_model
from neocog.planning import forecast, measure_machine

Case = tuple[str, tuple[int, ...], int]
CASES: list[Case] = [
    ("lenet5_relu", (1, 32, 32), 128),
    ("lenet5", (1, 32, 32), 128),
    ("alexnet_one_column", (3, 224, 224), 16),
    ("vgg16", (3, 224, 224), 4),
    ("resnet50", (3, 224, 224), 8),
    ("resnet50", (3, 64, 64), 32),
]
TURNS = 5


def main() -> None:
    machine = measure_machine(fresh=True)
    print(
        f"{machine.flops['fp32'] / 1e9:.0f} GFLOP/s fp32, {machine.flops['bf16'] / 1e9:.0f} bf16, "
        f"{machine.bytes_per_second / 1e9:.1f} GB/s, {machine.seconds_per_call * 1e6:.1f} us per call"
    )
    for case in CASES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            inference, training, gained = pool.apply(measure, case)
        name, shape, batch_size = case
        found = find_model(name)
        plan = neocog.plan(found.model, shape)
        expected = forecast(plan, machine, batch_size=batch_size)
        print(
            f"{found.name:12} {'x'.join(map(str, shape)):10} batch {batch_size:3}  "
            f"inference {inference:.4f} s = {inference / expected.inference_floor:.2f} floors, "
            f"{inference / expected.inference_seconds:.2f} forecasts;  "
            f"training {training:.4f} s = {training / expected.training_floor:.2f} floors, "
            f"{training / expected.training_seconds:.2f} forecasts;  "
            f"memory {gained / 2**20:.0f} MiB = {gained / expected.training_bytes:.2f} forecasts"
        )


def measure(name: str, shape: tuple[int, ...], batch_size: int) -> tuple[float, float, int]:
    """Seconds of an inference and of a training step, and bytes gained; runs in its own process."""
    model = find_model(name).model
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = real(model)
    images = torch.randn(batch_size, *shape)
    with torch.no_grad():
        logits = model.eval()(images)
    labels = torch.zeros(batch_size, dtype=torch.int64)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def infer() -> None:
        with torch.no_grad():
            model(images)

    def train() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    inference = median_time(infer)
    model.train()
    training = median_time(train)
    gained = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert len(logits) == batch_size
    return inference, training, gained


def median_time(work: Callable[[], None]) -> float:
    work()
    seconds = []
    for _ in range(TURNS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def real(model: nn.Module) -> nn.Module:
    """Give a network on the meta device memory and initial weights."""
    if any(parameter.is_meta for parameter in model.parameters()):
        model = model.to_empty(device="cpu")
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                module.reset_parameters()
    return model


if __name__ == "__main__":
    main()
