"""Limits of a study on its networks: the time of one prediction on this machine, and the bytes of the weights."""

import re
import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.runs.prepare import Prepared

__all__ = ["Limits", "Measured", "measure", "parse_latency", "parse_size", "reject"]

WARM_UP, REPEATS = 5, 25
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
BYTES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits on a network; None: no limit."""

    latency: float | None = None
    """Seconds for one sample."""
    size: int | None = None
    """Bytes of its weights and buffers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The cost of a network."""

    latency: float | None
    """Seconds for one sample; None if no limit asks for it."""
    size: int


def parse_quantity(text: str, units: dict[str, float], flag: str, example: str) -> float:
    found = re.fullmatch(r"([0-9.]+(?:e[+-]?\d+)?)\s*([A-Za-z]+)", text.strip())
    try:
        assert found is not None
        value = float(found[1]) * units[found[2]]
        assert value > 0
        return value
    except (AssertionError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{flag} is a number above zero with a unit: {', '.join(units)}.", received=repr(text),
            fix=f"Write, for example, {flag} {example}",
        ) from error  # fmt: skip


def parse_latency(text: str) -> float:
    """Seconds. Raises ConfigError for anything but a time with its unit.

    >>> parse_latency("5ms")
    0.005
    """
    return parse_quantity(text, SECONDS, "--max-latency", "5ms")


def parse_size(text: str) -> int:
    """Bytes. Raises ConfigError for anything but a size with its unit.

    >>> parse_size("5MB")
    5000000
    """
    return int(parse_quantity(text, {unit: float(n) for unit, n in BYTES.items()}, "--max-size", "5MB"))


def measure(prepared: Prepared, limits: Limits) -> Measured:
    """The cost of the network; its latency is measured only if it is limited."""
    size = count_bytes(prepared.model)
    if limits.latency is None or (limits.size is not None and size > limits.size):
        return Measured(latency=None, size=size)
    inputs, _ = prepared.loader.batch(0, 0)
    return Measured(latency=time_one(prepared.model, inputs[:1]), size=size)


def count_bytes(model: nn.Module) -> int:
    """Bytes of all weights and buffers.

    >>> count_bytes(nn.Linear(3, 2))
    32
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def time_one(model: nn.Module, inputs: Tensor) -> float:
    """Median seconds of one forward pass, after a warm-up; the network is left as it was."""
    training, seconds = model.training, list[float]()
    model.eval()
    try:
        with torch.inference_mode():
            for _ in range(WARM_UP + REPEATS):
                begin = time.perf_counter()
                model(inputs)
                if inputs.device.type == "cuda":
                    torch.cuda.synchronize(inputs.device)
                seconds.append(time.perf_counter() - begin)
    finally:
        model.train(training)
    return statistics.median(seconds[WARM_UP:])


def reject(found: Measured, limits: Limits) -> str:
    """Why a network exceeds the limits; empty if it does not.

    >>> reject(Measured(latency=None, size=2_000_000), Limits(size=1_000_000))
    '2.00 MB, more than 1.00 MB'
    """
    if limits.size is not None and found.size > limits.size:
        return f"{found.size / 1e6:.2f} MB, more than {limits.size / 1e6:.2f} MB"
    if limits.latency is not None and found.latency is not None and found.latency > limits.latency:
        return f"{1e3 * found.latency:.2f} ms, more than {1e3 * limits.latency:.2f} ms"
    return ""
