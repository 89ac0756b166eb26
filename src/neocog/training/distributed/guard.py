"""An error in one process ends all of them, and what the user reads is that error, not what it broke elsewhere."""

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import NoReturn

from torch.distributed.distributed_c10d import PrefixStore, Store

from neocog.errors import NeocogError, RunError
from neocog.training.distributed.world import World
from neocog.training.interrupt import Interrupted

__all__ = ["guarded"]

POLL = 0.25  # seconds between two looks at the store
WORD = 2.0  # seconds that a lost connection waits for the word of who failed, which was written before
READERS = 10.0  # seconds that who failed waits for the others to read it
LEAD = 2.0  # seconds by which who failed ends before the others, so that a launcher takes it for the cause
MISTAKE, BUG = 2, 1  # exit codes: for what a user can mend, and for all else
# In what torch says here when a process ends elsewhere.
BROKEN = ("gloo", "nccl", "connection", "socket", "timed out", "timeout")

BOARDS = itertools.count()  # all processes guard the same blocks, in the same order


@contextmanager
def guarded(world: World) -> Iterator[None]:
    """Within this block an error in one process ends every process, within seconds.

    The first to fail leaves its message, with its rank in front, where the others look all the time, even while they
    wait for it in an exchange. They end with its exit code, 2 for what the user can mend, else 1; on each machine the
    first of them shows the message. Its NeocogError keeps its class and gets the rank in front; all else is raised as
    it is. A process that was killed leaves no message: the others raise RunError at their next exchange. `Interrupted`,
    at which all arrive together (see `agree_stop`), ends no one else. In a world of one nothing happens.
    """
    if world.size == 1:
        yield
        return
    board = Board(world)
    watch = Watch(board)
    try:
        yield
    except BaseException as error:
        watch.stop()
        if isinstance(error, Interrupted) or (isinstance(error, SystemExit) and not error.code):
            board.leave()
            raise
        fail(error, board)
    else:
        watch.stop()
        board.leave()


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a process, for all to show."""

    rank: int
    text: str
    code: int


class Board:
    """A place in the store for one message, that of the first process to fail, and a count of who is done with it."""

    def __init__(self, world: World) -> None:
        assert world.store is not None
        self.world = world
        # A connection of its own, not to stand behind the main thread's waits.
        store: Store = world.store.clone()  # type: ignore[attr-defined]
        self.store = PrefixStore(f"guarded/{next(BOARDS)}", store)
        self.store.set_timeout(timedelta(seconds=READERS))

    def read(self) -> Failure | None:
        """The message, if there is one. Raises RuntimeError where the store's process has ended."""
        return Failure(**json.loads(self.store.get("failure"))) if self.store.check(["failure"]) else None

    def await_word(self, seconds: float) -> Failure | None:
        """The message, if it comes in so many seconds."""
        deadline = time.monotonic() + seconds
        with suppress(RuntimeError):
            while True:
                found = self.read()
                if found is not None or time.monotonic() >= deadline:
                    return found
                time.sleep(POLL)
        return None

    def write(self, failure: Failure) -> Failure:
        """Leave a message if there is none; returns the one that is there."""
        with suppress(RuntimeError):
            return Failure(**json.loads(self.store.compare_set("failure", "", json.dumps(asdict(failure)))))
        return failure

    def leave(self) -> None:
        """Say that this process needs the board no more."""
        with suppress(RuntimeError):
            self.store.add("done", 1)

    def await_others(self, seconds: float) -> None:
        """Wait, but not for longer than this, until no other process needs the board, which may end with this one."""
        deadline = time.monotonic() + seconds
        with suppress(RuntimeError):
            while self.store.add("done", 0) < self.world.size - 1 and time.monotonic() < deadline:
                time.sleep(POLL / 5)

    def show(self, failure: Failure) -> None:
        """Show another process's message, and let it end before this one."""
        if self.world.local_rank == 0:
            say(failure.text)
        self.leave()
        time.sleep(LEAD)


class Watch:
    """A thread that looks at the board, and ends this process where there is a message: its main thread may be waiting
    in an exchange, from which nothing else frees it."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look, name="neocog-watch", daemon=True)
        self.thread.start()

    def look(self) -> None:
        with suppress(RuntimeError):  # the store is gone: the next exchange says so
            while not self.ended.wait(POLL):
                failure = self.board.read()
                if failure is not None:
                    self.board.show(failure)
                    os._exit(failure.code)

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()


def fail(error: BaseException, board: Board) -> NoReturn:
    """Tell the others and raise this error; or, where another process was first, end as it does."""
    rank = board.world.rank
    lost = is_lost(error)
    first = board.await_word(WORD) if lost else None
    if first is None and lost:
        error = RunError(
            "Another process has ended without a word: it was killed, or ran out of memory. Its own output may say "
            f"more. Received: {str(error).splitlines()[0]}"
        )
    first = first or board.write(Failure(rank, f"rank {rank}: {type(error).__name__}: {error}", code_of(error)))
    if first.rank != rank:
        board.show(first)
        raise SystemExit(first.code) from None
    board.await_others(WORD if lost else READERS)  # who was killed never reads
    if isinstance(error, NeocogError):
        raise type(error)(f"rank {rank}: {error}") from error.__cause__
    if not isinstance(error, KeyboardInterrupt | SystemExit):
        say(first.text)
    raise error


def is_lost(error: BaseException) -> bool:
    """Whether an error is what the end of another process causes in this one."""
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in BROKEN)


def code_of(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    return MISTAKE if isinstance(error, NeocogError) else BUG


def say(text: str) -> None:
    """One line on standard error, also where notes are quiet."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
