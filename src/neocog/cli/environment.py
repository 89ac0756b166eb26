"""Facts of this machine and this installation, each found without measuring anything.

A fact that can't be found is an `Unknown` with the reason: `neocog env` is what a user runs when something is odd.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from neocog import __version__, cpus
from neocog.files import cache_dir

__all__ = ["Unknown", "find", "find_cache", "find_cpu", "find_extras", "find_gpus", "find_libraries", "find_memory",
           "find_place", "find_speed", "find_threads", "find_versions", "find_weights"]  # fmt: skip

ENGINES = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu"), "openvino": ("openvino",), "nncf": ("nncf",)}
"""Engine -> the distributions that bring it."""
X86: dict[str, str | tuple[str, ...]] = {
    "AVX2": "avx2", "AVX-512": "avx512f", "VNNI": ("avx512_vnni", "avx_vnni"), "bf16": "avx512_bf16",
    "AMX bf16": "amx_bf16", "AMX int8": "amx_int8",
}  # fmt: skip
ARM: dict[str, str | tuple[str, ...]] = {
    "NEON": "asimd",
    "dot product": "asimddp",
    "int8": "i8mm",
    "bf16": "bf16",
    "SVE": "sve",
    "SME": "sme",
}
"""Feature -> the flag, or flags, of /proc/cpuinfo that say it is there."""
NOT_FOR_USERS = ("bench", "dev")  # extras
VARIABLES = re.compile(
    r"(OMP|GOMP|KMP|MKL|ONEDNN|DNNL|CUDA|NCCL|TORCH|PYTORCH|PYTHON(PATH|HASHSEED|OPTIMIZE)"
    r"|NEOCOG_(CACHE|DATA)|XDG_CACHE_HOME|LOCAL_WORLD_SIZE|MALLOC|LD_PRELOAD)"
)
"""Variables that change what is computed, how fast, or where it is kept; none that may hold a secret."""
T = TypeVar("T")
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)[^;]*;(?P<marker>.*)extra == ['\"](?P<extra>[^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be found, and why."""

    reason: str


def find(fact: Callable[[], T]) -> T | Unknown:
    """A fact, or why it could not be found.

    >>> find(lambda: 1), find(lambda: 1 // 0)
    (1, Unknown(reason='ZeroDivisionError: integer division or modulo by zero'))
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # drivers that are too old, for one: the answer says what is there
            return fact()
    except Exception as error:  # whatever is broken here, the other facts are still of use
        return Unknown(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


def version_of(*distributions: str) -> str | None:
    """The version of the first of these that is installed, without importing it."""
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def find_versions() -> dict[str, str | None]:
    """Neocog, Python, PyTorch and the engines; None for one that is not installed."""
    found = {"neocog": __version__, "python": platform.python_version(), "system": platform.platform()}
    return found | {"torch": version_of("torch")} | {name: version_of(*names) for name, names in ENGINES.items()}


def find_place() -> dict[str, Any]:
    """Where Neocog and Python are, and the variables of the environment that change what they do."""
    return {
        "package": str(Path(__file__).parents[1]),
        "python": sys.executable,
        "variables": {name: value for name, value in sorted(os.environ.items()) if VARIABLES.match(name)},
    }


def find_libraries() -> dict[str, str | None]:
    """The version of each library that Neocog always needs.

    Raises PackageNotFoundError if Neocog runs from a folder and was not installed.
    """
    needed = [each for each in importlib.metadata.requires("neocog") or () if "extra ==" not in each]
    names = sorted(re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0] for each in needed)
    return {name: version_of(name) for name in names if name != "torch"}


def find_cpu(root: Path = Path("/")) -> dict[str, Any]:
    """Name, architecture and the instruction sets that matter for CNNs; `features` is None if the system lists none."""
    machine = platform.machine()
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    fields = dict(reversed([line.split(":", 1) for line in lines if ":" in line]))  # of the first processor
    values = {name.strip(): value.strip() for name, value in fields.items()}
    listed = values.get("flags") or values.get("Features")
    return {
        "name": values.get("model name") or platform.processor() or machine,
        "architecture": machine,
        "features": None if listed is None else features_in(set(listed.split()), X86 if "flags" in values else ARM),
    }


def features_in(flags: set[str], names: Mapping[str, str | tuple[str, ...]]) -> dict[str, bool]:
    """
    >>> features_in({"avx2", "avx_vnni"}, {"AVX2": "avx2", "VNNI": ("avx512_vnni", "avx_vnni"), "bf16": "avx512_bf16"})
    {'AVX2': True, 'VNNI': True, 'bf16': False}
    """
    return {name: bool(flags & ({own} if isinstance(own, str) else set(own))) for name, own in names.items()}


def find_threads(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> dict[str, Any]:
    """Logical processors, physical cores, the quota, the threads that will compute, and what decides their number."""
    allowed = cpus.allowed_cpus()
    cores, quota = cpus.physical_cores(allowed, root), cpus.cpu_quota(root)
    chosen = cpus.num_threads(environment, root)
    facts = {"logical": os.cpu_count() or 1, "allowed": len(allowed), "cores": cores, "threads": chosen}
    wanted = environment.get("OMP_NUM_THREADS", "")
    ranks = environment.get("LOCAL_WORLD_SIZE", "1")
    if wanted.split(",")[0] == str(chosen) and not (wanted == "1" and "TORCHELASTIC_RUN_ID" in environment):
        reason = f"OMP_NUM_THREADS is {wanted}"
    elif ranks not in ("", "1"):
        reason = f"the cores are shared by {ranks} processes"
    elif quota < cores:
        reason = f"the control group grants {quota} of {cores} cores"
    elif len(allowed) < facts["logical"]:
        reason = "one per physical core that this process may run on"
    else:
        reason = "one per physical core"
    return {**facts, "reason": reason}


def find_memory() -> dict[str, int]:
    """Bytes in all, and bytes that programs can still get; a container's limit counts."""
    from neocog.planning.machine import available_bytes

    return {"total": int(psutil.virtual_memory().total), "available": int(available_bytes("cpu"))}


def find_gpus() -> dict[str, Any]:
    """Name, memory in bytes and compute capability of each GPU that torch can use, and the CUDA it was built for."""
    import torch

    found: list[dict[str, Any]] = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            found.append({"name": card.name, "memory": card.total_memory, "capability": f"{card.major}.{card.minor}"})
    if torch.backends.mps.is_available():
        found.append({"name": "Apple GPU (mps)", "memory": None, "capability": None})
    return {"cuda": torch.version.cuda or torch.version.hip, "devices": found}


def find_extras() -> dict[str, list[str]]:
    """Extra -> the packages of it that are missing; those for developers are left out.

    Raises PackageNotFoundError if Neocog runs from a folder and was not installed.
    """
    found: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("neocog") or ():
        match = REQUIREMENT.match(requirement)
        if match is None or match["extra"] in NOT_FOR_USERS:
            continue
        missing = found.setdefault(match["extra"], [])
        if "!= 'win32'" in match["marker"].replace('"', "'") and sys.platform == "win32":
            continue
        if version_of(match["name"]) is None:
            missing.append(match["name"])
    return found


def find_weights() -> dict[str, dict[str, str | None]]:
    """Network -> the version of the package with its ImageNet weights, and those of other sources in the cache."""
    from neocog.zoo.weights.available import available
    from neocog.zoo.weights.files import TORCHVISION
    from neocog.zoo.weights.key_maps import TIMM
    from neocog.zoo.weights.packages import PACKAGES

    found = {name: available(name) for name in sorted({*TORCHVISION, *TIMM})}
    return {
        "packages": {name: version_of(package.name) for name, package in PACKAGES.items()},
        "cached": {name: source for name, source in found.items() if source not in (None, "package")},
    }


def find_cache() -> dict[str, Any]:
    """The cache folder, whether it is there, its bytes by subfolder, and the free bytes of its disk."""
    folder = cache_dir()
    parts = {path.name: size_of(path) for path in sorted(folder.iterdir())} if folder.is_dir() else {}
    place = next((path for path in (folder, *folder.parents) if path.exists()), None)
    free = shutil.disk_usage(place).free if place else None
    return {
        "folder": str(folder), "exists": folder.is_dir(), "bytes": sum(parts.values()), "parts": parts, "free": free
    }  # fmt: skip


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; files that vanish or can't be read count as none."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):  # skips folders that it can't open
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:
                continue
    return total


def find_speed() -> dict[str, Any]:
    """The device, what torch computes with, and the variants of a training step that would be timed or left out."""
    import torch

    from neocog.runs.session import find_device
    from neocog.training.speed.candidates import device_candidates

    device = find_device("auto")
    timed, left_out = device_candidates(device)
    return {
        "device": str(device),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "timed": [way.name for way in timed],
        "left_out": left_out,
    }
