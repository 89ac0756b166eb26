"""Several workers on one port: the supervisor starts them, and starts each again that dies.

It binds the port and opens it to nobody itself: the workers inherit the socket. They are new processes, not forks of
this one, whose locks and threads they would share. This process never loads a model, so it has little that can fail.
"""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from neocog.errors import NeocogError
from neocog.serving.logs import Log
from neocog.serving.metrics import forget_worker
from neocog.serving.plan import WorkerPlan, handle_signals

__all__ = ["DEATHS", "Supervisor", "WorkersFailedError", "delay_of"]

DEATHS = 5  # deaths at start, one after the other, after which the server ends
LONGEST = 10.0  # seconds before a worker is started again
STEADY = 60.0  # seconds after which an earlier death is forgotten
LOOK = 0.5  # seconds
MARGIN = 5.0  # seconds beyond the time to drain after which a worker is killed


class WorkersFailedError(NeocogError):
    """Workers died again and again while they started."""


def delay_of(deaths: int) -> float:
    """Seconds to wait before a worker that has died so often in a row is started again.

    >>> [delay_of(deaths) for deaths in (1, 2, 3, 9)]
    [0.0, 0.5, 1.0, 10.0]
    """
    return 0.0 if deaths <= 1 else min(LONGEST, 0.5 * 2 ** (deaths - 2))


def start_worker(plan: WorkerPlan, listening: socket.socket, report: Connection) -> None:
    """The process of a worker; what it needs is imported there."""
    from neocog.serving.worker import run_worker

    run_worker(plan, listening, report)


@dataclass(slots=True)
class Place:
    """A worker's place: its process, and how it fared."""

    slot: int
    process: SpawnProcess | None = None
    report: Connection | None = None
    ready: bool = False
    began: float = 0.0
    deaths: int = 0
    """In a row."""
    restart: float = 0.0
    """When to start it again."""


class Supervisor:
    """Keeps all workers of a server running until a signal."""

    def __init__(self, plan: WorkerPlan, listening: socket.socket, ready: Callable[[], None]) -> None:
        """`ready` is called once all workers serve."""
        self.plan, self.listening, self.announce = plan, listening, ready
        self.log: Log = Log(human=plan.human)
        self.table = plan.table()
        self.places = [Place(slot) for slot in range(plan.settings.workers)]
        self.context = multiprocessing.get_context("spawn")
        self.stopping = False
        self.announced = False

    def run(self) -> None:
        """Serve until SIGTERM or Ctrl-C, and drain.

        Raises the NeocogError of a worker that can't start because of the user's input, and WorkersFailedError.
        """
        handle_signals(self.stop)
        try:
            self.start(self.places[0])  # alone: what it refuses, all would
            while not self.stopping:
                self.step()
            self.drain()
        finally:
            self.kill()

    def stop(self, number: int) -> None:
        self.stopping = True

    def start(self, place: Place) -> None:
        """Start a worker."""
        here, there = self.context.Pipe(duplex=False)
        plan = replace(self.plan, slot=place.slot, parent=os.getpid())
        place.process = self.context.Process(
            target=start_worker, args=(plan, self.listening, there), name=f"neocog worker {place.slot}", daemon=True
        )
        place.process.start()
        there.close()
        place.report, place.ready, place.began = here, False, time.monotonic()

    def step(self) -> None:
        """Wait until something happens, and see to it."""
        waited: list[Any] = [place.process.sentinel for place in self.places if place.process is not None]
        waited += [place.report for place in self.places if place.report is not None]
        now = time.monotonic()
        due = [place.restart - now for place in self.places if place.process is None and place.restart]
        wait(waited, max(0.0, min([LOOK, *due])))
        for place in self.places:
            self.read_report(place)
            if place.process is not None and not place.process.is_alive():
                self.bury(place)
        for place in self.places:
            may = place.slot == 0 or self.places[0].ready or self.announced
            if may and place.process is None and not self.stopping and time.monotonic() >= place.restart:
                self.start(place)

    def read_report(self, place: Place) -> None:
        """Take in the report of a worker on its start."""
        if place.report is None or not place.report.poll():
            return
        try:
            said = place.report.recv()
        except EOFError:  # it died before it said anything
            said = None
        place.report.close()
        place.report = None
        if isinstance(said, NeocogError):
            if not self.announced:
                raise said
            self.log.write("error", "worker failed", worker=place.slot, reason=str(said))
        elif said == "ready":
            place.ready = True
            if not self.announced and all(each.ready for each in self.places):
                self.announced = True
                self.announce()

    def bury(self, place: Place) -> None:
        """Note a death, and when the worker is started again. Raises WorkersFailedError after five deaths at start."""
        assert place.process is not None
        self.table.clear(place.slot)
        forget_worker(self.plan.folder / "metrics", place.slot)
        place.process.join()
        reason = reason_of(place.process.exitcode)
        now = time.monotonic()
        steady = place.ready and now - place.began > STEADY
        place.deaths = 1 if steady else place.deaths + 1
        if place.report is not None:
            place.report.close()
        started, place.process, place.report, place.ready = place.ready, None, None, False
        if self.stopping:
            return
        place.restart = now + delay_of(place.deaths)
        self.log.write(
            "error", "worker died", worker=place.slot, reason=reason, while_starting=not started, deaths=place.deaths
        )
        if started:
            return
        if place.deaths >= DEATHS:
            raise WorkersFailedError(
                f"A worker must start, but worker {place.slot} died {place.deaths} times in a row.", received=reason,
                fix="Its log, above, says more. If it was killed for memory, use fewer --workers.",
            )  # fmt: skip

    def drain(self) -> None:
        """Let all workers finish what they have accepted."""
        self.listening.close()
        processes = [place.process for place in self.places if place.process is not None]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + self.plan.settings.drain_s + MARGIN
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """End what still runs."""
        for place in self.places:
            if place.process is not None and place.process.is_alive():
                place.process.kill()
                place.process.join()


def reason_of(exit_code: int | None) -> str:
    """How a process ended, in words.

    >>> reason_of(-9), reason_of(1)
    ('killed by SIGKILL', 'exit code 1')
    """
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"
