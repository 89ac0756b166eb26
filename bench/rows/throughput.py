"""Training throughput: a plain PyTorch loop, `torch.compile`, Lightning, Neocog, and the limit of the machine.

All train the same network on the same batch of random images, using SGD with momentum:

    plain PyTorch   the loop of PyTorch's tutorials: eager, fp32, contiguous
    torch.compile   the same loop with the compiled network, where compiling takes less than half a minute
    Lightning       the same in Lightning's Trainer
    Neocog          Neocog's step, in the precision and memory format that `choose_speed` picks for a run of ten minutes

A turn takes a third of a second, at least one step, and counts by the median of its steps. Batches are small, so that
all networks together take a few minutes on two cores. The note of each row has the share of the floor's speed:

    floor = 3 FLOPs / (FLOP/s of a product of 1024x1024 matrices) + bytes / (bytes/s of copying 64 MiB)

in fp32 or bf16, whichever is lower. FLOPs are those of the forward pass. Bytes are what convolutions and dense layers
read and write in three passes, plus five times the weights for the update. Everything else (norms, activations,
pooling) counts as free, as if it were fused. The floor is not a strict bound: arithmetic may overlap with copies, and
caches save some of them.
"""

import copy
import importlib
import importlib.util
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Row, Sides
from harness.row import Turn
from harness.steps import LR, MOMENTUM, Case, neocog, plain, timed
from neocog.cpus import num_threads
from neocog.planning import Plan, plan
from neocog.zoo import create_model

__all__ = ["CASES", "ROWS"]


class Sizes(NamedTuple):
    """The batch of a network."""

    shape: tuple[int, int, int]
    batch: int
    compiles: bool = False
    """Whether compiling it takes less than half a minute."""


CASES = {
    "lenet5": Sizes((1, 32, 32), 128, compiles=True),
    "speednet": Sizes((3, 32, 32), 128, compiles=True),
    "resnet18": Sizes((3, 224, 224), 8, compiles=True),
    "resnet50": Sizes((3, 224, 224), 4),
    "vgg16": Sizes((3, 224, 224), 2),
    "densenet121": Sizes((3, 224, 224), 4),
    "mobilenet_v2": Sizes((3, 224, 224), 8),
}
FASTER = {"resnet18": 2.5}  # times as fast as plain; 1.0 for all others
TURN, RUN = 0.3, 600.0  # seconds of a turn, and of plain steps in the run for which Neocog chooses
SIDE, COPIED = 1024, 64 * 2**20
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SAME = 0.1  # relative difference of the first losses; bf16 and dropout change them by less


def training_step(name: str, sizes: Sizes) -> Row:
    def prepare(folder: Path) -> Iterator[Sides]:
        case = make_case(name, sizes)
        default = torch.get_num_threads()
        step = plain(copy.deepcopy(case.model), case)
        expected = step()
        first = min(timed(step), timed(step))
        own, reason = neocog(copy.deepcopy(case.model), case, first)
        assert abs(own() - expected) < SAME * expected, "both sides begin with the same loss"
        steps: list[float] = []
        turns = {
            "Neocog": repeat(own, sizes.batch, num_threads(), steps),
            "plain PyTorch": repeat(step, sizes.batch, default),
        }
        absent = {}
        if sizes.compiles:
            compiled = torch.compile(copy.deepcopy(case.model))
            assert isinstance(compiled, nn.Module)
            turns["torch.compile"] = repeat(plain(compiled, case), sizes.batch, default)
        else:
            absent["torch.compile"] = "compiling takes longer than a row of this bench may"
        if importlib.util.find_spec("lightning"):
            turns["Lightning"] = lightning(copy.deepcopy(case.model), case, max(1, round(TURN / first)), default)
        else:
            absent["Lightning"] = "not installed"
        floors = measure_floors(case)
        best = min(floors, key=lambda precision: floors[precision])
        yield Sides(
            turns, absent=absent,
            note=lambda: f"{reason}; {floors[best] / median(steps):.0%} of the floor's speed ({best})",
        )  # fmt: skip

    words = f"training step of {name}, {'x'.join(map(str, sizes.shape))}, batches of {sizes.batch}"
    title = f"train-{name.replace('_', '-')}"
    return Row(title, "training", words, "images/s", "more", prepare, target=FASTER.get(name, 1.0))


def make_case(name: str, sizes: Sizes) -> Case:
    torch.manual_seed(0)
    num_classes = 10 if sizes.shape[1] == 32 else 1000
    model = create_model(name, num_classes=num_classes, in_channels=sizes.shape[0]).train()
    images = torch.randn(sizes.batch, *sizes.shape)
    return Case(model, images, torch.arange(sizes.batch) % num_classes, num_classes, RUN)


def repeat(step: Callable[[], object], batch: int, threads: int, seconds: list[float] | None = None) -> Turn:
    """Steps until the turn is over, as images per second; the seconds of each step are added to the list."""

    def turn() -> float:
        torch.set_num_threads(threads)
        steps = [timed(step)]
        while sum(steps) < TURN:
            steps.append(timed(step))
        if seconds is not None:
            seconds.extend(steps)
        return batch / median(steps)

    return turn


def lightning(model: nn.Module, case: Case, num_steps: int, threads: int) -> Turn:
    """Steps of Lightning's Trainer, from the start of the first to the end of the last; its own start doesn't count."""
    pl: Any = importlib.import_module("lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # each Trainer prints a greeting
    times: list[float] = []

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
            times.append(time.perf_counter())

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            images, labels = batch
            return F.cross_entropy(self.model(images), labels)

        def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
            times.append(time.perf_counter())

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=LR, momentum=MOMENTUM)

    class RepeatedBatch(torch.utils.data.IterableDataset[tuple[Tensor, Tensor]]):
        def __iter__(self) -> Any:
            return itertools.repeat((case.images, case.labels), num_steps)

    module = Module()

    def turn() -> float:
        torch.set_num_threads(threads)
        times.clear()
        trainer = pl.Trainer(
            max_steps=num_steps, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(RepeatedBatch(), batch_size=None))
        return num_steps * len(case.images) / (times[-1] - times[0])

    return turn


def measure_floors(case: Case) -> dict[str, float]:
    """Seconds of a step by precision, from the measured matrix product and copy; see above."""
    torch.set_num_threads(num_threads())
    planned, batch = plan(case.model, tuple(case.images.shape[1:])), len(case.images)
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    copied = median(timed(lambda: target.copy_(source)) for _ in range(9))
    return {name: floor(planned, batch, product(dtype), copied, dtype.itemsize) for name, dtype in TYPES.items()}


def product(dtype: torch.dtype) -> float:
    """The seconds of a matrix product."""
    left, right = (torch.ones(SIDE, SIDE, dtype=dtype) for _ in range(2))
    result = torch.empty_like(left)
    return median(timed(lambda: torch.mm(left, right, out=result)) for _ in range(9))


def floor(planned: Plan, batch: int, multiplied: float, copied: float, itemsize: int) -> float:
    flops_per_second, bytes_per_second = 2 * SIDE**3 / multiplied, 2 * COPIED / copied
    moved = 5 * 4 * planned.parameters
    for row in planned.rows:
        if row.macs:
            maps = sum(prod(shape) for shape in row.input_shapes) + prod(row.output_shape)
            moved += 3 * itemsize * (maps * batch + row.parameters + row.shared)
    return 3 * planned.flops * batch / flops_per_second + moved / bytes_per_second


ROWS = tuple(training_step(name, sizes) for name, sizes in CASES.items())
