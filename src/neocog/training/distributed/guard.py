"""An error in one process ends all of them, and the user reads that error, not the ones it caused elsewhere."""

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

__all__ = ["fail_together"]

POLL = 0.25  # seconds between two looks at the store
MESSAGE_SECONDS = 2.0  # seconds to wait, after a lost connection, for the message of the process that failed
READ_SECONDS = 10.0  # for which the process that failed waits for the others to read its message
HEAD_START = 2.0  # seconds by which the failed process ends first, so that a launcher takes it for the cause
MISTAKE, BUG = 2, 1  # exit codes: for errors that a user can fix, and for all others
# Words in torch's error here when another process ends.
BROKEN = ("gloo", "nccl", "connection", "socket", "timed out", "timeout")

CHANNELS = itertools.count()  # all processes enter the same blocks, in the same order


@contextmanager
def fail_together(world: World) -> Iterator[None]:
    """Within this block an error in one process ends every process, within seconds.

    The first to fail leaves its message, with its rank in front, in a channel that the others poll all the time, even
    while they wait for it in an exchange. They end with its exit code, 2 for errors that the user can fix, else 1; on
    each machine the first of them prints the message. A NeocogError keeps its class and gets the rank in front; other
    errors are raised as they are. A process that was killed leaves no message: the others raise RunError at their next
    exchange. `Interrupted`, which reaches all at the same step (see `agree_stop`), ends no other process. In a single
    process nothing happens.
    """
    if world.size == 1:
        yield
        return
    channel = ErrorChannel(world)
    listener = ErrorListener(channel)
    try:
        yield
    except BaseException as error:
        listener.stop()
        if isinstance(error, Interrupted) or (isinstance(error, SystemExit) and not error.code):
            channel.leave()
            raise
        fail(error, channel)
    else:
        listener.stop()
        channel.leave()


@dataclass(frozen=True, slots=True)
class RemoteError:
    """The error that ended another process."""

    rank: int
    text: str
    code: int


class ErrorChannel:
    """A place in the store for one message, that of the first process to fail, and how many are done with it."""

    def __init__(self, world: World) -> None:
        assert world.store is not None
        self.world = world
        # A connection of its own, so as not to queue behind the main thread's waits.
        store: Store = world.store.clone()  # type: ignore[attr-defined]
        self.store = PrefixStore(f"fail_together/{next(CHANNELS)}", store)
        self.store.set_timeout(timedelta(seconds=READ_SECONDS))

    def read(self) -> RemoteError | None:
        """The message, if there is one. Raises RuntimeError if the store's process has ended."""
        return RemoteError(**json.loads(self.store.get("failure"))) if self.store.check(["failure"]) else None

    def wait_for_message(self, seconds: float) -> RemoteError | None:
        """The message, if it arrives within this many seconds."""
        deadline = time.monotonic() + seconds
        with suppress(RuntimeError):
            while True:
                found = self.read()
                if found is not None or time.monotonic() >= deadline:
                    return found
                time.sleep(POLL)
        return None

    def write(self, failure: RemoteError) -> RemoteError:
        """Leave a message if there is none yet; returns the one that is there."""
        with suppress(RuntimeError):
            return RemoteError(**json.loads(self.store.compare_set("failure", "", json.dumps(asdict(failure)))))
        return failure

    def leave(self) -> None:
        """Declare that this process is done with the channel."""
        with suppress(RuntimeError):
            self.store.add("done", 1)

    def await_others(self, seconds: float) -> None:
        """Wait, at most this long, until no other process needs the channel, which may end with this one."""
        deadline = time.monotonic() + seconds
        with suppress(RuntimeError):
            while self.store.add("done", 0) < self.world.size - 1 and time.monotonic() < deadline:
                time.sleep(POLL / 5)

    def show(self, failure: RemoteError) -> None:
        """Print another process's message, and let that process end first."""
        if self.world.local_rank == 0:
            print_line(failure.text)
        self.leave()
        time.sleep(HEAD_START)


class ErrorListener:
    """A thread that polls the channel and ends this process if there is a message: the main thread may be waiting in an
    exchange that nothing else can interrupt."""

    def __init__(self, channel: ErrorChannel) -> None:
        self.channel = channel
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.listen, name="neocog-error-listener", daemon=True)
        self.thread.start()

    def listen(self) -> None:
        with suppress(RuntimeError):  # the store is gone: the next exchange says so
            while not self.ended.wait(POLL):
                failure = self.channel.read()
                if failure is not None:
                    self.channel.show(failure)
                    os._exit(failure.code)

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()


def fail(error: BaseException, channel: ErrorChannel) -> NoReturn:
    """Tell the others and raise this error; or, if another process failed first, end as it does."""
    rank = channel.world.rank
    lost = is_lost(error)
    first = channel.wait_for_message(MESSAGE_SECONDS) if lost else None
    if first is None and lost:
        error = RunError(
            "Another process has ended without a message: it was killed, or ran out of memory.",
            received=str(error).splitlines()[0].rstrip("."),
            fix="Its own output may say more.",
        )
    first = first or channel.write(RemoteError(rank, f"rank {rank}: {type(error).__name__}: {error}", exit_code(error)))
    if first.rank != rank:
        channel.show(first)
        raise SystemExit(first.code) from None
    channel.await_others(MESSAGE_SECONDS if lost else READ_SECONDS)  # a killed process never reads
    if isinstance(error, NeocogError):
        error.rule = f"rank {rank}: {error.rule}"
    elif not isinstance(error, KeyboardInterrupt | SystemExit):
        print_line(first.text)
    raise error


def is_lost(error: BaseException) -> bool:
    """Whether this error is one that the end of another process causes here. torch's have no fields to tell."""
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in BROKEN)


def exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    return MISTAKE if isinstance(error, NeocogError) else BUG


def print_line(text: str) -> None:
    """One line on standard error, even while notes are quiet."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
