"""The speed of this machine: multiplications, bytes and calls per second, measured in about two seconds."""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import psutil
import torch

from neocog.errors import StorageError
from neocog.files import cache_dir, write_whole
from neocog.progress import note

__all__ = ["Machine", "Precision", "available_bytes", "measure_machine"]

Precision = Literal["fp32", "bf16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDE = 1024  # of the matrices: large enough for the peak, small enough for many turns
COPIED = 64 * 2**20  # bytes: more than caches hold
CGROUP = Path("/sys/fs/cgroup")  # where Linux says how much memory a container may take
SECONDS = 0.5  # for each of the four measurements


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Measured peaks of one device."""

    device: str
    name: str
    flops: dict[str, float]
    """Floating-point operations a second in a product of large matrices, by precision."""
    bytes_per_second: float
    """Bytes read and written in copying more than the caches hold."""
    seconds_per_call: float
    """Seconds of an operation on almost no data: the overhead of a call."""


def measure_machine(device: str = "cpu", *, fresh: bool = False) -> Machine:
    """This machine's peaks, from the cache where they were measured before with the same torch and threads.

    The cache is `cache_dir("machine.json")`; with `fresh` it is measured again.
    """
    found = None if fresh else known_machine(device)
    if found is not None:
        return found
    note("measuring this machine: two seconds, once")
    machine = probe(device)
    try:
        path = cache_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        known = read_cache(path) | {cache_key(device): asdict(machine)}
        write_whole(path, json.dumps(known, indent=1).encode())
    except (OSError, StorageError) as error:
        note(f"the measurement could not be kept, and will be made again: {error}")
    return machine


def known_machine(device: str = "cpu") -> Machine | None:
    """This machine's peaks, if they were measured before."""
    try:
        return Machine(**read_cache(cache_path())[cache_key(device)])
    except (KeyError, TypeError):  # TypeError: written by another version
        return None


def cache_path() -> Path:
    return cache_dir("machine.json")


def cache_key(device: str) -> str:
    return f"{device} {device_name(device)} torch {torch.__version__} {torch.get_num_threads()} threads"


def read_cache(path: Path) -> dict[str, dict[str, Any]]:
    """Earlier measurements; empty if the file is missing or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def probe(device: str) -> Machine:
    """Measure: products of matrices in each precision, a copy, and a call."""
    flops = {}
    for precision in get_args(Precision):
        left, right = (torch.ones(SIDE, SIDE, dtype=DTYPES[precision], device=device) for _ in range(2))
        product = torch.empty_like(left)
        flops[precision] = 2 * SIDE**3 / best_time(partial(torch.mm, left, right, out=product), device)
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    copy = best_time(lambda: target.copy_(source), device)
    one = torch.ones(1, device=device)
    call = best_time(lambda: one.add(1.0), device, turns=1000)
    return Machine(
        device=device,
        name=device_name(device),
        flops=flops,
        bytes_per_second=2 * COPIED / copy,
        seconds_per_call=call,
    )


def best_time(work: Callable[[], object], device: str, turns: int = 1) -> float:
    """The shortest time of one piece of work within the seconds: the peak, not what else the machine did."""
    finish: Callable[[], None] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    work()
    finish()
    best, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        begin = time.perf_counter()
        for _ in range(turns):
            work()
        finish()
        best = min(best, (time.perf_counter() - begin) / turns)
    return best


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def available_bytes(device: str = "cpu") -> int:
    """Memory that could be taken now: of the GPU, or of the machine and the container that this runs in."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    free = int(psutil.virtual_memory().available)
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if os.name == "posix" and limit.exists() and used.exists():
        allowed = limit.read_text().strip()
        if allowed.isdigit():
            free = min(free, max(int(allowed) - int(used.read_text()), 0))
    return free
