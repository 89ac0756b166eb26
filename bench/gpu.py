"""Measure what a GPU gives, and check what only a GPU runs: at most 8 minutes, without the network.

    python bench/gpu.py [--device cuda] [--out gpu.json] [--quick]

It needs a PyTorch for the device and this checkout: data are generated. Three parts, written to one JSON file:

    throughput   training steps of ResNet-18, ResNet-50 and the speed network: plain eager fp32, plain compiled, and as
                 Neocog's `auto` chooses; medians of interleaved steps
    fast         the recipe `fast` on 50,000 generated images of 32x32 that stay on the device: seconds and accuracy
    checks       the chosen arithmetic passes its self-test; a run that was stopped and resumed has the weights of one
                 that was not; a gradient that is not finite changes nothing, without a synchronisation in the step;
                 lower precision gives the loss of float32; predictions agree with those of the CPU

`--quick` takes tiny sizes, to see that the script runs, on a CPU too. Exit code 1 if a check fails.
"""

import argparse
import copy
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import neocog as program
from harness.steps import Case, device_name, neocog, plain
from neocog.bundle import torch_backend
from neocog.tasks import Classification
from neocog.training import OptimizerConfig, make_optimizer
from neocog.training.executor import StepExecutor, lower_precision
from neocog.training.speed import SpeedConfig, choose_speed
from neocog.zoo import create_model

Row = dict[str, Any]
SIZES: dict[str, tuple[tuple[int, int, int], int, int]] = {
    "speednet": ((3, 32, 32), 512, 10),
    "resnet18": ((3, 224, 224), 128, 1000),
    "resnet50": ((3, 224, 224), 64, 1000),
}
"""Shape of an image, images in a batch, classes."""
SECONDS = 25.0  # of timing for each network
STEPS = 3  # that are taken before timing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    given = parser.parse_args()
    device, began = torch.device(given.device), time.monotonic()
    found: Row = {"device": device_name(device), "torch": torch.__version__, "cuda": torch.version.cuda}
    print(f"{found['device']}, torch {found['torch']}, CUDA {found['cuda']}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEOCOG_CACHE"] = folder  # without measurements of earlier runs
        found["checks"] = run_checks(device, Path(folder), given.quick)
        found["fast"] = run_fast(device, Path(folder), given.quick)
        found["throughput"] = [throughput(name, device, given.quick) for name in SIZES]
    found["seconds"] = round(time.monotonic() - began, 1)
    given.out.write_text(json.dumps(found, indent=1))
    print(f"{given.out} after {found['seconds']} s")
    return int(any(not check["passed"] for check in found["checks"]))


def synchronised(step: Callable[[], object], device: torch.device) -> float:
    """The seconds of one step, until the device has done it."""
    began = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def throughput(name: str, device: torch.device, quick: bool) -> Row:
    """Images per second of each way, and its speed as a ratio to plain."""
    shape, batch, classes = SIZES[name]
    if quick:
        shape, batch = (3, 32, 32), 4
    torch.manual_seed(0)
    model = create_model(name, num_classes=classes, in_channels=3).to(device).train()
    images = torch.randn(batch, *shape, device=device)
    case = Case(model, images, torch.arange(batch, device=device) % classes, classes, run_seconds=600.0)
    step = plain(copy.deepcopy(model), case)
    for _ in range(STEPS):
        first = synchronised(step, device)
    ways: dict[str, Callable[[], object]] = {"plain": step}
    if not quick:
        compiled = torch.compile(copy.deepcopy(model))
        assert isinstance(compiled, nn.Module)
        ways["compiled"] = plain(compiled, case)
    ways["neocog auto"], reason = neocog(copy.deepcopy(model), case, first)
    took: dict[str, list[float]] = {way: [] for way in ways}
    for take in ways.values():
        for _ in range(STEPS):
            synchronised(take, device)
    until = time.perf_counter() + (0.5 if quick else SECONDS)
    while time.perf_counter() < until:
        for way, take in ways.items():
            took[way].append(synchronised(take, device))
    medians = {way: statistics.median(steps) for way, steps in took.items()}
    for way, seconds in medians.items():
        print(f"{name:<10} {way:<12} {batch / seconds:>10,.0f} images/s {medians['plain'] / seconds:>6.2f} x plain")
    print(f"{'':<10} {reason}")
    rates = {way: batch / seconds for way, seconds in medians.items()}
    return {"network": name, "batch": batch, "shape": shape, "images per second": rates, "reason": reason}


def drawn(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 32, 32, 3) of ten kinds of stripes in noise, and their labels: learnable, and not at once."""
    rng = np.random.default_rng(seed)
    labels, places = np.arange(count) % 10, np.arange(32)
    angles = labels * np.pi / 10
    phase = rng.uniform(0, 2 * np.pi, count)
    along = np.cos(angles)[:, None, None] * places[None, :, None] + np.sin(angles)[:, None, None] * places[None, None]
    waves = np.sin(0.9 * along + phase[:, None, None])[..., None]
    noise = rng.normal(0, 1.2, (count, 32, 32, 3))
    return (127 + 40 * (waves + noise)).clip(0, 255).astype(np.uint8), labels


def run_fast(device: torch.device, folder: Path, quick: bool) -> Row:
    """The recipe `fast` from arrays in memory to the test figure."""
    images, labels = drawn(600 if quick else 60_000, 0)
    began = time.monotonic()
    run = program.train(
        (images, labels), recipe="fast", epochs=1 if quick else 10, runs=folder,
        overrides={"train.device": str(device), "data.val_fraction": 0.05},
    )  # fmt: skip
    seconds = time.monotonic() - began
    assert run.evaluation is not None, "a finished run"
    accuracy = next(iter(run.evaluation.metrics.values()))
    print(f"fast: {accuracy.percent()} after {seconds:.1f} s")
    return {"images": len(images), "seconds": round(seconds, 2), "accuracy": accuracy.value}


def run_checks(device: torch.device, folder: Path, quick: bool) -> list[Row]:
    """Each check by name, with its figures; an exception is a failed check."""
    checks: dict[str, Callable[[], tuple[bool, str]]] = {
        "the chosen arithmetic passes its self-test": partial(self_test, device, quick),
        "a resumed run has the weights of an uninterrupted one": partial(resumes, device, folder),
        "a gradient that is not finite changes nothing": partial(skips, device),
        "a step reads nothing from the device": partial(stays_on_device, device),
        "lower precision gives the loss of float32": partial(half_precision, device),
        "predictions agree with those of the CPU": partial(same_as_cpu, device),
    }
    found = []
    for name, check in checks.items():
        try:
            passed, figures = check()
        except Exception as error:  # a failed check is a result, and the others still run
            passed, figures = False, f"{type(error).__name__}: {error}"
        print(f"{'passed' if passed else 'FAILED'}  {name}: {figures}")
        found.append({"check": name, "passed": passed, "figures": figures})
    return found


def small(device: torch.device) -> tuple[nn.Module, Tensor, Tensor, Classification]:
    """A network, a batch, labels, and their task."""
    torch.manual_seed(0)
    model = create_model("resnet20_cifar", num_classes=10, in_channels=3).to(device).train()
    images = torch.randn(64, 3, 32, 32, device=device)
    return model, images, torch.arange(64, device=device) % 10, Classification(tuple("abcdefghij"))


def self_test(device: torch.device, quick: bool) -> tuple[bool, str]:
    """Neocog's own: every convolution and product of the network, in the chosen arithmetic, against float64."""
    model, images, labels, task = small(device)
    decision = choose_speed(
        model, images, labels, loss=task.loss, optimizer=lambda copied: make_optimizer(copied, OptimizerConfig()),
        steps=20 if quick else 20_000, config=SpeedConfig(),
    )  # fmt: skip
    return not decision.dropped, f"{decision.reason}; dropped: {decision.dropped or 'nothing'}"


def resumes(device: torch.device, folder: Path) -> tuple[bool, str]:
    """Two epochs at once, and one and then another, in the mode that promises equal bits."""
    images, labels = drawn(200, 1)
    settings: Row = {"train.device": str(device), "speed.mode": "exact", "data.val_fraction": 0.1}

    def train(name: str, epochs: int) -> program.Run:
        return program.train(
            (images, labels), model="lenet5_relu", recipe="general", epochs=epochs, runs=folder, name=name,
            overrides={**settings, "schedule.name": "constant"},
        )  # fmt: skip

    train("parts", 1)
    runs = (program.resume(folder / "parts", epochs=2, data=(images, labels)), train("whole", 2))
    weights = [program.load(run.bundle).model for run in runs]
    states = [model.state_dict() for model in weights if model is not None]
    gap = max(float((states[0][key].double() - states[1][key].double()).abs().max()) for key in states[0])
    return gap == 0.0, f"largest difference {gap:g}"


def skips(device: torch.device) -> tuple[bool, str]:
    """An update with the flag set, and one without it."""
    model, images, labels, task = small(device)
    optimizer = make_optimizer(model, OptimizerConfig())
    decision = exact(device, model, images, labels, task)
    executor = StepExecutor(model, task.loss, decision, device)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    changed = []
    for flag in (1.0, 0.0):
        loss, _ = executor.forward(images, labels)
        optimizer.zero_grad()
        executor.backward(loss)
        executor.step(optimizer, torch.tensor(flag, device=device))
        changed.append(any(not torch.equal(before[name], value) for name, value in model.named_parameters()))
    return changed == [False, True], f"changed with the flag: {changed[0]}, without: {changed[1]}"


def stays_on_device(device: torch.device) -> tuple[bool, str]:
    """A step under torch's own alarm for synchronisations."""
    if device.type != "cuda":
        return True, "not a GPU: nothing to see"
    model, images, labels, task = small(device)
    optimizer = make_optimizer(model, OptimizerConfig())
    executor = StepExecutor(model, task.loss, exact(device, model, images, labels, task), device)
    flag = torch.zeros((), device=device)

    def step() -> None:
        loss, _ = executor.forward(images, labels)
        optimizer.zero_grad()
        executor.backward(loss)
        executor.step(optimizer, flag)

    step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return True, "no synchronisation"


def exact(device: torch.device, model: nn.Module, images: Tensor, labels: Tensor, task: Classification) -> Any:
    """The plain arithmetic, as a decision."""
    return choose_speed(
        model, images, labels, loss=task.loss, optimizer=lambda copied: make_optimizer(copied, OptimizerConfig()),
        steps=1, config=SpeedConfig(mode="manual"),
    )  # fmt: skip


def half_precision(device: torch.device) -> tuple[bool, str]:
    """The loss in bf16, and in fp16 on a GPU, against float32."""
    model, images, labels, task = small(device)
    gaps = {}
    with torch.no_grad():
        expected = float(task.loss(model(images), labels))
    for precision in ("bf16", "fp16") if device.type == "cuda" else ("bf16",):
        with torch.no_grad(), lower_precision(precision, device):
            gaps[precision] = abs(float(task.loss(model(images).float(), labels)) - expected) / expected
    return max(gaps.values()) < 0.02, ", ".join(f"{name} {gap:.2%}" for name, gap in gaps.items())


def same_as_cpu(device: torch.device) -> tuple[bool, str]:
    """Logits of the predictor on both."""
    model, images, _, _ = small(device)
    given = images.cpu()
    found = torch_backend(model.eval())(given)
    expected = torch_backend(copy.deepcopy(model).cpu())(given)
    gap = float((found - expected).norm() / expected.norm())
    return gap < 1e-2, f"relative difference {gap:.1e}"


if __name__ == "__main__":
    sys.exit(main())
