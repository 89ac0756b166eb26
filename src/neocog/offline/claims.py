"""Which process computes which block.

On one machine, blocks are claimed with locks that the system releases when a process ends, however it ends. On several,
whose common file system may have no locks, each rank has every WORLD_SIZE-th block.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import filelock

from neocog.errors import ConfigError
from neocog.files import storage_errors
from neocog.offline.job import Job, Paths
from neocog.progress import note

__all__ = ["Claims", "LockClaims", "Place", "RankClaims", "exclusive", "held_locks", "place_of", "try_lock"]

PATIENCE = 5.0  # seconds after which waiting is worth a line


@dataclass(frozen=True, slots=True)
class Place:
    """The rank of this process among `size` that share the work by their numbers."""

    rank: int = 0
    size: int = 1
    local_size: int = 1
    """How many of them are on this machine."""


def place_of(environment: Mapping[str, str] = os.environ) -> Place:
    """The place in RANK and WORLD_SIZE, as torchrun sets them; a process by itself if there are none.

    Raises ConfigError for values that can't be.

    >>> place_of({"RANK": "1", "WORLD_SIZE": "4"})
    Place(rank=1, size=4, local_size=1)
    """
    given = {name: environment.get(name, "") for name in ("RANK", "WORLD_SIZE")}
    if not any(given.values()):
        return Place()
    if not all(text.isdigit() for text in given.values()) or not int(given["RANK"]) < int(given["WORLD_SIZE"]):
        raise ConfigError(
            "RANK is a number below WORLD_SIZE.",
            received=", ".join(f"{name}={text or '(not set)'}" for name, text in given.items()),
            where="the environment", fix="Start the processes with torchrun, or unset both.",
        )  # fmt: skip
    local = environment.get("LOCAL_WORLD_SIZE", "")
    return Place(int(given["RANK"]), int(given["WORLD_SIZE"]), int(local) if local.isdigit() and int(local) else 1)


class Claims(Protocol):
    """The blocks that this process computes."""

    def take(self) -> Iterator[int]:
        """Blocks that are not done, each claimed as it is asked for, until none is left that can be claimed."""

    def release(self, block: int) -> None:
        """Give up a claim, because the block is done or the process stops."""

    def release_all(self) -> None:
        """Give up all claims."""


class LockClaims:
    """Claims by locks of files, for any number of processes of one machine."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.held: dict[int, filelock.BaseFileLock] = {}

    def take(self) -> Iterator[int]:
        done = self.job.done()
        for block in range(len(self.job)):
            if block in done or block in self.held:
                continue
            lock = try_lock(self.job.lock_of(block))
            if lock is None:
                continue
            if self.job.is_done(block):  # since we looked
                lock.release()
                continue
            self.held[block] = lock
            yield block

    def release(self, block: int) -> None:
        self.held.pop(block).release()

    def release_all(self) -> None:
        for block in list(self.held):
            self.release(block)


class RankClaims:
    """Each rank has every `size`-th block; no locks."""

    def __init__(self, job: Job, place: Place) -> None:
        self.job, self.place = job, place

    def take(self) -> Iterator[int]:
        done = self.job.done()
        yield from (k for k in range(self.place.rank, len(self.job), self.place.size) if k not in done)

    def release(self, block: int) -> None:
        return

    def release_all(self) -> None:
        return


def try_lock(path: Path) -> filelock.BaseFileLock | None:
    """The lock of a file, or None if another process holds it or the run has ended and its folder is gone."""
    lock = filelock.FileLock(path, blocking=False)
    try:
        if path.parent.is_dir():
            with storage_errors(path):
                lock.acquire()
    except filelock.Timeout:
        return None
    return lock if lock.is_locked else None


def held_locks(folder: Path) -> int:
    """How many locks in a folder are held by other processes."""
    held = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        lock = try_lock(path)
        held += lock is None
        if lock is not None:
            lock.release()
    return held


@contextmanager
def exclusive(paths: Paths) -> Iterator[None]:
    """Hold what only one process may do at a time: begin, restart, join."""
    lock = filelock.FileLock(paths.lock)
    with storage_errors(paths.lock):
        paths.lock.parent.mkdir(parents=True, exist_ok=True)
        paths.lock.touch()  # where no file can be, filelock would wait
        try:
            lock.acquire(timeout=PATIENCE)
        except filelock.Timeout:
            note(f"Waiting for another process that lists files for {paths.out}, or joins its parts.")
            lock.acquire()
    try:
        yield
    finally:
        paths.lock.unlink(missing_ok=True)  # held: whoever waits for it makes a new one
        lock.release()
