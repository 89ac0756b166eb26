"""The session of a run: its processes, device, threads, arithmetic and memory, set up before the data is opened."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from neocog.cpus import num_threads
from neocog.errors import ConfigError
from neocog.progress import quiet
from neocog.runs.config import RunConfig
from neocog.training.distributed import World, fail_together, is_one_of_several, join_world, leave_world
from neocog.training.speed import exact_arithmetic, keep_memory, use_threads

__all__ = ["find_device", "session"]


@contextmanager
def session(config: RunConfig, *, single_process: bool = False) -> Iterator[World]:
    """Join the other processes, if this is one of several, and compute as the config says until the block ends.

    Only the first process prints notes. An error in one process ends all. With `single_process` no others are joined.
    """
    several = is_one_of_several() and not single_process
    world = join_world(config.train.device) if several else World(device=find_device(config.train.device))
    environment = {**os.environ, "LOCAL_WORLD_SIZE": str(world.local_size)}
    use_threads(config.speed.threads or num_threads(environment))
    exact = exact_arithmetic() if config.speed.mode == "exact" else nullcontext()
    memory = keep_memory() if world.device.type == "cpu" else nullcontext()
    try:
        with fail_together(world), exact, memory, nullcontext() if world.first else quiet():
            yield world
    finally:
        leave_world(world)


def find_device(name: str) -> torch.device:
    """The device of this name; auto is a GPU if there is one. Raises ConfigError if it can't be used."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    rule = "train.device must be a device of this machine that computes."
    fix = "Choose cpu, cuda, cuda:1 or mps, or leave it out."
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(rule, received=f"{name!r} ({reason})", fix=fix) from error
    if device.type == "meta":
        raise ConfigError(rule, received=repr(name), fix=fix)
    return device
