"""The shared library of kernels.c: compiled once by the machine's C compiler, and kept in the cache."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from torch import Tensor

from neocog.errors import ConfigError
from neocog.files import cache_dir, storage_errors
from neocog.torch_private import has_avx512_bf16

__all__ = ["Kernels", "build_seconds", "compiler", "lacks_kernels", "load_kernels"]

SOURCE = Path(__file__).with_name("kernels.c")
FEATURES = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16", "fma")  # so that a shared cache fits all CPUs
FLAGS = ("-O3", "-std=gnu11", "-fopenmp", "-shared", "-fPIC", *(f"-m{feature}" for feature in FEATURES))
USUAL_SECONDS = 2.0  # of compiling
PATIENCE = 120.0  # seconds


class Kernels:
    """Calls functions of the library, which take pointers and whole numbers and return whether memory was too little.

    Tensors are passed by the address of their first element: shapes, types and memory layouts are the caller's affair.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def run(self, name: str, *arguments: Tensor | int | None) -> None:
        """Call the function neocog_NAME; None is a null pointer. Raises MemoryError."""
        function = getattr(self.library, f"neocog_{name}")
        failed = function(*(
            ctypes.c_void_p(value.data_ptr() if isinstance(value, Tensor) else None)
            if value is None or isinstance(value, Tensor) else ctypes.c_long(value)
            for value in arguments
        ))  # fmt: skip
        if failed:
            raise MemoryError("can't allocate memory for a convolution")


def lacks_kernels() -> str | None:
    """Why the kernels can't be used here; None if they can. It compiles nothing."""
    if not sys.platform.startswith("linux"):
        return "Neocog's kernels are for Linux"
    if not has_avx512_bf16():
        return "this CPU has no AVX-512 instructions for bf16"
    if not library_file().is_file() and compiler() is None:
        return "no C compiler was found (CC, cc, gcc or clang)"
    return None


def build_seconds() -> float:
    """About how long `load_kernels` takes: nothing once the library is there."""
    return 0.0 if library_file().is_file() else USUAL_SECONDS


def load_kernels() -> Kernels:
    """The kernels, compiled first if need be. Raises ConfigError if they can't be used or compiled."""
    if reason := lacks_kernels():
        raise unusable(reason, "Install a C compiler, such as gcc, or leave out --speed.native.")
    return Kernels(open_library(library_file()))


@cache
def open_library(path: Path) -> ctypes.CDLL:
    """The library at this path; it is compiled if it is missing or can't be opened."""
    if path.is_file():
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            pass  # damaged, or made for another system
    compile_library(path)
    return ctypes.CDLL(str(path))


def compile_library(path: Path) -> None:
    """Compile kernels.c. Raises ConfigError with the compiler's first error."""
    program = compiler()
    if program is None:
        raise unusable("no C compiler was found", "Install one, such as gcc.")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.so")  # several processes may compile at once
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        run_compiler([program, *FLAGS, str(SOURCE), "-o", str(temporary)])
        with storage_errors(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def run_compiler(command: list[str]) -> None:
    """Raises ConfigError with the first error unless the compiler succeeds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unusable(f"{command[0]}: {error}", "Check the compiler, or set CC to another.") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise unusable(f"{command[0]} failed: {first}", "Set CC to gcc 10 or later, or clang 9 or later.")


def compiler() -> str | None:
    """The C compiler's path: CC if it is set, else the first of cc, gcc and clang."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    return next((path for name in names if (path := shutil.which(name))), None)


def library_file() -> Path:
    """Where the library is kept; another source or other flags have another name."""
    return cache_dir("native", f"kernels-{digest()}.so")


@cache
def digest() -> str:
    return hashlib.sha256(SOURCE.read_bytes() + repr(FLAGS).encode()).hexdigest()[:16]


def unusable(received: str, fix: str) -> ConfigError:
    return ConfigError("Neocog's own kernels must be usable on this machine.", received=received, fix=fix)
