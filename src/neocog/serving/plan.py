"""Plan of a worker, as whoever starts it hands it over, and the meaning of signals; nothing here loads a model."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from neocog.serving.logs import Log
from neocog.serving.settings import ServeSettings
from neocog.serving.table import WorkerTable

__all__ = ["PUBLIC", "WorkerPlan", "end_while_loading", "handle_signals", "own_signals"]

PUBLIC: dict[str, tuple[str, ...]] = {"metrics": ("/metrics",), "docs": ("/", "/docs", "/docs/", "/openapi.json")}
"""Paths by the name under which a user opens them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPlan:
    """All that a worker needs to know, in a form that another process can be handed."""

    models: tuple[tuple[str, str, Path], ...]
    """Name, version and path of each."""
    settings: ServeSettings
    folder: Path
    """Where the workers share their figures."""
    slot: int = 0
    """The worker's place among all."""
    parent: int | None = None
    """The supervisor's process, with which this one ends; None if there is none."""
    human: bool = False
    """Whether the log is for a person."""

    def log(self) -> Log:
        """The log, which names the worker if there are several."""
        log = Log(human=self.human)
        if self.settings.workers > 1:
            log.always["worker"] = self.slot
        return log

    def table(self) -> WorkerTable:
        return WorkerTable(self.folder / "workers", self.settings.workers)


def handle_signals(stop: Callable[[int], None], *, interrupt: bool = True) -> None:
    """Call `stop` at the first SIGTERM or Ctrl-C; the second ends the process at once. `interrupt`: whether Ctrl-C
    counts; a terminal sends it to workers and supervisor alike."""
    if threading.current_thread() is not threading.main_thread():
        return
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        stop(number)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle if interrupt else signal.SIG_IGN)


@contextlib.contextmanager
def own_signals() -> Iterator[None]:
    """Within this block, `handle_signals` may be used; after it, signals mean what they meant before."""
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_while_loading(number: int) -> None:
    """Nothing is accepted yet: end."""
    sys.exit(128 + number)
