"""The same run on a Ray cluster: Ray Train starts the workers and joins them, and each is one rank."""

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neocog.errors import ConfigError, NeocogError
from neocog.progress import note

__all__ = ["run_on_ray"]

Entry = Callable[[list[str]], object]


def run_on_ray(
    entry: Entry,
    arguments: Sequence[str],
    *,
    workers: int = 2,
    gpus_per_worker: int = 0,
    cpus_per_worker: int = 1,
    address: str | None = None,
) -> None:
    """Call `entry(arguments)` on each worker of a Ray cluster, inside the process group that Ray Train has set up.

    The current folder must exist on every node: data and runs are found from it. Without an address it is the cluster
    of RAY_ADDRESS, one that runs here, or one that is started here for this run. Ray's usage reports are switched off.

    Raises ConfigError if Ray is missing or the cluster too small, and the error of the first failing worker.
    Source: ray.train.torch.TorchTrainer.
    """
    check_workers(workers, gpus_per_worker, cpus_per_worker)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray, train, torch_train = import_ray("ray"), import_ray("ray.train"), import_ray("ray.train.torch")
    each = {"CPU": cpus_per_worker, "GPU": gpus_per_worker}
    try:
        # Only the run's own output is passed on, not Ray's log.
        ray.init(address=address, logging_level="ERROR", logging_config=ray.LoggingConfig(log_level="ERROR"))
    except (ConnectionError, ValueError) as error:
        raise ConfigError(
            "--address must be that of a Ray cluster.",
            received=f"{address or os.environ.get('RAY_ADDRESS')}: {str(error).rstrip('.')}",
        ) from error
    try:
        check_resources(ray.cluster_resources(), workers, each, grows=address is not None)
        # Ray needs a folder that all nodes share, and leaves nothing in it that we need.
        with tempfile.TemporaryDirectory(prefix=".ray-", dir=Path.cwd()) as storage:
            trainer = torch_train.TorchTrainer(
                worker(entry, list(arguments), Path.cwd()),
                scaling_config=train.ScalingConfig(
                    num_workers=workers, use_gpu=gpus_per_worker > 0, resources_per_worker=each
                ),
                run_config=train.RunConfig(name="neocog", storage_path=storage),
            )
            try:
                trainer.fit()
            except train.TrainingFailedError as error:
                raise cause(error) from error
    finally:
        ray.shutdown()


def worker(entry: Entry, arguments: list[str], folder: Path) -> Callable[[], None]:
    """The work of each worker. Ray starts it in a folder of its own, where relative paths don't exist."""

    def work() -> None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise ConfigError(
                "Every node needs the folder that the run was started in.",
                received=f"{folder} can't be entered on {os.uname().nodename}: {error.strerror}",
                fix="Start from a folder that all nodes share.",
            ) from error
        entry(arguments)

    return work


def check_workers(workers: int, gpus_per_worker: int, cpus_per_worker: int) -> None:
    """Raises ConfigError for impossible numbers."""
    for flag, value, least in (("--workers", workers, 1), ("--cpus-per-worker", cpus_per_worker, 1)):
        if value < least:
            raise ConfigError(f"{flag} must be at least {least}.", received=str(value))
    if gpus_per_worker not in (0, 1):
        raise ConfigError(
            "A worker trains on one device, so --gpus-per-worker must be 0 or 1.",
            received=str(gpus_per_worker),
            fix="Use more --workers.",
        )


def check_resources(found: Mapping[str, float], workers: int, each: Mapping[str, float], *, grows: bool) -> None:
    """Raises ConfigError if the workers will never fit; a cluster with an address may grow, so it is waited for."""
    for kind, amount in each.items():
        have = found.get(kind, 0)
        if workers * amount > have:
            what = f"{workers} workers with {amount:g} {kind} each need {workers * amount:g}; the cluster has {have:g}"
            if not grows:
                raise ConfigError("The workers must fit into the cluster.", received=what, fix="Use fewer --workers.")
            note(f"{what}: waiting for it to grow.")


def cause(error: Any) -> Exception:
    """The error of the first failing worker, if the user can fix it; else the original error."""
    failures: Mapping[int, Exception] = getattr(error, "worker_failures", {})
    fixable = [failure for _, failure in sorted(failures.items()) if isinstance(failure, NeocogError)]
    return fixable[0] if fixable else error


def import_ray(module: str) -> Any:
    """A module of Ray. Raises ConfigError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"neocog launch ray needs Ray, which is not installed for {sys.executable}: {error}.",
            fix='Install it on every node: pip install "neocog[scale]"',
        ) from error
