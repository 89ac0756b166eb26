"""Compare the scaling model with measured steps of a small CNN on 1, 2 and 4 ranks of this machine, with gloo.

    python bench/scaling.py

Each rank has one thread. For every number of ranks the program measures the compute time of a step while all ranks
compute but none communicates, all-reduces of a small and of a large message, and steps of DistributedDataParallel. The
ring formula gives the link's latency and bandwidth from the two all-reduces; compute and link give the forecast.
`overlapped` is `forecast_step`; `sequential` is compute plus all messages, which applies if communication has no core
of its own, as with more ranks than cores. Medians. Run it with nothing else on the machine.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import psutil
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from neocog.planning.scaling import MIB, Cluster, Job, Link, all_reduce_seconds, bucket_sizes, forecast_step

RANKS = (1, 2, 4)
BATCH, SIDE, CLASSES = 8, 32, 10
BUCKET_MIB = 1
STEPS, WARM = 20, 2
SMALL, LARGE = 4, 2**20  # float32 values


def network() -> nn.Module:
    """A CNN of 1.3 million weights: 5 MB of gradients."""
    layers: list[nn.Module] = []
    for c_in, c_out, stride in ((3, 32, 1), (32, 64, 2), (64, 128, 2), (128, 256, 2), (256, 384, 2)):
        layers += [nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(384, CLASSES))


def median_seconds(*works: Callable[[], object]) -> list[float]:
    """Median time of each function. They alternate, so that other load on the machine affects all alike."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(WARM + STEPS):
        for work, times in zip(works, seconds, strict=True):
            dist.barrier()
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    return [statistics.median(times[WARM:]) for times in seconds]


def measure(rank: int, ranks: int, folder: str) -> None:
    """Run one rank. The slowest rank's median counts, because all ranks wait for it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=ranks)
    model = DistributedDataParallel(network(), bucket_cap_mb=BUCKET_MIB, gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.randn(BATCH, 3, SIDE, SIDE), torch.randint(0, CLASSES, (BATCH,))

    def step(communicates: bool) -> None:
        with nullcontext() if communicates else model.no_sync():
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    small, large = torch.zeros(SMALL), torch.zeros(LARGE)
    works = (lambda: step(False), lambda: dist.all_reduce(small), lambda: dist.all_reduce(large), lambda: step(True))
    figures = torch.tensor(median_seconds(*works), dtype=torch.float64)
    dist.all_reduce(figures, dist.ReduceOp.MAX)
    if rank == 0:
        gradient_bytes = sum(4 * p.numel() for p in model.parameters())
        (Path(folder) / "figures").write_text(json.dumps([gradient_bytes, *figures.tolist()]))
    dist.barrier()
    dist.destroy_process_group()


def measured(ranks: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        spawn(measure, (ranks, folder), nprocs=ranks)  # type: ignore[no-untyped-call]
        return list(json.loads((Path(folder) / "figures").read_text()))


def link_of(small: float, large: float, ranks: int) -> Link:
    """Latency and bandwidth from two all-reduces: t = 2(n - 1)/n * bytes/bandwidth + 2(n - 1) * latency."""
    share = 2 * (ranks - 1) / ranks
    slope = (large - small) / (4 * (LARGE - SMALL))
    return Link(bandwidth=share / slope, latency=max(0.0, small - 4 * SMALL * slope) / (2 * (ranks - 1)))


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    print(f"{len(psutil.Process().cpu_affinity())} cores, torch {torch.__version__}, Python {sys.version.split()[0]}")
    heads = ("ranks", "compute ms", "latency us", "GB/s", "overlapped ms", "sequential ms", "measured ms", "efficiency")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for ranks in RANKS:
        gradient_bytes, compute, small, large, seconds = measured(ranks)
        link = link_of(small, large, ranks) if ranks > 1 else Link(bandwidth=float("inf"), latency=0.0)
        cluster = Cluster(per_node=ranks, inside=link, between=link)
        job = Job(compute_seconds=compute, gradient_bytes=gradient_bytes, samples=BATCH, bucket_bytes=BUCKET_MIB * MIB)
        overlapped = forecast_step(job, cluster, ranks).seconds
        messages = bucket_sizes(gradient_bytes, BUCKET_MIB * MIB)
        sequential = compute + sum(all_reduce_seconds(size, ranks, cluster) for size in messages)
        wire = (f"{1e6 * link.latency:.0f}", f"{link.bandwidth / 1e9:.2f}") if ranks > 1 else ("", "")
        times = (f"{1e3 * value:.1f}" for value in (overlapped, sequential, seconds))
        cells = (str(ranks), f"{1e3 * compute:.1f}", *wire, *times, f"{compute / seconds:.2f}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
