"""Training steps of one network on one batch: the plain loop's, and Neocog's.

`bench/gpu.py` takes them too, so nothing here needs a peer.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neocog.cpus import num_threads
from neocog.tasks import Classification
from neocog.training import OptimizerConfig, make_optimizer
from neocog.training.executor import StepExecutor
from neocog.training.speed import SpeedConfig, choose_speed

__all__ = ["LR", "MOMENTUM", "Case", "device_name", "neocog", "plain", "timed"]

LR, MOMENTUM = 1e-3, 0.9


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
