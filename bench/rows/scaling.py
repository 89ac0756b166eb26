"""Several ranks with gloo on one machine: the scaling model beside measured steps, Neocog's steps beside plain DDP.

Each rank has one thread. All ranks live as long as the row, and take steps when they are told to.

Forecast: the compute time of a step of a small CNN is measured while all ranks compute but none communicates, then
all-reduces of a small and of a large message, then steps of DistributedDataParallel. The ring formula gives the link's
latency and bandwidth from the two all-reduces; compute and link give the forecast. The figures are errors, in percent
of the measured step: of `forecast_step` (overlapped), of compute plus all messages (sequential), which applies if
communication has no core of its own, as with more ranks than cores, and of linear scaling, which expects the step of
one rank alone.

Training: steps of two ranks on halves of the same batch, by `distribute`, `StepExecutor` and `TrainingStep` as in a
run, and by a plain loop with DistributedDataParallel, whose batch norms see a rank's own half. The weights after the
first steps are compared. Neocog's default, batch norms over the global batch, computes another function than the peer,
so it is shown as a side of its own; torch's SyncBatchNorm does not run on CPUs.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from harness import Row, Sides
from harness.row import Turn
from neocog.planning.scaling import MIB, Cluster, Job, Link, all_reduce_seconds, bucket_sizes, forecast_step
from neocog.tasks import Classification
from neocog.training import OptimizerConfig, TrainConfig, Training
from neocog.training.distributed import World, distribute, join_world
from neocog.training.executor import StepExecutor
from neocog.training.speed import PLAIN
from neocog.training.step import TrainingStep

__all__ = ["ROWS"]

BATCH, SIDE, CLASSES = 8, 32, 10
BUCKET_MIB = 1
STEPS, WARM = 8, 1
SMALL, LARGE = 4, 2**20  # float32 values
LR, MOMENTUM = 0.01, 0.9

Step = Callable[[], object]
Work = Callable[[str], list[float]]
"""Does what the name says, on every rank at once; returns its figures."""


def network() -> nn.Module:
    """A CNN of 1.3 million weights: 5 MB of gradients."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for c_in, c_out, stride in ((3, 32, 1), (32, 64, 2), (64, 128, 2), (128, 256, 2), (256, 384, 2)):
        layers += [nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(384, CLASSES))


def batch_of(rank: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rank)
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    return images, torch.randint(0, CLASSES, (BATCH,), generator=generator)


def median_seconds(*works: Step) -> list[float]:
    """Median time of each function. They alternate, so that other load on the machine affects all alike."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(WARM + STEPS):
        for work, times in zip(works, seconds, strict=True):
            dist.barrier()
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    return [statistics.median(times[WARM:]) for times in seconds]


def forecasting(rank: int) -> Work:
    """Measures a step of the first rank alone, then of all: compute, two all-reduces, and a whole step."""
    model = DistributedDataParallel(network(), bucket_cap_mb=BUCKET_MIB, gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    images, labels = batch_of(rank)

    def step(*, communicates: bool, alone: bool = False) -> None:
        with nullcontext() if communicates else model.no_sync():
            run = model.module if alone else model  # DDP would send the statistics of batch norms even so
            F.cross_entropy(run(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    small, large = torch.zeros(SMALL), torch.zeros(LARGE)
    compute, whole = partial(step, communicates=False), partial(step, communicates=True)
    works = (compute, lambda: dist.all_reduce(small), lambda: dist.all_reduce(large), whole)

    def work(_: str) -> list[float]:
        alone = median_seconds(partial(compute, alone=True) if rank == 0 else lambda: None)[0]
        return [alone, *median_seconds(*works)]

    return work


def training(rank: int) -> Work:
    """Takes steps in the way of the name; `check` compares the weights of the first two ways after three steps."""
    world = join_world("cpu")
    images, labels = batch_of(rank)
    ways = {
        "Neocog": neocog_step(images, labels, world, sync_batch_norm=False),
        "plain DDP": plain_step(images, labels),
        "global": neocog_step(images, labels, world, sync_batch_norm=True),
    }

    def work(name: str) -> list[float]:
        if name != "check":
            return [sum(median_seconds(ways[name][1]))]
        for _, step in ways.values():
            for _ in range(3):
                step()
        own, peer = (
            torch.cat([value.detach().flatten() for value in ways[key][0].parameters()]) for key in list(ways)[:2]
        )
        return [float((own - peer).abs().max())]

    return work


def neocog_step(images: Tensor, labels: Tensor, world: World, *, sync_batch_norm: bool) -> tuple[nn.Module, Step]:
    model = network()
    task = Classification(tuple(map(str, range(CLASSES))))
    optimizer = OptimizerConfig(name="sgd", lr=LR, momentum=MOMENTUM, nesterov=False, weight_decay=0.0)
    wrapped = distribute(model, world, sync_batch_norm=sync_batch_norm)
    executor = StepExecutor(wrapped, task.loss, PLAIN, world.device)
    state = Training(model, optimizer, executor=executor)
    step = TrainingStep(
        training=state, executor=executor, task=task, train=TrainConfig(), optimizer=optimizer, world=world
    )

    def take() -> None:
        step.compute_gradients((images, labels), seed=0)
        step.update()

    return model, take


def plain_step(images: Tensor, labels: Tensor) -> tuple[nn.Module, Step]:
    model = network()
    wrapped = DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)

    def take() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(wrapped(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return model, take


def serve_rank(rank: int, ranks: int, folder: str, make: Callable[[int], Work], pipe: Connection) -> None:
    """Run one rank: do what it is told until it is told nothing. The slowest rank counts, because all wait for it."""
    torch.set_num_threads(1)
    os.environ |= {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(ranks)}
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=ranks)
    work = make(rank)
    while name := pipe.recv():
        figures = torch.tensor(work(name), dtype=torch.float64)
        dist.all_reduce(figures, dist.ReduceOp.MAX)
        pipe.send(figures.tolist())
    dist.barrier()
    os._exit(0)  # without waiting for gloo's threads


@contextmanager
def started(ranks: int, folder: Path, make: Callable[[int], Work]) -> Iterator[Work]:
    """Start the ranks; the function tells all of them what to do."""
    context: Any = torch.multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for rank in range(ranks):
        own, theirs = context.Pipe()
        process = context.Process(target=serve_rank, args=(rank, ranks, str(folder), make, theirs), daemon=True)
        process.start()
        theirs.close()  # so that a rank that has ended is an error here
        pipes.append(own)
        processes.append(process)

    def tell(name: str) -> list[float]:
        for pipe in pipes:
            pipe.send(name)
        return [list(pipe.recv()) for pipe in pipes][-1]  # the same of all

    yield tell
    for pipe in pipes:
        pipe.send("")
    for process in processes:
        process.join()


def link_of(small: float, large: float, ranks: int) -> Link:
    """Latency and bandwidth from two all-reduces: t = 2(n - 1)/n * bytes/bandwidth + 2(n - 1) * latency."""
    share = 2 * (ranks - 1) / ranks
    slope = max(large - small, 1e-9) / (4 * (LARGE - SMALL))
    return Link(bandwidth=share / slope, latency=max(0.0, small - 4 * SMALL * slope) / (2 * (ranks - 1)))


def forecasts(ranks: int, gradient_bytes: int, figures: list[float]) -> tuple[dict[str, float], float]:
    """The seconds of a step by each forecast, and as measured."""
    alone, compute, small, large, measured = figures
    link = link_of(small, large, ranks)
    cluster = Cluster(per_node=ranks, inside=link, between=link)
    job = Job(compute_seconds=compute, gradient_bytes=gradient_bytes, samples=BATCH, bucket_bytes=BUCKET_MIB * MIB)
    messages = bucket_sizes(gradient_bytes, BUCKET_MIB * MIB)
    return {
        "Neocog": forecast_step(job, cluster, ranks).seconds,
        "all messages after the computation": compute + sum(all_reduce_seconds(m, ranks, cluster) for m in messages),
        "linear scaling": alone,
    }, measured


class Errors:
    """Errors of the forecasts in percent, of one measurement in each round."""

    def __init__(self, tell: Work, ranks: int) -> None:
        self.tell, self.ranks = tell, ranks
        self.gradient_bytes = sum(4 * p.numel() for p in network().parameters())
        self.left: dict[str, float] = {}

    def next(self, name: str) -> float:
        if name not in self.left:
            found, measured = forecasts(self.ranks, self.gradient_bytes, self.tell("measure"))
            self.left = {key: max(0.1, 100 * abs(value / measured - 1)) for key, value in found.items()}
        return self.left.pop(name)


def forecast(ranks: int) -> Row:
    def prepare(folder: Path) -> Iterator[Sides]:
        with started(ranks, folder, forecasting) as tell:
            errors = Errors(tell, ranks)
            found, measured = forecasts(ranks, errors.gradient_bytes, tell("measure"))
            shown = ", ".join(f"{name} {1e3 * value:.1f}" for name, value in found.items())
            names = list(found)
            turns: dict[str, Turn] = {name: partial(errors.next, name) for name in names}
            yield Sides(turns, note=f"a step of {1e3 * measured:.1f} ms; forecasts before the turns, in ms: {shown}")

    what = f"Forecast of a step of {ranks} ranks: error"
    return Row(f"scaling-forecast-{ranks}", "start", what, "%", "less", prepare)


def prepare_training(folder: Path) -> Iterator[Sides]:
    with started(2, folder, training) as tell:
        away = tell("check")[0]
        assert away < 1e-4, away
        names = {"Neocog": "Neocog", "plain DDP": "plain DDP", "global": "Neocog, batch norms over both ranks"}
        turns: dict[str, Turn] = {shown: lambda name=name: 2 * BATCH / tell(name)[0] for name, shown in names.items()}  # type: ignore[misc]
        yield Sides(turns, note=f"weights after three steps differ from the peer's by {away:.0e} at most")


ROWS = (
    forecast(2),
    Row("scaling-training", "training", "Steps of two ranks, a CNN of 1.3 million weights", "images/s", "more",
        prepare_training),
)  # fmt: skip
