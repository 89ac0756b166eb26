"""Measurements that are kept for the next run of the same network on the same machine."""

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from neocog import __version__
from neocog.errors import StorageError
from neocog.files import cache_dir, storage_errors, write_whole
from neocog.progress import note
from neocog.training.speed.measurements import Measurements

__all__ = ["device_name", "identity", "read_measurements", "versions", "write_measurements"]

FORMAT = 1
ADAPTER = TypeAdapter(Measurements)


def identity(model: nn.Module, images: Tensor, optimizer: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """All that a step's time depends on: the network, the batch's shape, the update, device, threads and versions."""
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
    """A device by kind and name; a CPU with the instructions that torch uses of it."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"{device.type} {cpu_name()} {torch.backends.cpu.get_cpu_capability()}"


def cpu_name() -> str:
    """The processor's name as the system gives it; on Linux Python alone knows no more than x86_64."""
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
    """What was measured before; nothing where there is no file, or one that is damaged or about something else."""
    try:
        found = json.loads(measurements_file(key).read_bytes())
        if found["format"] != FORMAT or found["key"] != key:
            return Measurements()
        return ADAPTER.validate_python(found["measurements"])
    except (OSError, ValueError, ValidationError, KeyError, TypeError, RecursionError):
        return Measurements()


def write_measurements(key: dict[str, Any], measurements: Measurements) -> None:
    """Keep what was measured. Where it can't be written a line says so: the run does not depend on it."""
    path = measurements_file(key)
    content = {"format": FORMAT, "key": key, "measurements": ADAPTER.dump_python(measurements)}
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(content, indent=1))
    except StorageError as error:
        note(f"The speed measurements could not be kept, and will be made again: {error}")
