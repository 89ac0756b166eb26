"""One process for each device of this machine, started and watched by torchrun's engine."""

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

from neocog.errors import ConfigError
from neocog.progress import note

__all__ = ["start_ranks"]

BUG = 1  # exit code of an error that is not the user's, and leaves a trace
SAVE_SECONDS = 600  # after a signal, ranks have so long to finish their step and save
LINES = 20  # of a failed rank's last words
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def start_ranks(devices: int, arguments: Sequence[str], *, device: str = "auto") -> int:
    """Run `neocog ARGUMENTS` as so many ranks on this machine, and return the exit code: 0, or the first failure's.

    Each rank finds its place in torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, ...). `--devices` is
    taken out of the arguments. Rank 0 has the terminal; the others are heard only where one fails. A first signal is
    passed on, and the ranks save; a second one, and they leave at once.

    Raises ConfigError for more devices than there are, or where a launcher has started this process already.
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
        # torchrun reads `$` in arguments as the start of a name to fill in
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
    """Raises ConfigError where so many ranks can't be started here; more than the cores is only said."""
    if devices < 1:
        raise ConfigError(f"--devices must be at least 1. Received: {devices}.")
    if "RANK" in environment or int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        by = "torchrun" if "TORCHELASTIC_RUN_ID" in environment else "a launcher"
        raise ConfigError(
            f"--devices starts processes of its own. Received: --devices {devices} in a process that {by} has started "
            "as one of several. Leave --devices out there: the launcher says how many there are."
        )
    kind, _, index = device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if devices > 1 and (index or kind not in ("cuda", "cpu")):
        raise ConfigError(
            f"--devices gives each process a device of its own. Received: --devices {devices} with train.device "
            f"{device}, which is one. Use --train.device cuda, or leave --devices out."
        )
    if kind == "cuda" and devices > torch.cuda.device_count():
        raise ConfigError(
            f"--devices must be at most the number of GPUs. Received: {devices}. This machine has "
            f"{torch.cuda.device_count()}. Use fewer, or --train.device cpu."
        )
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
    if kind == "cpu" and devices > cores:
        note(f"{devices} processes share {cores} cores: this is slower than --devices {cores}.")


def without_devices(arguments: Sequence[str]) -> list[str]:
    """The arguments without `--devices K` or `--devices=K`, which a rank would take for a wish of its own.

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
    """Within this block processes that are started get their share of the threads, unless the user has said.

    torchrun's log of what it does to them is silent as well.
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
    """Behind this block signals are handled as before: torchrun leaves its handlers in place."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def explain(rank: int, first: ProcessFailure, failures: Mapping[int, ProcessFailure], folder: Path) -> None:
    """Say why the first rank failed, where the user has not seen it: rank 0 speaks on the terminal itself."""
    if first.exitcode < 0:
        name = signal.Signals(-first.exitcode).name
        reason = " The system does so when memory runs out." if -first.exitcode == signal.SIGKILL else ""
        note(f"rank {rank} was ended by {name}.{reason}")
    same = 0 in failures and failures[0].exitcode == first.exitcode > BUG  # it ended for the same reason, and said it
    if rank == 0 or same:
        return
    for path in folder.glob(f"*/attempt_*/{rank}/stderr.log"):
        words = "\n".join(path.read_text(errors="replace").rstrip().splitlines()[-LINES:])
        if words:
            note(words if f"rank {rank}:" in words else f"rank {rank}: {words}")


def end_ranks(run_id: str) -> None:
    """End what is left of the ranks of this launch; nothing is, unless a third signal cut their end short."""
    for child in psutil.Process().children():
        try:
            if child.environ().get("TORCHELASTIC_RUN_ID") == run_id:
                child.kill()
        except psutil.Error:  # it has ended in the meantime
            continue


def exit_code(code: int) -> int:
    """A process's exit code as a shell gives it: 128 + n for one ended by signal n.

    >>> exit_code(2), exit_code(-15)
    (2, 143)
    """
    return code if code >= 0 else 128 - code
