"""Training steps of one network on one batch: the plain loop's, and Neocog's.

`bench/gpu.py` takes them too, so nothing here needs a peer.
"""

import copy
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.row import Sides, per_second
from neocog.cpus import num_threads
from neocog.progress import quiet
from neocog.tasks import Classification, Task
from neocog.training import OptimizerConfig, make_optimizer
from neocog.training.executor import StepExecutor
from neocog.training.speed import SpeedConfig, choose_speed

__all__ = ["LR", "MOMENTUM", "Case", "beside_plain_loop", "device_name", "neocog", "plain", "timed"]

LR, MOMENTUM = 1e-3, 0.9
LONG = 20_000  # steps of a run for which Neocog chooses how to compute
SAME = 0.05  # relative difference of the first losses


@dataclass(frozen=True, slots=True)
class Case:
    """The network and the batch that all sides train on."""

    model: nn.Module
    images: Tensor
    labels: Tensor
    num_classes: int
    run_seconds: float
    """Seconds of plain steps in the run for which Neocog chooses."""


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


def beside_plain_loop(model: nn.Module, task: Task, images: Tensor, targets: Tensor) -> Sides:
    """Images per second of Neocog's step with AdamW, as `choose_speed` picks it for a long run, and of a plain loop's.

    The plain loop is eager, fp32 and contiguous, with the same network, loss and optimiser; both begin with one loss.
    """
    theirs, config = copy.deepcopy(model), OptimizerConfig(name="adamw", lr=LR)
    plain_optimizer = torch.optim.AdamW(theirs.parameters(), lr=LR)

    def plain_step() -> float:
        plain_optimizer.zero_grad()
        loss = task.loss(theirs(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        plain_optimizer.step()
        return float(loss.detach())

    with quiet():
        decision = choose_speed(
            model, images, targets, loss=task.loss, optimizer=lambda copied: make_optimizer(copied, config),
            steps=LONG, config=SpeedConfig(), several_sizes=True,
        )  # fmt: skip
    executor, optimizer = StepExecutor(model, task.loss, decision, images.device), make_optimizer(model, config)

    def own_step() -> float:
        optimizer.zero_grad()
        loss, _ = executor.forward(images, targets)
        executor.backward(loss)
        executor.step(optimizer)
        return float(loss.detach())

    first, expected = own_step(), plain_step()
    assert abs(first - expected) < SAME * expected, "both sides begin with the same loss"
    count = len(images)
    turns = {"Neocog": per_second(count, own_step), "plain PyTorch": per_second(count, plain_step)}
    return Sides(turns, note=decision.reason)


def timed(step: Callable[[], object]) -> float:
    """The seconds of one step, until the device has done it."""
    began = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
