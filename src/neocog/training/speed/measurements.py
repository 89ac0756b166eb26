"""Measurements of one network on one machine, kept for its next run there."""

import hashlib
import json
import platform
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from neocog import __version__
from neocog.errors import StorageError
from neocog.files import cache_dir, storage_errors, write_whole
from neocog.progress import note
from neocog.settings import SETTINGS

__all__ = ["Measurements", "device_name", "identity", "read_measurements", "versions", "write_measurements"]

Seconds = Annotated[float, Field(gt=0)]


@dataclass(kw_only=True, slots=True, config=SETTINGS)
class Measurements:
    """Figures by name of the candidate; missing ones have not been tried yet."""

    seconds: dict[str, Seconds] = field(default_factory=dict)
    """Of one step, the fastest of several."""
    compiling: dict[str, Seconds] = field(default_factory=dict)
    """Seconds of the first step beyond those of a later one."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Candidates that failed or computed wrong results, and how."""


FORMAT = 1
ADAPTER = TypeAdapter(Measurements)


def identity(model: nn.Module, images: Tensor, optimizer: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """Everything that a step's time depends on: network, batch shape, update, device, threads and versions."""
    weights = [(name, list(p.shape), str(p.dtype), p.requires_grad) for name, p in model.named_parameters()]
    return {
        "network": hashlib.sha256(repr((repr(model), weights)).encode()).hexdigest(),
        "batch": [list(images.shape), str(images.dtype)],
        "optimizer": optimizer.__name__,
        "device": device_name(images.device),
        "threads": torch.get_num_threads(),
        **versions(),
    }


def versions() -> dict[str, str]:
    return {"neocog": __version__, "torch": torch.__version__}


def device_name(device: torch.device) -> str:
    """A device by kind and name; a CPU with the instruction set that torch uses."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"{device.type} {cpu_name()} {torch.backends.cpu.get_cpu_capability()}"


def cpu_name() -> str:
    """The processor's name as the system gives it; on Linux Python itself says no more than x86_64."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measurements_file(key: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return cache_dir("speed", f"{digest}.json")


def read_measurements(key: dict[str, Any]) -> Measurements:
    """Earlier measurements; none if the file is missing, damaged or about something else."""
    try:
        found = json.loads(measurements_file(key).read_bytes())
        if found["format"] != FORMAT or found["key"] != key:
            return Measurements()
        return ADAPTER.validate_python(found["measurements"])
    except (OSError, ValueError, ValidationError, KeyError, TypeError, RecursionError):
        return Measurements()


def write_measurements(key: dict[str, Any], measurements: Measurements) -> None:
    """Keep the measurements. If they can't be written, a note says so: the run does not depend on it."""
    path = measurements_file(key)
    content = {"format": FORMAT, "key": key, "measurements": ADAPTER.dump_python(measurements)}
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(content, indent=1))
    except StorageError as error:
        note(f"The speed measurements could not be saved and will be repeated: {error}")
