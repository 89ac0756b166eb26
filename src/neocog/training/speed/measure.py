"""Which candidates are worth a trial, in which order and for how long; and the trial itself: timed steps on a copy."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from neocog.errors import NeocogError
from neocog.rng import derive_seed
from neocog.training.convolutions import build_seconds, load_kernels
from neocog.training.executor import StepExecutor
from neocog.training.speed.candidates import PLAIN, Candidate
from neocog.training.speed.measurements import Measurements
from neocog.training.speed.selftest import SelfTest

__all__ = ["Bench", "DroppedError", "Length", "ModelBench", "fastest", "measure", "total"]

STILL = 1e-9  # of the learning rate: an update takes its usual time, and the weights barely move
AGREEMENT = 0.05  # by which the loss may differ from plain fp32, beyond the spread of its own random draws


class DroppedError(Exception):
    """A candidate that fails or computes wrong results; the message says how."""


class Bench(Protocol):
    """Tries candidates."""

    @property
    def check_seconds(self) -> float:
        """About how long the first check takes."""
        ...

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def check(self, candidate: Candidate) -> None:
        """Raises DroppedError if it computes wrong results."""
        ...

    def begin(self, candidate: Candidate) -> None:
        """Prepare steps of this candidate. Raises DroppedError if that fails."""
        ...

    def step(self) -> float:
        """Seconds of one step. Raises DroppedError if it fails."""
        ...


class ModelBench:
    """Real steps on copies of the network with their own optimisers, all on one batch."""

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
        self.executor: StepExecutor | None = None
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
            if candidate.native:
                load_kernels()
            fault = self.test.fault(candidate)
        except (RuntimeError, NeocogError) as error:
            raise DroppedError(first_line(error)) from error
        if fault:
            raise DroppedError(fault)

    def begin(self, candidate: Candidate) -> None:
        self.executor = self.optimizer = None  # free the last copy first
        self.candidate, self.num_steps = candidate, 0
        model = copy.deepcopy(self.model).train()
        self.executor = StepExecutor(model, self.loss, candidate, self.device)
        self.optimizer = self.make_optimizer(model)
        for group in self.optimizer.param_groups:
            group["lr"] *= STILL

    def step(self) -> float:
        begin = self.now()
        try:
            loss = self.take_step()
        except Exception as error:  # compilers raise what they like
            if self.candidate == PLAIN:
                raise  # the run would fail as well
            raise DroppedError(first_line(error)) from error
        seconds = self.now() - begin
        low, high = self.expected
        if not low <= loss <= high:  # also NaN
            raise DroppedError(f"the loss is {loss:.4g}, while plain fp32 gives at most {low:.4g} to {high:.4g}")
        return seconds

    def take_step(self) -> float:
        """One step as the loop takes it; returns its loss."""
        assert self.executor is not None, "begin comes first"
        assert self.optimizer is not None
        torch.manual_seed(derive_seed(0, "speed", self.num_steps))
        self.num_steps += 1
        loss, _ = self.executor.forward(self.images, self.labels)
        value = loss.item()
        self.optimizer.zero_grad()
        self.executor.backward(loss)
        self.executor.unscale(self.optimizer)
        self.executor.step(self.optimizer)
        return value

    @cached_property
    def expected(self) -> tuple[float, float]:
        """The range of the loss in plain fp32; it varies if a network draws, as in dropout."""
        executor = StepExecutor(copy.deepcopy(self.model).train(), self.loss, PLAIN, self.device)
        losses = []
        with torch.no_grad():
            for i in range(3):
                torch.manual_seed(derive_seed(0, "speed", i))
                losses.append(executor.forward(self.images, self.labels)[0].item())
        room = 3 * (max(losses) - min(losses)) + AGREEMENT * max(map(abs, losses))
        return min(losses) - room, max(losses) + room


def first_line(error: BaseException) -> str:
    """The error in one line; the first of a chain of errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = (str(error).strip().splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {text}".rstrip(": ")


FEWEST = 3  # steps that a trial needs: one to warm up, two that count
TIMED = 5  # steps of which the fastest counts: other processes can only slow the machine down
ENOUGH = 2.0  # seconds of counted steps after which no more are timed: long steps vary little
FAR = 1.5  # times the best: not timed further
FAR_FIRST, FIRST_SECONDS = 3.0, 0.5  # the same for a first step, less the time for choosing kernels and allocating
COMPILED_GAIN = 1.3  # times as fast as eager, at best


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """The number of steps to choose for, and the cost of choosing."""

    steps: int
    budget: float
    """Share of the expected run that measuring may take."""
    compile_seconds: float
    """Usual time of compiling."""
    least: float = 0.0
    """Seconds of plain steps from which on a run is worth more than their measurement."""


def measure(known: Measurements, ways: Sequence[Candidate], bench: Bench, run: Length) -> None:
    """Fill in missing measurements, as far as the budget allows.

        seconds for measuring = budget x steps x seconds of a plain step

    and for compiling the same with the fastest step so far. They are exceeded by one check or one step at most, and by
    the time that compiling takes beyond the usual. A run too short for a trial is left unmeasured.
    """
    begin = bench.now()
    if PLAIN.name not in known.seconds:
        num_affordable = int(run.budget * run.steps)
        if num_affordable < 2 * FEWEST:  # plain, and one other
            return
        bench.begin(PLAIN)
        steps = [bench.step() for _ in range(2)][1:]
        while len(steps) < min(TIMED, num_affordable // 2 - 1) and sum(steps) < ENOUGH:
            steps.append(bench.step())
        known.seconds[PLAIN.name] = min(steps)
    plain = known.seconds[PLAIN.name]
    if run.steps * plain < run.least:
        return
    until = begin + run.budget * run.steps * plain
    left = [way for way in ways if untried(known, way)]
    if left and bench.now() + FEWEST * plain < until:
        check(known, PLAIN, bench, until)
    for way in left:
        if bench.now() + FEWEST * plain < until and check(known, way, bench, until):
            time_steps(known, way, bench, until)
    if left and fastest(known, ways, run.steps) != PLAIN:
        time_plain_again(known, bench, until)
    best = fastest(known, ways, run.steps)
    until = begin + run.budget * run.steps * known.seconds[best.name]  # the run is as short as this way makes it
    way = best.compiled_instead
    if untried(known, way) and worth_compiling(known, way, best, run, until - bench.now()):
        time_steps(known, way, bench, until)


def time_plain_again(known: Measurements, bench: Bench, until: float) -> None:
    """A candidate that seems faster than plain must still be so if the machine was busy at the beginning."""
    plain = known.seconds[PLAIN.name]
    if bench.now() + FEWEST * plain >= until:
        return
    bench.begin(PLAIN)
    steps = [bench.step()]
    while len(steps) <= TIMED and sum(steps) < ENOUGH and bench.now() + plain < until:
        steps.append(bench.step())
    known.seconds[PLAIN.name] = min(plain, *steps)


def untried(known: Measurements, way: Candidate) -> bool:
    return way.name not in known.seconds and way.name not in known.dropped


def check(known: Measurements, way: Candidate, bench: Bench, until: float) -> bool:
    """Whether a candidate computes correct results; a fault is recorded. False without time for a check."""
    if bench.now() + bench.check_seconds + (build_seconds() if way.native else 0.0) > until:
        return False
    try:
        bench.check(way)
    except DroppedError as error:
        known.dropped[way.name] = str(error)
        return False
    return True


def time_steps(known: Measurements, way: Candidate, bench: Bench, until: float) -> None:
    """Time a candidate, or record how it fails; if time runs out after its first step, it stays unknown."""
    best = min(known.seconds.values())
    try:
        bench.begin(way)
        first = bench.step()
        steps = [first] if first >= FAR_FIRST * best + FIRST_SECONDS and not way.compiled else []
        if way.compiled:  # at least one step, after so long a compilation
            steps.append(bench.step())
        while worth_another(steps, best, until - bench.now(), first):
            steps.append(bench.step())
    except DroppedError as error:
        known.dropped[way.name] = str(error)
        return
    if not steps:
        return
    known.seconds[way.name] = min(steps)
    if way.compiled:
        known.compiling[way.name] = max(first - known.seconds[way.name], known.seconds[way.name])


def worth_another(steps: Sequence[float], best: float, left: float, first: float) -> bool:
    """Whether to time another step: not if the last was far slower, or time runs out."""
    last = steps[-1] if steps else first
    return len(steps) < TIMED and sum(steps) < ENOUGH and last < left and (not steps or last < FAR * best)


def worth_compiling(known: Measurements, way: Candidate, best: Candidate, run: Length, left: float) -> bool:
    """Whether compiling could save more than it costs, and fits the budget."""
    eager = known.seconds.get(replace(way, compiled=False).name)
    if eager is None:
        return False
    saving = run.steps * (known.seconds[best.name] - eager / COMPILED_GAIN)
    return saving > run.compile_seconds and run.compile_seconds + FEWEST * eager < left


def total(known: Measurements, way: Candidate, steps: int) -> float:
    """Seconds that a run of this many steps takes with a candidate."""
    return known.compiling.get(way.name, 0.0) + steps * known.seconds[way.name]


def fastest(known: Measurements, ways: Sequence[Candidate], steps: int, gain: float = 0.0) -> Candidate:
    """The candidate with the lowest expected total, of those that were timed and are correct.

    Plain is taken if the best saves less than the share `gain`, or nothing is known.
    """
    timed = [way for way in ways if way.name in known.seconds and way.name not in known.dropped]
    if not timed:
        return PLAIN
    best = min(timed, key=lambda way: total(known, way, steps))
    close = PLAIN in timed and total(known, best, steps) > (1 - gain) * total(known, PLAIN, steps)
    return PLAIN if close else best
