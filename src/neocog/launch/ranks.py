"""One process per device of this machine, started and supervised by torchrun's engine."""

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from neocog.cpus import num_cpus
from neocog.errors import ConfigError
from neocog.progress import note

__all__ = ["start_ranks"]

BUG = 1  # exit code of an error that is not the user's and leaves a traceback
SAVE_SECONDS = 600  # for which ranks may finish their step and save after a signal
LINES = 20  # of a failed rank's last output
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def start_ranks(devices: int, arguments: Sequence[str], *, device: str = "auto") -> int:
    """Run `neocog ARGUMENTS` as N ranks on this machine, and return the exit code: 0, or the first failure's.

    Each rank finds its place in torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, ...). `--devices` is
    removed from the arguments. Rank 0 has the terminal; the output of another is shown only if it fails. A first signal
    is passed on, and the ranks save; at a second one they exit immediately.

    Raises ConfigError for more devices than there are, or if a launcher has already started this process.
    Source: torch.distributed.launcher, which is what `torchrun --standalone` runs.
    """
    check_devices(devices, device, os.environ)
    with tempfile.TemporaryDirectory(prefix="neocog-ranks-") as folder, own_signals(), shared_cores(devices):
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=devices,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",  # the machine's own name may not resolve
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(folder, redirects=dict.fromkeys(range(1, devices), Std.ALL)),
            shutdown_timeout=SAVE_SECONDS,
        )
        # torchrun takes `$` in arguments for the start of a variable
        words = [word.replace("$", "$$") for word in without_devices(arguments)]
        try:
            elastic_launch(config, sys.executable)("-m", "neocog", *words)
        except ChildFailedError as error:
            rank, first = error.get_first_failure()
            explain(rank, first, error.failures, Path(folder))
            return exit_code(first.exitcode)
        except SignalException as stop:
            end_ranks(config.run_id)
            return exit_code(-stop.sigval)
    return 0


def check_devices(devices: int, device: str, environment: Mapping[str, str]) -> None:
    """Raises ConfigError if this many ranks can't be started here; a note if there are more than cores."""
    if devices < 1:
        raise ConfigError("--devices must be at least 1.", received=str(devices))
    if "RANK" in environment or int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        by = "torchrun" if "TORCHELASTIC_RUN_ID" in environment else "a launcher"
        raise ConfigError(
            "--devices starts its own processes.",
            received=f"--devices {devices} in a process that {by} has started as one of several",
            fix="Leave --devices out there: the launcher sets their number.",
        )
    kind, _, index = device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if devices > 1 and (index or kind not in ("cuda", "cpu")):
        raise ConfigError(
            "--devices gives each process its own device.",
            received=f"--devices {devices} with train.device {device}, which is a single one",
            fix="Use --train.device cuda, or leave --devices out.",
        )
    if kind == "cuda" and devices > torch.cuda.device_count():
        raise ConfigError(
            "--devices must be at most the number of GPUs.",
            received=f"{devices} on a machine with {torch.cuda.device_count()}",
            fix="Use fewer, or --train.device cpu.",
        )
    cores = num_cpus()
    if kind == "cpu" and devices > cores:
        note(f"{devices} processes share {cores} cores, which is slower than --devices {cores}.")


def without_devices(arguments: Sequence[str]) -> list[str]:
    """The arguments without `--devices K` or `--devices=K`, which each rank would otherwise obey itself.

    >>> without_devices(["train", "mnist", "--devices", "2", "--epochs", "1", "--devices=2"])
    ['train', 'mnist', '--epochs', '1']
    """
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--devices":
            next(words, None)
        elif not word.startswith("--devices="):
            kept.append(word)
    return kept


@contextmanager
def shared_cores(ranks: int) -> Iterator[None]:
    """Within this block started processes get their share of the threads, unless the user has set it.

    torchrun's own log is silent as well.
    """
    own = "OMP_NUM_THREADS" not in os.environ
    if own:
        os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // ranks))
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        if own:
            del os.environ["OMP_NUM_THREADS"]


@contextmanager
def own_signals() -> Iterator[None]:
    """After this block signals are handled as before: torchrun leaves its handlers in place."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def explain(rank: int, first: ProcessFailure, failures: Mapping[int, ProcessFailure], folder: Path) -> None:
    """Print why the first rank failed, unless the user has seen it: rank 0 has the terminal itself."""
    if first.exitcode < 0:
        name = signal.Signals(-first.exitcode).name
        reason = " The system does this when memory runs out." if -first.exitcode == signal.SIGKILL else ""
        note(f"rank {rank} was ended by {name}.{reason}")
    same = (
        0 in failures and failures[0].exitcode == first.exitcode > BUG
    )  # it ended for the same reason, and printed it
    if rank == 0 or same:
        return
    for path in folder.glob(f"*/attempt_*/{rank}/stderr.log"):
        words = "\n".join(path.read_text(errors="replace").rstrip().splitlines()[-LINES:])
        if words:
            note(words if f"rank {rank}:" in words else f"rank {rank}: {words}")


def end_ranks(run_id: str) -> None:
    """End the remaining ranks of this launch; there are some only if a third signal cut their exit short."""
    for child in psutil.Process().children():
        try:
            if child.environ().get("TORCHELASTIC_RUN_ID") == run_id:
                child.kill()
        except psutil.Error:  # it has ended meanwhile
            continue


def exit_code(code: int) -> int:
    """A process's exit code as a shell gives it: 128 + n if signal n ended it.

    >>> exit_code(2), exit_code(-15)
    (2, 143)
    """
    return code if code >= 0 else 128 - code
