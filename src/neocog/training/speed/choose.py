"""The decision how a step is computed: from a network, a batch and the number of steps."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import torch
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from neocog.errors import CheckpointError, ConfigError
from neocog.settings import SETTINGS
from neocog.training.executor import Precision
from neocog.training.speed.candidates import PLAIN, Candidate, candidates
from neocog.training.speed.config import SpeedConfig
from neocog.training.speed.measure import FEWEST, DroppedError, Length, ModelBench, fastest, measure
from neocog.training.speed.measurements import (
    Measurements,
    device_name,
    identity,
    read_measurements,
    versions,
    write_measurements,
)

__all__ = ["Decision", "choose_speed"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Decision:
    """How the steps of a run are computed. A resumed run keeps it, since other arithmetic gives other weights."""

    mode: Literal["auto", "exact", "manual"]
    """Who decided."""
    precision: Precision = "fp32"
    channels_last: bool = False
    compiled: bool = False
    native: bool = False
    reason: str
    """One sentence with figures."""
    timings: dict[str, float]
    """Seconds per step, by candidate."""
    dropped: dict[str, str]
    """Candidates that were dropped, and why."""
    threads: int
    device: str
    """Its kind and name."""
    versions: dict[str, str]
    """Of Neocog and torch."""

    def lines(self) -> list[str]:
        """The lines that a user reads."""
        return [f"speed: {self.reason}", *(f"  dropped: {name}: {why}" for name, why in self.dropped.items())]

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = TypeAdapter(type(self)).dump_python(self)
        return found

    @classmethod
    def from_json(cls, found: object) -> Self:
        """The inverse of `to_json`. Raises CheckpointError for anything else."""
        try:
            return TypeAdapter(cls).validate_python(found)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise CheckpointError(
                f"The record of how the steps of a run are computed is damaged: {where}: {first['msg']}.",
                fix="Start a new run with the same settings.",
            ) from error


GAIN = 0.05  # a candidate must save this share over plain: less is noise
TRIAL = 12  # steps: plain and one candidate, its check included
FEW = 3  # images: with fewer, the update of the weights takes most of a step
BRIEF = 10.0  # seconds: a run that is too short for a trial with whole batches, and takes less, stays plain
COMPILE_SECONDS, LAYER_SECONDS = 20.0, 1.0  # that torch.compile usually takes, in all and per layer


def choose_speed(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    loss: Callable[[Any, Tensor], Tensor],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    steps: int,
    config: SpeedConfig,
    several_sizes: bool = False,
) -> Decision:
    """How `steps` steps like one on this batch are best computed on its device, as the settings say.

    `optimizer` makes an optimiser for a copy of the network. The network, its gradients and torch's generators are left
    as they were. Measurements are kept for later runs of the same network here; see `measure` for the cost.
    A network that meets inputs of `several_sizes` is not compiled, as it would be compiled for each of them.
    Raises ConfigError if channels_last is requested and inputs are not images.
    """
    if config.mode == "exact":
        return make_decision(
            config, PLAIN, images.device, "fp32, contiguous, eager and deterministic, as speed.mode is exact"
        )
    ways, dropped = candidates(model, images)
    if config.mode == "manual":
        way = Candidate(config.precision, config.channels_last, config.compile, config.native)
        check_manual(way, ways, images)
        return make_decision(config, way, images.device, f"{way.name}, as the settings say")
    run = Length(
        steps=steps, budget=config.budget, compile_seconds=math.inf if several_sizes else usual_compile_seconds(model)
    )
    known, timed = time_steps(ModelBench(model, images, labels, loss, optimizer), ways, run)
    whole = len(images)
    per_step = replace(known, seconds={name: took * whole / timed for name, took in known.seconds.items()})
    decision = conclude(per_step, ways, dropped, run, config, images.device)
    if timed < whole and len(known.seconds) > 1:
        decision = replace(decision, reason=f"{decision.reason}; timed with {timed} of a batch's {whole} images")
    return decision


def time_steps(bench: ModelBench, ways: Sequence[Candidate], run: Length) -> tuple[Measurements, int]:
    """The measurements of these ways, earlier ones included, and the number of images in a timed step.

    Raises ConfigError if a step isn't possible in plain float32.
    """
    images, update = bench.images, type(bench.make_optimizer(copy.deepcopy(bench.model)))
    key = identity(bench.model, images, update)
    known, whole = read_measurements(key), len(images)
    timed = whole if known.seconds else images_to_time(images, run)
    if timed < whole:
        run = replace(run, steps=run.steps * whole // timed, least=BRIEF)
        bench = ModelBench(bench.model, images[:timed], bench.labels[:timed], bench.loss, bench.make_optimizer)
        key = identity(bench.model, bench.images, update)
        known = read_measurements(key)
    before = copy.deepcopy(known)
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        try:
            measure(known, ways, bench, run)
        except DroppedError as error:  # of plain float32
            raise ConfigError(
                "A step of training must be possible in plain float32.",
                received=str(error),
                fix="Lower --optimizer.lr, and check the inputs for values that are not finite.",
            ) from error
    if known != before:
        write_measurements(key, known)
    return known, timed


def check_manual(way: Candidate, ways: Sequence[Candidate], images: Tensor) -> None:
    """Raises ConfigError for a way that this network and its inputs can't be computed in."""
    if way.channels_last and not any(found.channels_last for found in ways):
        raise ConfigError(
            "speed.channels_last is for images and networks that convolve them.",
            received=f"inputs of shape {tuple(images.shape)}",
            fix="Leave it out.",
        )
    check_native(way, images.device)


def check_native(way: Candidate, device: torch.device) -> None:
    """Raises ConfigError if Neocog's own kernels are wanted with settings for which there are none."""
    if way.native and (way != Candidate("bf16", channels_last=True, native=True) or device.type != "cpu"):
        raise ConfigError(
            "speed.native is for bf16 with channels last on a CPU, not compiled.",
            received=f"precision {way.precision}, channels_last {way.channels_last}, compile {way.compiled}, "
            f"device {device.type}",
            fix="Add --speed.precision bf16 --speed.channels_last true, or leave it out.",
        )


def images_to_time(images: Tensor, run: Length) -> int:
    """How many images of a batch to time steps with: all, or fewer if the run is too short for that.

    Only on a CPU, where a step of a quarter of the images takes about a quarter of the time.

    >>> brief = Length(steps=50, budget=0.03, compile_seconds=20)
    >>> images_to_time(torch.zeros(64, 1), brief), images_to_time(torch.zeros(8, 1), brief)
    (8, 8)
    """
    affordable = run.budget * run.steps  # steps of a whole batch
    if images.device.type != "cpu" or affordable >= 2 * FEWEST:
        return len(images)
    number = int(affordable * len(images) / TRIAL)
    return number if number >= FEW else len(images)


def usual_compile_seconds(model: nn.Module) -> float:
    return COMPILE_SECONDS + LAYER_SECONDS * sum(1 for module in model.modules() if not list(module.children()))


def conclude(
    known: Measurements,
    ways: Sequence[Candidate],
    dropped: Mapping[str, str],
    run: Length,
    config: SpeedConfig,
    device: torch.device,
) -> Decision:
    """The decision that follows from the measurements."""
    every = [*ways, *(way.compiled_instead for way in ways if run.compile_seconds < math.inf)]
    way = fastest(known, every, run.steps, gain=GAIN)
    reason = explain(known, every, way, run.steps)
    return make_decision(config, way, device, reason, known.seconds, {**dropped, **known.dropped})


def explain(known: Measurements, every: Sequence[Candidate], way: Candidate, steps: int) -> str:
    """The decision in one sentence, with its figures."""
    plain = known.seconds.get(PLAIN.name)
    if plain is None:
        return f"{PLAIN.name}: {steps:,} steps are too few to measure a faster way"
    took = known.seconds[way.name]
    text = f"{way.name}: {milliseconds(took)} a step"
    if way != PLAIN:
        text += f", {plain / took:.1f} times as fast as plain fp32 ({milliseconds(plain)})"
    elif len(known.seconds) > 1:
        text += f", the best of {len(known.seconds)} candidates for {steps:,} steps"
    else:
        text += "; no time to measure another candidate"
    return f"{text}; {about_compiling(known, every, way, steps)}"


def about_compiling(known: Measurements, every: Sequence[Candidate], way: Candidate, steps: int) -> str:
    """The outcome of compiling, in half a sentence."""
    if way.compiled:
        return f"compiling took {known.compiling[way.name]:.0f} s"
    tried = next((other for other in every if other.compiled and other.name in known.seconds), None)
    failed = next((other for other in every if other.compiled and other.name in known.dropped), None)
    if tried is not None:
        cost = f"{known.compiling[tried.name]:.0f} s, then {milliseconds(known.seconds[tried.name])} a step"
        return f"compiling ({cost}) was not worth it for {steps:,} steps"
    return "compiling failed" if failed is not None else f"compiling was not worth it for {steps:,} steps"


def milliseconds(seconds: float) -> str:
    """
    >>> milliseconds(0.01123), milliseconds(1.25)
    ('11.2 ms', '1,250 ms')
    """
    return f"{seconds * 1e3:,.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:,.0f} ms"


def make_decision(
    config: SpeedConfig,
    way: Candidate,
    device: torch.device,
    reason: str,
    timings: Mapping[str, float] | None = None,
    dropped: Mapping[str, str] | None = None,
) -> Decision:
    return Decision(
        mode=config.mode,
        precision=way.precision,
        channels_last=way.channels_last,
        compiled=way.compiled,
        native=way.native,
        reason=reason,
        timings=dict(timings or {}),
        dropped=dict(dropped or {}),
        threads=torch.get_num_threads(),
        device=device_name(device),
        versions=versions(),
    )
