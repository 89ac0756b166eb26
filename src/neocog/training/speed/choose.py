"""The choice: from a network, a batch and the number of steps to the way in which they are computed."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.training.speed.cache import device_name, identity, read_measurements, versions, write_measurements
from neocog.training.speed.candidates import PLAIN, Candidate, candidates
from neocog.training.speed.config import SpeedConfig
from neocog.training.speed.decision import Decision
from neocog.training.speed.measure import Length, fastest, measure
from neocog.training.speed.measurements import Measurements
from neocog.training.speed.timing import ModelBench

__all__ = ["choose_speed"]

GAIN = 0.05  # another way must save so much: less is noise, and plain is plain
COMPILE_SECONDS, LAYER_SECONDS = 20.0, 1.0  # what torch.compile usually takes, and for each layer


def choose_speed(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    loss: Callable[[Any, Tensor], Tensor],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    steps: int,
    config: SpeedConfig,
) -> Decision:
    """How `steps` steps like one on this batch are best computed on its device, as the settings say.

    `optimizer` makes an optimiser for a copy of the network. The network, its gradients and torch's generators are as
    before. What is measured is kept for later runs of the same network here; see `measure` for the price.
    Raises ConfigError where channels_last is asked for and there are no pictures.
    """
    if config.mode == "exact":
        return decided(config, PLAIN, images.device, "fp32, contiguous, eager and deterministic: exact was asked for")
    ways, dropped = candidates(model, images)
    if config.mode == "manual":
        way = Candidate(config.precision, config.channels_last, config.compile)
        if way.channels_last and not any(found.channels_last for found in ways):
            raise ConfigError(
                f"speed.channels_last is for pictures and networks that convolve them. Received: inputs of shape "
                f"{tuple(images.shape)}. Leave it out."
            )
        return decided(config, way, images.device, f"{way.name}, as asked for")
    run = Length(steps=steps, budget=config.budget, compile_seconds=usual_compile_seconds(model))
    key = identity(model, images, type(optimizer(copy.deepcopy(model))))
    known = read_measurements(key)
    before = copy.deepcopy(known)
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        measure(known, ways, ModelBench(model, images, labels, loss, optimizer), run)
    if known != before:
        write_measurements(key, known)
    return concluded(known, ways, dropped, run, config, images.device)


def usual_compile_seconds(model: nn.Module) -> float:
    return COMPILE_SECONDS + LAYER_SECONDS * sum(1 for module in model.modules() if not list(module.children()))


def concluded(
    known: Measurements,
    ways: Sequence[Candidate],
    dropped: Mapping[str, str],
    run: Length,
    config: SpeedConfig,
    device: torch.device,
) -> Decision:
    """The decision that follows from what was measured."""
    every = [*ways, *(replace(way, compiled=True) for way in ways)]
    way = fastest(known, every, run.steps, gain=GAIN)
    reason = explain(known, every, way, run.steps)
    return decided(config, way, device, reason, known.seconds, {**dropped, **known.dropped})


def explain(known: Measurements, every: Sequence[Candidate], way: Candidate, steps: int) -> str:
    """The decision in one sentence, with its figures."""
    plain = known.seconds.get(PLAIN.name)
    if plain is None:
        return f"{PLAIN.name}: {steps:,} steps are too few to measure what is faster"
    took = known.seconds[way.name]
    text = f"{way.name}: {milliseconds(took)} a step"
    if way != PLAIN:
        text += f", {plain / took:.1f} times as fast as plain fp32 ({milliseconds(plain)})"
    elif len(known.seconds) > 1:
        text += f", the best of {len(known.seconds)} ways for {steps:,} steps"
    else:
        text += ", and no time to measure another way"
    return f"{text}; {about_compiling(known, every, way, steps)}"


def about_compiling(known: Measurements, every: Sequence[Candidate], way: Candidate, steps: int) -> str:
    """What came of compiling, in half a sentence."""
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


def decided(
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
        reason=reason,
        timings=dict(timings or {}),
        dropped=dict(dropped or {}),
        threads=torch.get_num_threads(),
        device=device_name(device),
        versions=versions(),
    )
