"""The settings of a training process: threads, exact arithmetic, and memory that it keeps."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from neocog.cpus import num_threads

__all__ = ["exact_arithmetic", "keep_memory", "use_threads"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
USUAL = {M_MMAP_MAX: 65536, M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 64 << 20}  # where glibc ends up by itself


def use_threads(wanted: int = 0) -> int:
    """Let torch compute with this many threads, or, if 0, with `num_threads()`; returns the number."""
    number = wanted or num_threads()
    torch.set_num_threads(number)
    return number


def precision_switches() -> list[Any]:
    """torch's settings by which float32 may be computed from rounded inputs, such as TF32 on a GPU."""
    backends = torch.backends
    return [
        backends.cuda.matmul,
        backends.cudnn.conv,  # type: ignore[attr-defined]
        backends.cudnn.rnn,
        backends.mkldnn.matmul,  # type: ignore[attr-defined]
        backends.mkldnn.conv,  # type: ignore[attr-defined]
    ]


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Within this block torch uses deterministic algorithms only, and float32 stays float32; then all is as before.

    An operation without a deterministic algorithm raises RuntimeError with its name.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    precisions = [switch.fp32_precision for switch in precision_switches()]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else matrix products on a GPU raise
    try:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        for switch in precision_switches():
            switch.fp32_precision = "ieee"
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
        for switch, precision in zip(precision_switches(), precisions, strict=True):
            switch.fp32_precision = precision


@contextmanager
def keep_memory() -> Iterator[bool]:
    """Within this block freed memory is reused and does not go back to the system; yields whether so (glibc only).

    glibc returns every block above 32 MiB at once, so that the system must clear the pages of each step's maps again:
    on a virtual machine that may take longer than computing them. Here blocks come from the heap, which does not shrink
    before the end of this block. Source: mallopt(3), malloc_trim(3).
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not (hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim")):  # musl has neither
        yield False
        return
    assert libc is not None
    kept = libc.mallopt(M_MMAP_MAX, 0) == libc.mallopt(M_TRIM_THRESHOLD, -1) == 1
    try:
        yield kept
    finally:
        for setting, value in USUAL.items():
            libc.mallopt(setting, value)
        libc.malloc_trim(0)
