"""The machine and the versions that figures were measured with."""

import importlib.metadata
import os
import platform
import tomllib
from pathlib import Path
from typing import Any

import psutil

from neocog.cli import environment

__all__ = ["describe", "peers"]

ROOT = Path(__file__).parents[2]


def describe() -> dict[str, Any]:
    """CPU, cores, memory, system, Python, and the versions of Neocog, of what it computes with, and of its peers."""
    cpu = environment.find_cpu()
    has = [name for name, there in (cpu["features"] or {}).items() if there]
    return {
        "cpu": cpu["name"],
        "features": has,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": platform.platform(aliased=True, terse=True),
        "python": platform.python_version(),
        "versions": {name: version_of(name) for name in ("neocog", "torch", "numpy", *engines(), *peers())},
    }


def peers() -> dict[str, str]:
    """The peers and the versions that the extra `bench` pins."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    return dict(line.split("==") for line in lines if "==" in line)


def engines() -> tuple[str, ...]:
    return ("onnxruntime", "openvino")


def version_of(package: str) -> str | None:
    """Its version, or None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
