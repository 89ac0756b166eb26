"""The processes that train one network together: joined at the start, left at the end."""

import os
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from neocog.errors import ConfigError
from neocog.torch_private import default_store
from neocog.training.distributed.place import Place, find_place

__all__ = ["SINGLE_PROCESS", "World", "is_one_of_several", "join_world", "leave_world"]

JOIN_SECONDS = 300.0  # machines of a cluster may be minutes apart in starting
EXCHANGE = timedelta(minutes=30)  # for which others may be busy before it is an error

left: list[dist.ProcessGroup | None] = []  # kept to the end of the process


@dataclass(frozen=True, slots=True)
class World:
    """This process among those that train together. A single process has size 1 and no process group.

    >>> World(device=torch.device("cpu")).first
    True
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    store: Store | None = field(default=None, repr=False, compare=False)
    """Where processes leave messages that nobody needs to wait for."""
    control: dist.ProcessGroup | None = field(default=None, repr=False, compare=False)
    """For exchange between CPUs, whatever the device."""
    ours: bool = field(default=False, repr=False, compare=False)
    """Whether Neocog created the process group and must destroy it."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0


SINGLE_PROCESS = World()


def is_one_of_several() -> bool:
    """Whether this process was started to train together with others."""
    place = None if dist.is_initialized() else find_place(os.environ)
    return dist.is_initialized() or (place is not None and place.size > 1)


def join_world(device: str | torch.device = "auto", *, join_seconds: float = JOIN_SECONDS) -> World:
    """Join the other processes that torchrun, SLURM or Ray has started, if there are any.

    Each of several processes has its own device: with `cuda` the GPU of its number on its machine. GPUs communicate by
    NCCL, CPUs by gloo. `auto` uses GPUs if there are any. An existing process group, as in a worker of Ray, is used and
    left as it is. Raises ConfigError for variables that are wrong or missing (see `find_place`), for more processes
    than GPUs, and if the others can't be reached.

    >>> join_world("cpu").size
    1
    """
    if not is_one_of_several():
        return World(device=device_of(str(device), 0, 1, shared=True))
    if dist.is_initialized():
        return join_existing(str(device))
    place = find_place(os.environ)
    assert place is not None
    found = device_of(str(device), place.local_rank, place.local_size, shared=place.launcher == "torchrun")
    store = meet(place, join_seconds)
    dist.init_process_group(
        "nccl" if found.type == "cuda" else "gloo",
        store=PrefixStore("neocog/group", store),
        rank=place.rank,
        world_size=place.size,
        timeout=EXCHANGE,
    )
    return World(
        place.rank, place.size, place.local_rank, place.local_size, found,
        store=PrefixStore("neocog", store), control=between_cpus(), ours=True,
    )  # fmt: skip


def join_existing(device: str) -> World:
    """The world of an existing process group, whose place is in torchrun's variables."""
    rank, size = dist.get_rank(), dist.get_world_size()
    local_rank, local_size = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    found = device_of(device, local_rank, local_size or size, shared=False)
    store = PrefixStore("neocog", default_store())
    return World(rank, size, local_rank, local_size or size, found, store=store, control=between_cpus())


def leave_world(world: World) -> None:
    """Undo `join_world`. No process waits for another."""
    if world.ours and dist.is_initialized():
        # If DistributedDataParallel is the last to hold a gloo group when it ends, it waits for the group's threads,
        # which may wait for the interpreter that it holds.
        left.append(world.control)
        dist.destroy_process_group()


def meet(place: Place, seconds: float) -> Store:
    """The store of the first process, or of torchrun's agent. Raises ConfigError if it can't be reached in time."""
    url = f"tcp://{place.host}:{place.port}"
    try:
        store: Store = next(rendezvous(url, place.rank, place.size, timeout=timedelta(seconds=seconds)))[0]
    except (RuntimeError, ValueError) as error:  # torch's network and store errors are such
        hint = " Start tasks of SLURM with srun." if place.launcher == "SLURM" else ""
        raise ConfigError(
            f"{place.size} processes must meet at {place.host}:{place.port}. Process {place.rank} could not connect "
            f"for {seconds:g} seconds: {str(error).splitlines()[0].rstrip('.')}.",
            fix="Start all of them, open the port between the machines, or name another one with MASTER_PORT." + hint,
        ) from error
    return store


def between_cpus() -> dist.ProcessGroup | None:
    """The process group if it uses gloo, else a second one that does."""
    if dist.get_backend() == "gloo":
        return dist.group.WORLD
    group: dist.ProcessGroup | None = dist.new_group(backend="gloo", timeout=EXCHANGE)
    return group


def device_of(name: str, local_rank: int, local_size: int, *, shared: bool) -> torch.device:
    """The device of this process, made the current one. `shared`: all processes of a machine see the same GPUs.

    Raises ConfigError if the processes of a machine can't have one each.
    """
    if name == "auto":
        alone = local_size == 1 and torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if alone else "cpu"
    if local_size > 1 and name not in ("cpu", "cuda"):
        raise ConfigError(
            "Each of several processes needs its own device.",
            received=f"train.device={name!r} for {local_size} processes on a machine",
            fix="Use cpu or cuda.",
        )
    if name != "cuda":
        return torch.device(name)
    count = torch.cuda.device_count()
    index = 0 if count == 1 and not shared else local_rank  # SLURM and Ray may show each process its GPU alone
    if index >= count:
        raise ConfigError(
            "Each process needs its own GPU.",
            received=f"{local_size} processes on a machine with {count}",
            fix=f"Start at most {count} there, or use --train.device cpu.",
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
