"""Steps of one network on one batch, timed, so that nothing of the run changes."""

import copy
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from neocog.rng import derive_seed
from neocog.training.engine import Engine
from neocog.training.speed.candidates import PLAIN, Candidate
from neocog.training.speed.selftest import SelfTest

__all__ = ["Bench", "DroppedError", "ModelBench"]

STILL = 1e-9  # of the learning rate: the update takes its time, and the weights stay where they are
AGREEMENT = 0.05  # by which the loss may differ from that of plain fp32, beside what its own draws make it differ


class DroppedError(Exception):
    """A candidate that fails, or computes wrong; the message says how."""


class Bench(Protocol):
    """What tries candidates."""

    @property
    def check_seconds(self) -> float:
        """About what the first check takes."""
        ...

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def check(self, candidate: Candidate) -> None:
        """Raises DroppedError where it computes wrong."""
        ...

    def begin(self, candidate: Candidate) -> None:
        """Make ready for steps of this candidate. Raises DroppedError where that fails."""
        ...

    def step(self) -> float:
        """Seconds of one step. Raises DroppedError where it fails."""
        ...


class ModelBench:
    """Real steps on copies of the network, with optimisers of their own, all on one batch."""

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        loss: Callable[[Any, Tensor], Tensor],
        optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    ) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.loss, self.make_optimizer = loss, optimizer
        self.device = images.device
        self.candidate = PLAIN
        self.engine: Engine | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.num_steps = 0

    @cached_property
    def test(self) -> SelfTest:
        return SelfTest(self.model, self.images)

    @property
    def check_seconds(self) -> float:
        return self.test.seconds

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    def check(self, candidate: Candidate) -> None:
        try:
            fault = self.test.fault(candidate)
        except RuntimeError as error:
            raise DroppedError(first_line(error)) from error
        if fault:
            raise DroppedError(fault)

    def begin(self, candidate: Candidate) -> None:
        self.engine = self.optimizer = None  # let go of the last copy first
        self.candidate, self.num_steps = candidate, 0
        model = copy.deepcopy(self.model).train()
        self.engine = Engine(model, self.loss, candidate, self.device)
        self.optimizer = self.make_optimizer(model)
        for group in self.optimizer.param_groups:
            group["lr"] *= STILL

    def step(self) -> float:
        begin = self.now()
        try:
            loss = self.computed()
        except Exception as error:  # compilers raise what they like
            if self.candidate == PLAIN:
                raise  # so will the run
            raise DroppedError(first_line(error)) from error
        seconds = self.now() - begin
        low, high = self.expected
        if not low <= loss <= high:  # also NaN
            raise DroppedError(f"the loss is {loss:.4g}, where plain fp32 gives {low:.4g} to {high:.4g} at the widest")
        return seconds

    def computed(self) -> float:
        """One step as the loop makes it; returns its loss."""
        assert self.engine is not None, "begin comes first"
        assert self.optimizer is not None
        torch.manual_seed(derive_seed(0, "speed", self.num_steps))
        self.num_steps += 1
        loss, _ = self.engine.forward(self.images, self.labels)
        value = loss.item()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.engine.unscale(self.optimizer)
        self.engine.step(self.optimizer)
        return value

    @cached_property
    def expected(self) -> tuple[float, float]:
        """Where the loss lies that plain fp32 gives; it moves where a network draws, as in dropout."""
        engine = Engine(copy.deepcopy(self.model).train(), self.loss, PLAIN, self.device)
        losses = []
        with torch.no_grad():
            for i in range(3):
                torch.manual_seed(derive_seed(0, "speed", i))
                losses.append(engine.forward(self.images, self.labels)[0].item())
        room = 3 * (max(losses) - min(losses)) + AGREEMENT * max(map(abs, losses))
        return min(losses) - room, max(losses) + room


def first_line(error: BaseException) -> str:
    """What went wrong, in one line; of a chain of errors the first."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = (str(error).strip().splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {text}".rstrip(": ")
