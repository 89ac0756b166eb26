"""Checkpoints: how long training waits for one, and what a checkpoint in the middle of it costs in all.

The state is that of ResNet-50 with AdamW, about 300 MB. All sides save the same tensors, and what they wrote is read
back and compared. The peers:

Neocog, synchronous         the same file, written while training waits
torch.save                  of a dictionary, synchronously, without forcing the file to the disk, which all others do
DCP async_save              torch.distributed.checkpoint: a copy is taken, a thread writes it

The second row takes three small steps, of which a background writer takes processor time: a save, and three steps while
it is written. Each turn ends with the checkpoint on the disk, which is not counted.
Target: in the background, training waits at most 0.20 times as long as for a synchronous save.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from harness import Row, Sides
from harness.row import Turn
from neocog.cpus import num_threads
from neocog.progress import quiet
from neocog.runs import Run
from neocog.runs.checkpoints import RunCheckpointer
from neocog.training import OptimizerConfig, TrainConfig, Training, save_checkpoint
from neocog.zoo import create_model

__all__ = ["ROWS"]

STEPS = 3  # with small batches, while a checkpoint is written

Save = Callable[[], Callable[[], object]]
"""Saves as far as training must wait for it; returns what waits for the rest."""


def take_steps(training: Training, count: int) -> None:
    for _ in range(count):
        training.optimizer.zero_grad()
        training.model(torch.randn(8, 3, 32, 32)).square().mean().backward()
        training.optimizer.step()


def nothing() -> None:
    """All is written already."""


def plain_tensors(training: Training) -> dict[str, Tensor]:
    return {key: value.detach() for key, value in training.tensors().items()}


def ways(folder: Path, training: Training, checkpointer: RunCheckpointer) -> dict[str, Save]:
    def in_background() -> Callable[[], object]:
        checkpointer.save(training)
        return checkpointer.close

    def synchronously() -> Callable[[], object]:
        save_checkpoint(folder / "once", training, checkpointer.about)
        return nothing

    def by_torch() -> Callable[[], object]:
        torch.save(plain_tensors(training), folder / "torch.pt")
        return nothing

    def by_dcp() -> Callable[[], object]:
        writer = FileSystemWriter(folder / "dcp")
        found: Any = async_save(plain_tensors(training), storage_writer=writer, no_dist=True)
        return lambda: found.result()

    return {
        "Neocog": in_background,
        "Neocog, synchronous": synchronously,
        "torch.save": by_torch,
        "DCP async_save": by_dcp,
    }


def check_files(folder: Path, training: Training, last: Path, saves: dict[str, Save]) -> None:
    """Save in each way, and fail unless the same comes back."""
    for save in saves.values():
        save()()
    assert last.read_bytes() == (folder / "once").read_bytes()
    wanted = plain_tensors(training)
    loaded = torch.load(folder / "torch.pt")
    empty = {key: torch.empty_like(value) for key, value in wanted.items()}
    load(empty, checkpoint_id=folder / "dcp", no_dist=True)
    for found in (loaded, empty):
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def timed(save: Save, training: Training, steps: int) -> Turn:
    """Seconds of a save and of steps while it is written."""

    def turn() -> float:
        began = time.perf_counter()
        wait = save()
        take_steps(training, steps)
        seconds = time.perf_counter() - began
        wait()
        return seconds

    return turn


def prepared(folder: Path, steps: int) -> Iterator[Sides]:
    torch.set_num_threads(num_threads())
    warnings.simplefilter("ignore")  # DCP warns of a single process, and of the checkpoint that it replaces
    training = Training(create_model("resnet50"), OptimizerConfig(name="adamw"))
    take_steps(training, 1)
    with quiet():
        run = Run.create(folder, "bench", "bench")
        checkpointer = RunCheckpointer(run, TrainConfig(), data="bench", settings="bench")
        saves = ways(folder, training, checkpointer)
        check_files(folder, training, run.last, saves)
        tensors = plain_tensors(training).values()
        size = sum(value.numel() * value.element_size() for value in tensors)
        sides: dict[str, Turn] = {name: timed(save, training, steps) for name, save in saves.items()}
        if steps:
            sides["no checkpoint"] = timed(lambda: nothing, training, steps)
        yield Sides(sides, note=f"{size / 1e6:.0f} MB in {len(tensors)} tensors")
        checkpointer.close()


STATE = "ResNet-50 with AdamW"
ROWS = (
    Row(
        "checkpoint-wait", "data", f"Training waits for a checkpoint of {STATE}", "s", "less",
        lambda folder: prepared(folder, 0), target=5.0,
    ),
    Row(
        "checkpoint-steps", "data", f"A checkpoint of {STATE}, and {STEPS} small steps", "s", "less",
        lambda folder: prepared(folder, STEPS),
    ),
)  # fmt: skip
