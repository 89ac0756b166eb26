"""Measure how long training waits for a checkpoint: written synchronously, and written in the background.

    python bench/checkpoints.py

The state is that of ResNet-50 with AdamW, about 300 MB. Each round saves it in every way, one after the other in the
same process; the files have the same bytes. Target: in the background, training waits at most 0.20 times as long as for
a synchronous save. The first copy also allocates the memory that later ones reuse, so it is listed separately. The last
line shows how much a background writer slows down training steps.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save

from neocog.files import write_whole
from neocog.progress import quiet
from neocog.runs import Run
from neocog.runs.checkpoints import RunCheckpointer
from neocog.training import OptimizerConfig, TrainConfig, Training, save_checkpoint
from neocog.zoo import create_model

ROUNDS = 5
STEPS = 3  # with small batches, timed while a checkpoint is written


def take_steps(training: Training, count: int) -> None:
    for _ in range(count):
        training.optimizer.zero_grad()
        training.model(torch.randn(8, 3, 32, 32)).square().mean().backward()
        training.optimizer.step()


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def by_the_library(path: Path, training: Training) -> None:
    """Save as a hand-written loop would: the library builds the bytes in memory."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in training.tensors().items()}
    write_whole(path, save(tensors, {"state": json.dumps(training.state.to_json())}))


def main() -> None:
    training = Training(create_model("resnet50"), OptimizerConfig(name="adamw"))
    take_steps(training, 1)
    size = sum(value.numel() * value.element_size() for value in training.tensors().values())
    names = ("safetensors.torch.save", "synchronous", "background, training waits", "background, until written")
    times: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder, quiet():
        run = Run.create(Path(folder), "bench", "bench")
        checkpointer = RunCheckpointer(run, TrainConfig(), data="bench", settings="bench")
        first = seconds_of(lambda: checkpointer.save(training))
        checkpointer.close()
        once = Path(folder) / "once"
        for _ in range(ROUNDS):
            times[names[0]].append(seconds_of(lambda: by_the_library(Path(folder) / "library", training)))
            times[names[1]].append(seconds_of(lambda: save_checkpoint(once, training, checkpointer.about)))
            began = time.perf_counter()
            checkpointer.save(training)
            times[names[2]].append(time.perf_counter() - began)
            checkpointer.close()
            times[names[3]].append(time.perf_counter() - began)
        assert run.last.read_bytes() == (Path(folder) / "once").read_bytes()
        alone, beside = slowed(training, checkpointer)
    base = statistics.median(times["synchronous"])
    print(f"{size / 1e6:.0f} MB in {len(training.tensors())} tensors; medians of {ROUNDS} rounds")
    print(f"{'save':<30}{'ms':>8}{'ratio':>12}")
    for name, found in {**times, "background, first copy": [first]}.items():
        print(f"{name:<30}{1e3 * statistics.median(found):>8.0f}{statistics.median(found) / base:>12.2f}")
    print(
        f"{STEPS} steps: {alone:.2f} s alone, {beside:.2f} s while a checkpoint is written; ratio {beside / alone:.2f}"
    )


def slowed(training: Training, checkpointer: RunCheckpointer) -> tuple[float, float]:
    """Seconds of a few steps alone, and of the same steps while a checkpoint is written; medians of three turns."""
    alone, beside = [], []
    for _ in range(3):
        alone.append(seconds_of(lambda: take_steps(training, STEPS)))
        checkpointer.save(training)
        beside.append(seconds_of(lambda: take_steps(training, STEPS)))
        checkpointer.close()
    return statistics.median(alone), statistics.median(beside)


if __name__ == "__main__":
    main()
