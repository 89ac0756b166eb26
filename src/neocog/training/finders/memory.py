"""How much memory a trial takes at its fullest, and how much it may take: on a GPU, and in main memory."""

import gc
from pathlib import Path
from typing import Protocol

import psutil
import torch

from neocog.planning.machine import available_bytes

__all__ = ["GpuMemory", "HostMemory", "Memory", "free_bytes", "memory_of"]

SHARE = 0.9  # of free memory: the run itself fragments it, validates, and writes checkpoints
PROCESS = Path("/proc/self")
CGROUP_1 = Path("/sys/fs/cgroup/memory")  # where an older Linux keeps a container's limit


class Memory(Protocol):
    """Measures one trial after another, relative to the memory in use at its creation."""

    limit: int
    """Bytes that a trial may take."""

    def begin(self) -> None:
        """Clear what earlier trials left, and measure from here on."""
        ...

    def clear(self) -> None: ...

    def peak(self) -> int:
        """The most bytes in use since `begin`, beyond those at creation."""
        ...


class GpuMemory:
    """A GPU's memory as reserved by torch's allocator, including the gaps between tensors."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.clear()
        self.before = torch.cuda.memory_reserved(device)
        self.limit = int(SHARE * torch.cuda.mem_get_info(device)[0])

    def clear(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()

    def begin(self) -> None:
        self.clear()
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        return max(torch.cuda.max_memory_reserved(self.device) - self.before, 0)


class HostMemory:
    """The process's resident memory; its peak if Linux records it, else the current value."""

    def __init__(self) -> None:
        gc.collect()
        self.before = resident_bytes()
        self.limit = int(SHARE * free_bytes())
        self.keeps_peak = False

    def clear(self) -> None:
        gc.collect()

    def begin(self) -> None:
        self.clear()
        self.before = min(self.before, resident_bytes())
        try:
            (PROCESS / "clear_refs").write_text("5")  # 5: reset the peak to the memory in use now
            self.keeps_peak = True
        except OSError:
            self.keeps_peak = False

    def peak(self) -> int:
        return max(self.most() - self.before, 0)

    def most(self) -> int:
        if self.keeps_peak:
            for line in (PROCESS / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return resident_bytes()


def memory_of(device: torch.device) -> Memory:
    """The memory in which a device computes."""
    return GpuMemory(device) if device.type == "cuda" else HostMemory()


def resident_bytes() -> int:
    """Main memory that this process has in use now."""
    return int(psutil.Process().memory_info().rss)


def free_bytes() -> int:
    """Memory that could be taken now without swapping, on this machine and in its container."""
    free = available_bytes("cpu")
    try:
        limit, used = (int((CGROUP_1 / f"memory.{name}_in_bytes").read_text()) for name in ("limit", "usage"))
    except (OSError, ValueError):
        return free
    return min(free, max(limit - used, 0))
