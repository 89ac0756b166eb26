"""Dynamic batching: inputs of several requests are computed together.

    accepted ─► queue of works ─► the engine's thread ─► results, handed out once per batch

    The engine takes the oldest work, and of those behind it all of its kind that fit into a batch: at once if it is
    free, and otherwise what has arrived while it computed.

A network that takes less time than waking a thread is computed in the event loop itself, together with all that arrived
in one turn of the loop: threads that compute for microseconds at a time would wait for each other's turn in Python.

A work that waits alone while the engine is free is computed at once, so a single client waits for nothing. If inputs
of other requests are being decoded, the engine waits for them, up to `max_delay_ms` after the oldest work came.
A batch that raises is computed again one work at a time, so that only the bad one fails.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from neocog.errors import NeocogError

__all__ = ["Batcher", "ClosedError", "FullError", "Work"]

Compute = Callable[[list["Work"]], Sequence[Any]]
"""One result for each work of a batch, in their order."""


class FullError(NeocogError):
    """More inputs wait than the queue takes."""

    def __init__(self, name: str, waiting: int, seconds: float) -> None:
        super().__init__(
            f"{name} has no place for more inputs: {waiting:,} wait.", fix=f"Try again in {seconds:.0f} s."
        )
        self.seconds = seconds
        """After which to try again."""


class ClosedError(NeocogError):
    """The batcher accepts nothing more, because its network is being replaced or the server stops."""


@dataclass(slots=True, eq=False)
class Work:
    """The inputs of one request, which are computed in the same batch."""

    future: "asyncio.Future[Any]"
    """Gets the result, in its own event loop."""
    key: Hashable
    """Works of equal keys can share a batch."""
    size: int
    """How many inputs it may have: the places that it takes in the queue."""
    inputs: Any = None
    """In the form that the engine takes; set before the work is submitted."""
    names: Sequence[str] = ()
    """Of the inputs, for predictions."""
    wanted: Hashable = None
    """The form of its result, for whoever computes: works of one batch may want different ones."""
    urgent: bool = False
    """Whether it is accepted however many wait."""
    announced: bool = False
    """Whether `announce` was called for it."""
    accepted: float = 0.0
    started: float = 0.0
    """When its batch began; `time.perf_counter`."""
    batch: int = 0
    """The size of that batch."""
    gone: bool = field(default=False)
    """Whether nobody waits for it any more."""


class Batcher:
    """One thread that computes the works of one model, in batches."""

    def __init__(
        self,
        name: str,
        compute: Compute,
        *,
        max_batch: int = 32,
        max_delay_ms: float = 2.0,
        queue: int = 256,
        inline: bool = False,
        observe: Callable[[int, float, float], None] | None = None,
    ) -> None:
        """With `inline`, the event loop computes. `observe(size, seconds, waited)` is told of each batch, where it is
        computed.
        """
        self.name, self.compute, self.observe = name, compute, observe
        self.max_batch, self.delay, self.most = max_batch, max_delay_ms / 1000, queue
        self.works: deque[Work] = deque()
        self.waiting = 0
        """Inputs that wait."""
        self.running = 0
        """Inputs that are being computed."""
        self.expected = 0
        """Inputs that are on their way here: they have a place, and are being decoded."""
        self.pace = 0.01
        """Seconds that an input takes, a running mean; for Retry-After."""
        self.closed = False
        self.changed = threading.Condition(threading.Lock())
        self.flushing = False
        """Whether the event loop is going to compute what waits."""
        self.thread: threading.Thread | None = None
        if not inline:
            self.thread = threading.Thread(target=self.run, name=f"engine {name}", daemon=True)
            self.thread.start()

    @property
    def alive(self) -> bool:
        """Whether it computes."""
        return not self.closed if self.thread is None else self.thread.is_alive()

    @property
    def in_flight(self) -> int:
        """Inputs that are accepted and have no result yet."""
        return self.waiting + self.running

    def check_place(self, size: int) -> None:
        """Raises FullError if there is no place for `size` inputs more, and ClosedError if no more are accepted.

        One request always has a place if nothing else is there, however many inputs it has.
        """
        if self.closed:
            raise ClosedError(f"{self.name} is being replaced.", fix="Try again.")
        before = self.waiting + self.expected
        if before and before + size > self.most:
            raise FullError(self.name, before, max(1.0, before * self.pace))

    def announce(self, work: Work) -> None:
        """Keep a place for a work whose inputs are still being decoded. Raises as `check_place` does."""
        with self.changed:
            self.check_place(work.size)
            work.announced = True
            self.expected += work.size

    def withdraw(self, work: Work) -> None:
        """Give back the place of a work that was announced and won't come."""
        with self.changed:
            self.expected -= work.size * work.announced
            work.announced = False
            self.changed.notify()

    def submit(self, work: Work) -> None:
        """Accept a work, from any thread. Raises as `check_place` does, unless it was announced or is urgent."""
        with self.changed:
            if not work.announced and not (work.urgent and not self.closed):
                self.check_place(work.size)
            self.expected -= work.size * work.announced
            work.accepted = time.perf_counter()
            (self.works.appendleft if work.urgent else self.works.append)(work)
            self.waiting += work.size
            if self.thread is not None:
                self.changed.notify()
                return
            wake, self.flushing = not self.flushing, True
        if wake:
            work.future.get_loop().call_soon_threadsafe(self.flush, work.future.get_loop())

    def close(self) -> None:
        """Accept nothing more; what was accepted is computed, and then the thread ends."""
        with self.changed:
            self.closed = True
            self.changed.notify()

    async def drain(self) -> None:
        """As `close`, and wait for the last result."""
        self.close()
        if self.thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.thread.join)
        while self.works or self.expected > 0:
            await asyncio.sleep(0.001)

    def flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the event loop: compute a batch of what waits, and the rest in the loop's next turns."""
        with self.changed:
            self.drop_gone()
            batch = self.take(self.fitting()) if self.works else []
            self.flushing = bool(self.works)
        if batch:
            self.compute_batch(batch, loop)
            self.running = 0
        if self.flushing:
            loop.call_soon(self.flush, loop)

    def run(self) -> None:
        """The thread: batches until it is closed and nothing is left."""
        while batch := self.next_batch():
            self.compute_batch(batch)

    def next_batch(self) -> list[Work]:
        """The next works that share a batch; none if the batcher is closed and empty."""
        with self.changed:
            self.running = 0
            while True:
                self.drop_gone()
                if not self.works:
                    if self.closed and self.expected <= 0:
                        return []
                    self.changed.wait()
                    continue
                batch = self.fitting()
                left = self.works[0].accepted + self.delay - time.perf_counter()
                waits = self.expected > 0 and left > 0 and not self.closed and not batch[0].urgent
                if not waits or sum(work.size for work in batch) >= self.max_batch:
                    break
                self.changed.wait(left)
            return self.take(batch)

    def take(self, batch: list[Work]) -> list[Work]:
        """Take a batch out of the queue. The lock is held."""
        if len(batch) == len(self.works):
            self.works.clear()
        else:
            chosen = set(map(id, batch))
            self.works = deque(work for work in self.works if id(work) not in chosen)
        self.running = sum(work.size for work in batch)
        self.waiting -= self.running
        return batch

    def drop_gone(self) -> None:
        """Forget works that nobody waits for. The lock is held."""
        if any(work.gone for work in self.works):
            self.works = deque(work for work in self.works if not work.gone)
            self.waiting = sum(work.size for work in self.works)

    def fitting(self) -> list[Work]:
        """The oldest work, and the next ones of its kind that a batch has place for. The lock is held."""
        first = self.works[0]
        batch, count = [first], first.size
        for work in list(self.works)[1:]:
            if count >= self.max_batch:
                break
            if work.key == first.key and count + work.size <= self.max_batch:
                batch.append(work)
                count += work.size
        return batch

    def compute_batch(self, batch: list[Work], here: asyncio.AbstractEventLoop | None = None) -> None:
        """Compute a batch and hand out its results, each exactly once; `here` is the event loop that calls, if any."""
        started, size = time.perf_counter(), sum(work.size for work in batch)
        for work in batch:
            work.started, work.batch = started, size
        results = self.results(batch)
        seconds = time.perf_counter() - started
        self.pace += 0.1 * (seconds / size - self.pace)
        deliver(batch, results, here)
        if self.observe:
            self.observe(size, seconds, started - batch[0].accepted)

    def results(self, batch: list[Work]) -> Sequence[Any]:
        """A result or an exception for each work."""
        try:
            results = self.compute(batch)
            assert len(results) == len(batch), "samples in = samples scored"
            return results
        except Exception as error:
            if len(batch) == 1:
                return [error]
        return [self.results([work])[0] for work in batch]


def deliver(batch: Sequence[Work], results: Sequence[Any], here: asyncio.AbstractEventLoop | None) -> None:
    """Hand results to the futures of their works: one call into each event loop but `here`, the one that calls."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Work, Any]]] = {}
    for work, result in zip(batch, results, strict=True):
        loops.setdefault(work.future.get_loop(), []).append((work, result))
    for loop, pairs in loops.items():
        if loop is here:
            settle(pairs)
            continue
        try:
            loop.call_soon_threadsafe(settle, pairs)
        except RuntimeError:  # the loop is closed: nobody waits
            continue


def settle(pairs: Sequence[tuple[Work, Any]]) -> None:
    """In their event loop, set the results of futures that still wait."""
    for work, result in pairs:
        if work.future.done():
            continue
        if isinstance(result, BaseException):
            work.future.set_exception(result)
        else:
            work.future.set_result(result)
