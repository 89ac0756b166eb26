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

    The folder that this is called in must be there on every node: data and runs are found from it. Without an address
    it is the cluster of RAY_ADDRESS, one that runs here, or one that is started here for this run. Ray is asked not
    to report its usage.

    Raises ConfigError where Ray is missing, or the cluster too small; and what the first failing worker raised.
    Source: ray.train.torch.TorchTrainer.
    """
    check_workers(workers, gpus_per_worker, cpus_per_worker)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray, train, torch_train = needed("ray"), needed("ray.train"), needed("ray.train.torch")
    each = {"CPU": cpus_per_worker, "GPU": gpus_per_worker}
    try:
        # Only what the run itself says is passed on, not what Ray does for it.
        ray.init(address=address, logging_level="ERROR", logging_config=ray.LoggingConfig(log_level="ERROR"))
    except (ConnectionError, ValueError) as error:
        raise ConfigError(
            f"--address must be that of a Ray cluster. Received: {address or os.environ.get('RAY_ADDRESS')}: {error}."
        ) from error
    try:
        check_resources(ray.cluster_resources(), workers, each, grows=address is not None)
        # Ray wants a place that all nodes see, and leaves nothing in it that we need.
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
    """What each worker does. Ray starts it in a folder of its own, where a relative path leads nowhere."""

    def work() -> None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise ConfigError(
                f"Every node needs the folder that the run was started in. {folder} can't be entered on "
                f"{os.uname().nodename}: {error.strerror}. Start from a folder that all nodes share."
            ) from error
        entry(arguments)

    return work


def check_workers(workers: int, gpus_per_worker: int, cpus_per_worker: int) -> None:
    """Raises ConfigError for numbers that make no run."""
    for flag, value, least in (("--workers", workers, 1), ("--cpus-per-worker", cpus_per_worker, 1)):
        if value < least:
            raise ConfigError(f"{flag} must be at least {least}. Received: {value}.")
    if gpus_per_worker not in (0, 1):
        raise ConfigError(
            f"A worker trains on one device, so --gpus-per-worker is 0 or 1. Received: {gpus_per_worker}. Use more "
            "--workers."
        )


def check_resources(found: Mapping[str, float], workers: int, each: Mapping[str, float], *, grows: bool) -> None:
    """Raises ConfigError where the workers will never fit; a cluster with an address may grow, and is waited for."""
    for kind, amount in each.items():
        have = found.get(kind, 0)
        if workers * amount > have:
            what = f"{workers} workers with {amount:g} {kind} each need {workers * amount:g}; the cluster has {have:g}"
            if not grows:
                raise ConfigError(f"The workers must fit into the cluster. {what}. Use fewer --workers.")
            note(f"{what}: waiting for it to grow.")


def cause(error: Any) -> Exception:
    """What the first failing worker raised, if it is something that the user can mend; else the error as it is."""
    failures: Mapping[int, Exception] = getattr(error, "worker_failures", {})
    mendable = [failure for _, failure in sorted(failures.items()) if isinstance(failure, NeocogError)]
    return mendable[0] if mendable else error


def needed(module: str) -> Any:
    """A module of Ray. Raises ConfigError that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            "neocog launch ray needs Ray, which is not installed for "
            f'{sys.executable}: {error}. Install it on every node: pip install "neocog[scale]"'
        ) from error
