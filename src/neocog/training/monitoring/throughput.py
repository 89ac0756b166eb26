"""How fast training goes, in physical units."""

import os
import sys

import psutil
import torch

__all__ = ["PASSES", "measure_peak_memory", "throughput"]

PASSES = 3  # forward, the gradient of the activations, the gradient of the weights: each costs the same


def throughput(
    *, seconds: float, samples: int, waited: float, flops: float = 0, peak: float | None = None
) -> dict[str, float]:
    """Samples per second, the share of time spent waiting for data, and FLOP/s with its share of the peak.

        FLOP/s = 3 flops samples / seconds    if the forward pass of a sample takes `flops` = 2 MACs

    `peak` is this machine's measured FLOP/s in a product of large matrices, at the precision of training. Anything
    unknown (no `flops`, no `peak`) is left out. The first layer needs no gradient of its input, and frozen layers
    need less still, so slightly fewer than 3 flops are really computed.

    >>> throughput(seconds=2, samples=100, waited=0.5, flops=10e6, peak=6e9)
    {'samples_per_second': 50.0, 'waiting': 0.25, 'flops_per_second': 1500000000.0, 'share_of_peak': 0.25}
    """
    seconds = max(seconds, 1e-9)
    found = {"samples_per_second": samples / seconds, "waiting": waited / seconds}
    if flops:
        found["flops_per_second"] = PASSES * flops * samples / seconds
        if peak:
            found["share_of_peak"] = found["flops_per_second"] / peak
    return found


def measure_peak_memory(device: torch.device) -> int:
    """The most memory used so far, in bytes: by tensors on a GPU, else by this process as the system counts it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if os.name != "posix":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # Windows does not have it

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
