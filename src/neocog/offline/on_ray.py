"""Blocks as the rows of a Ray data set: the workers of a cluster compute them, and the driver joins them.

Each worker loads the bundle once, and writes the parts of its blocks into the folder that all nodes share. A block that
Ray gives out twice, because a node was lost, is written again with the same rows.
"""

import importlib
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neocog.bundle import load
from neocog.cpus import num_threads
from neocog.errors import ConfigError, NeocogError, RunError
from neocog.files import file_hash
from neocog.offline.columns import Extra
from neocog.offline.formats import Form
from neocog.offline.job import Job
from neocog.offline.meter import Meter
from neocog.offline.score import Scorer

__all__ = ["Computation", "work_on_ray"]

TOGETHER = 4  # blocks that a worker is given at once, so that it decodes the next while it computes
CPUS = 2  # of each worker: one decodes, one computes


@dataclass(frozen=True, slots=True)
class Computation:
    """All that a worker needs to compute a block, as it can be sent to it."""

    bundle: Path
    bundle_hash: str
    backend: str
    folder: Path
    """Of the job."""
    top: int
    extras: tuple[Extra, ...]
    form: Form
    started_in: Path
    """The folder at which relative paths start."""


class BlockWorker:
    """A worker; a call computes and writes the blocks of a batch."""

    def __init__(self, computation: Computation) -> None:
        self.computation = computation

    @cached_property
    def opened(self) -> tuple[Job, Scorer]:
        """The job and the network, opened by the first call: Ray passes on no error of a constructor.

        Raises ConfigError if this node does not see the same folder and bundle.
        """
        there = self.computation
        check_node(there)
        os.chdir(there.started_in)  # Ray starts a worker in a folder of its own
        torch.set_num_threads(min(CPUS, num_threads()))
        predictor = load(there.bundle, there.backend)
        return Job(there.folder, there.form.suffix), Scorer(predictor, there.top, there.extras, threads=CPUS)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The number of files of each block, or an error; Ray passes on only the text of one that is raised."""
        numbers, error = batch["block"].tolist(), ""
        try:
            job, scorer = self.opened
            for block, rows in scorer.score((block, job.paths(block)) for block in numbers if not job.is_done(block)):
                job.write(block, self.computation.form, rows)
            files = list(map(job.files_in, numbers))
        except NeocogError as failure:
            error, files = str(failure), [0] * len(numbers)
        return {"files": np.array(files, np.int64), "error": np.array([error] * len(numbers))}


def check_node(computation: Computation) -> None:
    """Raises ConfigError if this node does not see the same folder and bundle as the driver."""
    for path in (computation.started_in, computation.folder, computation.bundle):
        if not path.exists():
            raise ConfigError(
                "Every node of the cluster needs the bundle, the files and the folder of the output.",
                received=f"no {path} on {socket.gethostname()}", fix="Put them on storage that all nodes share.",
            )  # fmt: skip
    if file_hash(computation.bundle) != computation.bundle_hash:
        raise ConfigError(
            "Every node needs the same bundle.", received="another one",
            where=f"{computation.bundle} on {socket.gethostname()}", fix="Put it on storage that all nodes share.",
        )  # fmt: skip


def work_on_ray(job: Job, computation: Computation, address: str) -> int:
    """Compute the blocks that are left on a Ray cluster; `local` starts one here. Returns the files computed.

    Raises ConfigError if Ray is missing or there is no cluster at this address, RunError with the error of the first
    worker that fails. Source: ray.data.Dataset.map_batches.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray, ray_data = import_ray("ray"), import_ray("ray.data")
    try:
        where = None if address == "local" else address
        ray.init(address=where, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise ConfigError(
            "--ray must be the address of a Ray cluster, auto, or local.",
            received=f"{address}: {str(error).rstrip('.')}",
        ) from error
    try:
        with Meter(job) as meter:
            return count_files(compute(ray, ray_data, job, computation), meter)
    finally:
        ray.shutdown()


def compute(ray: Any, ray_data: Any, job: Job, computation: Computation) -> Iterator[int]:
    """The number of files of each block that a worker has written."""
    ray_data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    left = sorted(set(range(len(job))) - job.done())
    workers = max(1, min(len(left), int(ray.cluster_resources().get("CPU", 1)) // CPUS))
    rows = ray_data.from_items([{"block": block} for block in left], override_num_blocks=max(1, len(left) // TOGETHER))
    done = rows.map_batches(
        BlockWorker, fn_constructor_args=(computation,), batch_size=TOGETHER,
        compute=ray_data.ActorPoolStrategy(size=workers),
        num_cpus=min(CPUS, int(ray.cluster_resources().get("CPU", 1))),
    )  # fmt: skip
    for row in done.iter_rows() if left else ():
        if row["error"]:
            raise RunError(row["error"])
        yield int(row["files"])


def count_files(files: Iterable[int], meter: Meter) -> int:
    computed = 0
    for count in files:
        computed += count
        meter.look()
    return computed


def import_ray(module: str) -> Any:
    """A module of Ray. Raises ConfigError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            "--ray needs Ray on every node.", received=str(error), fix="Install it: pip install 'neocog[scale]'"
        ) from error
