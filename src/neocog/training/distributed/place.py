"""The place of this process among those that train together, from the environment variables of its launcher."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from neocog.errors import ConfigError

__all__ = ["Place", "find_place", "first_host"]

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
PORTS = range(15_000, 32_000)  # below the ones that the system assigns


@dataclass(frozen=True, slots=True)
class Place:
    """One process among several, and the address of the first."""

    rank: int
    size: int
    local_rank: int
    """Its number on its machine."""
    local_size: int
    """Processes on its machine."""
    host: str
    port: int
    launcher: Literal["torchrun", "SLURM"]

    def __post_init__(self) -> None:
        if not (0 <= self.local_rank <= self.rank < self.size and self.local_rank < self.local_size <= self.size):
            raise ConfigError(
                "A process must have a rank below the number of processes, and so on its machine.",
                received=f"rank {self.rank} of {self.size}, on its machine {self.local_rank} of {self.local_size}",
                where=f"Variables of {self.launcher}",
                fix="Start all with one command.",
            )


def find_place(environment: Mapping[str, str]) -> Place | None:
    """The place in torchrun's variables, or else in SLURM's; None for a single process.

    Raises ConfigError for variables that are missing, not numbers, or inconsistent.

    >>> find_place({}) is None
    True
    >>> found = find_place({"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1",
    ...     "SLURM_NTASKS_PER_NODE": "4", "SLURM_JOB_NODELIST": "node[003-004]", "SLURM_JOB_ID": "70"})
    >>> found.rank, found.local_rank, found.local_size, found.host, found.port
    (5, 1, 4, 'node003', 17170)
    """
    if any(name in environment for name in TORCHRUN[:4]):  # a SLURM script often sets the address alone
        return read_torchrun(environment)
    if environment.get("SLURM_PROCID") is not None and environment.get("SLURM_NTASKS", "1") != "1":
        return read_slurm(environment)
    return None


def read_torchrun(environment: Mapping[str, str]) -> Place:
    """The place according to torchrun and launchers that set the same variables."""
    check_there(environment, TORCHRUN, "torchrun")
    rank, size, local_rank, local_size = (number(environment, name) for name in TORCHRUN[:4])
    host, port = environment["MASTER_ADDR"], number(environment, "MASTER_PORT", most=2**16 - 1)
    return Place(rank, size, local_rank, local_size, host, port, "torchrun")


def read_slurm(environment: Mapping[str, str]) -> Place:
    """The place of a task that srun has started. Each of several steps and jobs on one machine gets its own port.

    MASTER_ADDR and MASTER_PORT take precedence over the list of nodes and the job's number.
    """
    check_there(environment, SLURM, "SLURM")
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_JOB_NODELIST"))
    if nodes is None and "MASTER_ADDR" not in environment:
        raise missing(["SLURM_JOB_NODELIST"], "SLURM")
    if "MASTER_PORT" in environment:
        port = number(environment, "MASTER_PORT", most=2**16 - 1)
    else:
        check_there(environment, ["SLURM_JOB_ID"], "SLURM")
        job, step = number(environment, "SLURM_JOB_ID"), number(environment, "SLURM_STEP_ID", "0")
        port = PORTS[(31 * job + step) % len(PORTS)]
    rank, size, local_rank = (number(environment, name) for name in SLURM)
    host = environment.get("MASTER_ADDR") or first_host(nodes or "")
    return Place(rank, size, local_rank, tasks_here(environment), host, port, "SLURM")


def tasks_here(environment: Mapping[str, str]) -> int:
    """The number of tasks on this machine. `SLURM_TASKS_PER_NODE` lists them by machine: `4(x2),3`.

    >>> tasks_here({"SLURM_TASKS_PER_NODE": "4(x2),3", "SLURM_NODEID": "2"})
    3
    """
    for name in ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE"):
        if name not in environment:
            continue
        parts = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part) for part in environment[name].split(",")]
        counts = [int(part[1]) for part in parts if part for _ in range(int(part[2] or 1))]
        node = number(environment, "SLURM_NODEID", "0")
        if not all(parts) or len(counts) not in (1, *range(node + 1, len(counts) + 1)):
            raise ConfigError(
                f"{name} must list the tasks of each machine, as in 4(x2),3.",
                received=f"{environment[name]!r}, on machine {node}",
            )
        return counts[0] if len(counts) == 1 else counts[node]
    raise missing(["SLURM_NTASKS_PER_NODE"], "SLURM")


def first_host(nodes: str) -> str:
    """The first machine of a list in SLURM's notation. Raises ConfigError if it can't be read.

    >>> first_host("node[003-005,9],gpu1")
    'node003'
    >>> first_host("rack[2,4]-n[07-09].cluster")
    'rack2-n07.cluster'
    """
    first = re.match(r"(?:[\w.-]|\[\w+[\w,-]*\])+(?=,|$)", nodes)
    if first is None:
        raise ConfigError("SLURM_JOB_NODELIST must name machines, as in node[003-005,9].", received=repr(nodes))
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first[0])


def check_there(environment: Mapping[str, str], names: Sequence[str], launcher: str) -> None:
    absent = [name for name in names if not environment.get(name)]
    if absent:
        raise missing(absent, launcher)


def missing(absent: Sequence[str], launcher: str) -> ConfigError:
    command = {
        "torchrun": "torchrun --nproc-per-node K -m neocog train ...",
        "SLURM": "srun python -m neocog train ...",
    }
    return ConfigError(
        f"A process that trains with others needs its place from {launcher}.",
        received=f"no {', '.join(absent)}",
        fix=f"Start it with {command[launcher]}, or unset the other variables of {launcher} to train in a single "
        "process.",
    )


def number(environment: Mapping[str, str], name: str, default: str = "", most: int = 2**31) -> int:
    text = environment.get(name, default)
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise ConfigError(f"{name} must be a whole number from 0 to {most}.", received=repr(text))
    return int(text)
