"""Memory that a training process has freed stays with it while it trains."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
USUAL = {M_MMAP_MAX: 65536, M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 64 << 20}  # where glibc ends up by itself


@contextmanager
def keep_memory() -> Iterator[bool]:
    """Within this block freed memory is used again and does not go back to the system; whether so: with glibc alone.

    glibc returns every block above 32 MiB at once, and so the maps of each step are pages that the system must clear
    anew: on a virtual machine that may take longer than to compute them. Here blocks come from the heap, which does not
    shrink before the end of the block. Source: mallopt(3), malloc_trim(3).
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not (hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim")):  # musl has none
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
