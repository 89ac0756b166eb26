"""Memory that this process has freed stays with it."""

import ctypes
import sys

__all__ = ["keep_memory"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_memory() -> bool:
    """Let freed memory be used again and not go back to the system; whether that was done: with glibc alone.

    glibc returns every block above 32 MiB at once, and so the maps of each step are pages that the system must clear
    anew: on a virtual machine that may take longer than to compute them. From here on blocks come from the heap, which
    never shrinks; the process stays as large as it once was. Source: mallopt(3).
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(M_MMAP_MAX, 0) == mallopt(M_TRIM_THRESHOLD, -1) == 1
