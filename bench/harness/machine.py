"""The machine and the versions that figures were measured with, and what else ran on it."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import psutil

from neocog.cli import environment

__all__ = ["BUSY", "STOLEN", "Meter", "commit", "describe", "peers"]

ROOT = Path(__file__).parents[2]
BUSY = 0.10
"""Share of the processors from which others disturb a measurement."""
STOLEN = 0.02
"""Share of the processors' time from which the host of a virtual machine does."""


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


def commit() -> str:
    """The commit of the checkout, with a "+" if tracked files were changed since; "unknown" outside of one."""
    try:
        words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude", "*"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


class Meter:
    """The load that others put on this machine while a child of this process works.

    It looks for a while first, in which nothing of ours runs.
    """

    def __init__(self, watch: float) -> None:
        before, began = processor_seconds(), time.perf_counter()
        time.sleep(watch)
        busy, _ = (after - earlier for earlier, after in zip(before, processor_seconds(), strict=True))
        self.busy_before = share(busy, time.perf_counter() - began)
        self.before, self.own, self.began = processor_seconds(), own_seconds(), time.perf_counter()

    def read(self) -> dict[str, float]:
        """The conditions of the work since then. What others took is a little too high if a child leaves children."""
        elapsed = time.perf_counter() - self.began
        busy, stolen = (after - earlier for earlier, after in zip(self.before, processor_seconds(), strict=True))
        others = busy - (own_seconds() - self.own)
        return {
            "busy_before": self.busy_before,
            "others": share(others, elapsed),
            "stolen": share(stolen, elapsed),
        }


def processor_seconds() -> tuple[float, float]:
    """Seconds of all processors since the start: busy, and stolen by the host (0 if the system doesn't tell)."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0), getattr(times, "steal", 0.0)


def own_seconds() -> float:
    """Processor time of this process, and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def share(seconds: float, elapsed: float) -> float:
    """Of all processors, between 0 and 1."""
    return round(min(1.0, max(0.0, seconds / (elapsed * (os.cpu_count() or 1)))), 3)
