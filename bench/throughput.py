"""Compare training throughput: a plain PyTorch loop, Lightning, Neocog, and the limit of the machine.

    python bench/throughput.py [--models resnet18 vgg16] [--seconds 25] [--run 600] [--device cuda]

All train the same network on the same batch of random images, using SGD with momentum:

    plain      the loop of PyTorch's tutorials: eager, fp32, contiguous
    lightning  the same in Lightning's Trainer, if it is installed
    neocog     Neocog's step, in the precision and memory format that `choose_speed` picks for a run of --run seconds

They alternate in turns of half a second, at least one step each, and so do two matrix products and a copy, from which
the floor follows. Medians of all steps except those of the first turn.

    floor = 3 FLOPs / (FLOP/s of a product of 1024x1024 matrices) + bytes / (bytes/s of copying 64 MiB)

in fp32 or bf16, whichever is lower. FLOPs are those of the forward pass. Bytes are what convolutions and dense layers
read and write in three passes, plus five times the weights for the update. Everything else (norms, activations,
pooling) counts as free, as if it were fused. The floor is not a strict bound: arithmetic may overlap with copies, and
caches save some of them.
Targets: resnet18 at least 2.4 times as fast as plain, and at least 75% of the floor's speed; each network at least 1.0
times as fast as plain.
"""

import argparse
import copy
import importlib.util
import itertools
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.cpus import num_threads
from neocog.planning import Plan, plan
from neocog.tasks import Classification
from neocog.training import OptimizerConfig, make_optimizer
from neocog.training.executor import StepExecutor
from neocog.training.speed import SpeedConfig, choose_speed
from neocog.zoo import create_model

CASES: dict[str, tuple[tuple[int, int, int], int]] = {
    "lenet5": ((1, 32, 32), 128),
    "speednet": ((3, 32, 32), 128),
    "resnet18": ((3, 224, 224), 8),
    "resnet50": ((3, 224, 224), 4),
    "vgg16": ((3, 224, 224), 2),
    "densenet121": ((3, 224, 224), 4),
    "mobilenet_v2": ((3, 224, 224), 8),
}
"""Shape of an input, and batch size: small, so that a machine with two cores takes a minute."""
FASTER, OF_FLOOR = {"resnet18": 2.4}, {"resnet18": 0.75}  # targets; 1.0 times as fast for all others
TURN = 0.5  # seconds
SIDE, COPIED = 1024, 64 * 2**20
LR, MOMENTUM = 1e-3, 0.9
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

Turn = Callable[[], list[float]]
"""Takes one turn; returns the seconds of its steps."""


@dataclass(frozen=True, slots=True)
class Case:
    """The network and the batch that all of them train on."""

    model: nn.Module
    images: Tensor
    labels: Tensor
    num_classes: int
    run_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--seconds", type=float, default=25.0, help="seconds of timing for each network")
    parser.add_argument(
        "--run", type=float, default=600.0, help="seconds of plain steps in the run for which Neocog chooses"
    )
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    device = torch.device(given.device)
    print(f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEOCOG_CACHE"] = folder  # without measurements of earlier runs
        for name in given.models:
            measure(name, make_case(name, device, given.run), given.seconds)


def make_case(name: str, device: torch.device, run_seconds: float) -> Case:
    shape, batch_size = CASES[name]
    torch.manual_seed(0)
    num_classes = 10 if shape[1] == 32 else 1000
    model = create_model(name, num_classes=num_classes, in_channels=shape[0]).to(device).train()
    images = torch.randn(batch_size, *shape, device=device)
    return Case(model, images, torch.arange(batch_size, device=device) % num_classes, num_classes, run_seconds)


def measure(name: str, case: Case, seconds: float) -> None:
    """Let all of them take turns, and print the results."""
    step = plain(copy.deepcopy(case.model), case)
    step()
    first = min(timed(step), timed(step))
    ways: dict[str, Turn] = {"plain": partial(turn, step, torch.get_num_threads())}
    if importlib.util.find_spec("lightning"):
        ways["lightning"] = lightning(copy.deepcopy(case.model), case, max(1, int(TURN / first)))
    step, reason = neocog(copy.deepcopy(case.model), case, first)
    ways["neocog"] = partial(turn, step, num_threads())
    device = case.images.device
    ways |= {precision: partial(turn, product(dtype, device), num_threads()) for precision, dtype in TYPES.items()}
    ways["copy"] = partial(turn, copying(device), num_threads())
    for take in ways.values():
        take()
    found: dict[str, list[float]] = {way: [] for way in ways}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for way, take in ways.items():
            found[way] += take()
    show(name, case, {way: statistics.median(steps) for way, steps in found.items()}, reason)


def show(name: str, case: Case, medians: dict[str, float], reason: str) -> None:
    """Print images per second, the ratio to plain, the share of the floor's speed, and whether targets are met."""
    shape, batch_size = tuple(case.images.shape[1:]), len(case.images)
    planned = plan(case.model, shape)
    floors = {precision: floor(planned, batch_size, medians, precision) for precision in TYPES}
    best = min(floors, key=lambda precision: floors[precision])
    ways = {way: took for way, took in medians.items() if way in ("plain", "lightning", "neocog")}
    print(f"\n{name}, {'x'.join(map(str, shape))}, batch {batch_size}. Neocog: {reason}")
    for way, took in (ways | {f"floor, {best}": floors[best]}).items():
        print(
            f"  {way:<12}{batch_size / took:>12,.1f} images/s{took * 1e3:>12,.2f} ms a step"
            f"{medians['plain'] / took:>8.2f} x plain{floors[best] / took:>8.0%} of the floor"
        )
    bars = [(medians["plain"] / medians["neocog"], FASTER.get(name, 1.0), "x plain")]
    if name in OF_FLOOR:
        bars.append((floors[best] / medians["neocog"], OF_FLOOR[name], "of the floor"))
    for figure, asked, of in bars:
        print(f"  target {asked} {of}: {figure:.2f}, {'met' if figure >= asked else 'missed'}")


def turn(step: Callable[[], object], num_threads: int) -> list[float]:
    """Take steps until the turn is over."""
    torch.set_num_threads(num_threads)
    steps = [timed(step)]
    while sum(steps) < TURN:
        steps.append(timed(step))
    return steps


def timed(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def plain(model: nn.Module, case: Case) -> Callable[[], float]:
    """The step of https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)

    def step() -> float:
        optimizer.zero_grad()
        outputs = model(case.images)
        loss = criterion(outputs, case.labels)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def neocog(model: nn.Module, case: Case, plain_seconds: float) -> tuple[Callable[[], float], str]:
    """A step as in Neocog's loop, and the reason for the choice of precision and memory format."""
    task = Classification(tuple(map(str, range(case.num_classes))))
    config = OptimizerConfig(lr=LR, momentum=MOMENTUM)
    torch.set_num_threads(num_threads())
    decision = choose_speed(
        model, case.images, case.labels, loss=task.loss, optimizer=lambda copied: make_optimizer(copied, config),
        steps=int(case.run_seconds / plain_seconds), config=SpeedConfig(),
    )  # fmt: skip
    executor = StepExecutor(model, task.loss, decision, case.images.device)
    optimizer = make_optimizer(model, config)

    def step() -> float:
        loss, _ = executor.forward(case.images, case.labels)
        value = loss.item()
        optimizer.zero_grad()
        executor.backward(loss)
        executor.unscale(optimizer)
        executor.step(optimizer)
        return value

    return step, decision.reason


def lightning(model: nn.Module, case: Case, num_steps: int) -> Turn:
    """A turn in Lightning's Trainer; a step lasts from the start of one batch to the start of the next."""
    import lightning as L  # type: ignore[import-not-found]

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # each Trainer prints a greeting

    class Module(L.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.begun: list[float] = []

        def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
            self.begun.append(time.perf_counter())

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            images, labels = batch
            return F.cross_entropy(self.model(images), labels)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=LR, momentum=MOMENTUM)

    class RepeatedBatch(torch.utils.data.IterableDataset[tuple[Tensor, Tensor]]):
        def __iter__(self) -> Any:
            return itertools.repeat((case.images, case.labels), num_steps + 1)

    module = Module()
    num_threads = torch.get_num_threads()

    def take() -> list[float]:
        torch.set_num_threads(num_threads)
        module.begun.clear()
        trainer = L.Trainer(
            max_steps=num_steps + 1, accelerator="gpu" if case.images.is_cuda else "cpu", devices=1, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(RepeatedBatch(), batch_size=None))
        return [later - earlier for earlier, later in itertools.pairwise(module.begun)]

    return take


def product(dtype: torch.dtype, device: torch.device) -> Callable[[], Tensor]:
    left, right = (torch.ones(SIDE, SIDE, dtype=dtype, device=device) for _ in range(2))
    result = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=result)


def copying(device: torch.device) -> Callable[[], Tensor]:
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def floor(planned: Plan, batch_size: int, medians: dict[str, float], precision: str) -> float:
    """Seconds of a step, from the measured matrix product and copy; see above."""
    itemsize = TYPES[precision].itemsize
    flops_per_second = 2 * SIDE**3 / medians[precision]
    bytes_per_second = 2 * COPIED / medians["copy"]
    moved = 5 * 4 * planned.parameters
    for row in planned.rows:
        if row.macs:
            maps = sum(prod(shape) for shape in row.input_shapes) + prod(row.output_shape)
            moved += 3 * itemsize * (maps * batch_size + row.parameters + row.shared)
    return 3 * planned.flops * batch_size / flops_per_second + moved / bytes_per_second


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
