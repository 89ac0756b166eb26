"""Predictions whose outputs have places: inputs as views, views in batches, and their outputs put together again.

    read and decoded ─► views ─► batches, computed ─► put together ─► predictions, in order
       (threads)                     (here)              (threads)

Views of several inputs are computed in one batch, so that small images don't make small batches. While a batch is
computed, threads decode what comes next, and put together the outputs of the batch before.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from threading import Barrier
from typing import Any

import torch
from torch import Tensor

from neocog.cpus import num_cpus
from neocog.engines.engine import Backend, compute_logits
from neocog.errors import DataError
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.views import View, Views
from neocog.tasks import Assembler, DenseTask, Prediction

__all__ = ["BATCH", "MANY", "DensePass", "Failure", "dense_batch"]

BATCH = 256
PLACES = 2**18  # of a batch of views: one tile of 512x512, whose maps take hundreds of megabytes
MANY = 16  # views of one input, for which preparing a faster form of the network pays
AHEAD = 2  # inputs that are decoded ahead at most, for each thread

Submit = Callable[..., "Future[Any]"]
"""A function and its arguments -> the future of its result."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be read, and why."""

    name: str
    error: str


@dataclass(slots=True)
class Pending:
    """An input of which `left` views have not been computed yet."""

    name: str
    assembler: Assembler | Failure
    backend: Backend
    views: Iterable[View] = ()
    left: int = 0
    pages: int = 1
    placing: "Future[None] | None" = None
    """The last outputs that are put in their places."""

    def place(self, views: list[View], logits: list[Tensor], before: "Future[None] | None") -> None:
        """Put outputs in their places, after those that came before."""
        assert isinstance(self.assembler, Assembler)
        if before is not None:
            before.result()
        for view, row in zip(views, logits, strict=True):
            self.assembler.add(view, row)

    def result(self) -> Prediction | Failure:
        if isinstance(self.assembler, Failure):
            return self.assembler
        if self.placing is not None:
            self.placing.result()
        return replace(self.assembler.finish(self.name), pages=self.pages)


@dataclass(slots=True)
class DensePass:
    """One pass of inputs through a network.

    `open` reads an input: its views, and how many images its file holds; it raises DataError for one that can't be
    read. `plain` computes inputs of few views, and `many` those of many.
    """

    task: DenseTask
    preprocess: Preprocess
    open: Callable[[Any, str], tuple[Views, int]]
    plain: Backend
    many: Backend
    batch: list[tuple[Pending, View]] = field(default_factory=list)
    """Views that wait."""
    placing: list["Future[None]"] = field(default_factory=list)
    """The outputs of the last batch, while they are put in their places."""
    ahead: int = 1
    """How many inputs are decoded ahead: about as many as fill a batch, one if each fills several, as scans do."""

    def predictions(self, named: Iterable[tuple[str, Any]]) -> Iterator[Prediction | Failure]:
        """One for each input, in order; a single input is not worth a thread."""
        inputs = iter(named)
        first = list(islice(inputs, 2))
        if len(first) < 2:
            yield from self.run(first, at_once)
            return
        with single_threads() as pool:
            yield from self.run(chain(first, inputs), pool.submit)

    def run(self, named: Iterable[tuple[str, Any]], submit: Submit) -> Iterator[Prediction | Failure]:
        waiting: deque[Pending] = deque()
        results: deque[Future[Prediction | Failure]] = deque()
        most = self.most()
        for pending in in_order(submit, self.try_open, named, lambda: self.ahead):
            self.ahead = min(AHEAD * num_cpus(), max(1, most // max(1, pending.left)))
            waiting.append(pending)
            for view in pending.views:
                self.batch.append((pending, view))
                if len(self.batch) == most:
                    self.compute(submit)
            while waiting and not waiting[0].left:
                results.append(submit(waiting.popleft().result))
            while results and (results[0].done() or len(results) > 2 * most):
                yield results.popleft().result()
        self.compute(submit)
        results.extend(submit(pending.result) for pending in waiting)
        yield from (result.result() for result in results)

    def most(self) -> int:
        """The size of a batch: a multiple of that of the engine, if it has one."""
        most, size = dense_batch(self.preprocess.shape), getattr(self.plain, "batch", 1)
        return most // size * size if size <= most else most

    def try_open(self, one: tuple[str, Any]) -> Pending:
        name, given = one
        try:
            views, pages = self.open(given, name)
        except DataError as error:
            return Pending(name, Failure(name, str(error)), self.plain)
        backend = self.plain if views.num < MANY else self.many
        return Pending(name, self.task.assemble(views.size), backend, views, views.num, pages)

    def compute(self, submit: Submit) -> None:
        """Compute what waits, and let its outputs be put in their places once those of the last batch are."""
        groups: dict[int, tuple[Pending, list[View], list[Tensor]]] = {}
        for backend in dict.fromkeys((self.plain, self.many)):
            part = [(pending, view) for pending, view in self.batch if pending.backend is backend]
            if part:
                decoded = torch.stack([view.inputs for _, view in part])
                logits = compute_logits(backend, self.preprocess.normalise, decoded)
                self.task.check_logits(logits)
                for (pending, view), row in zip(part, logits, strict=True):
                    _, views, rows = groups.setdefault(id(pending), (pending, [], []))
                    views.append(view)
                    rows.append(row)
        self.batch.clear()
        for placed in self.placing:
            placed.result()
        self.placing = []
        for pending, views, rows in groups.values():
            pending.placing = submit(pending.place, views, rows, pending.placing)
            pending.left -= len(views)
            self.placing.append(pending.placing)


def dense_batch(shape: tuple[int, ...]) -> int:
    """How many inputs of this shape a batch has if their outputs have places."""
    return max(1, min(BATCH, PLACES // math.prod(shape[1:])))


def at_once(work: Callable[..., Any], *given: Any) -> "Future[Any]":
    """The future of work that is done here and now."""
    future: Future[Any] = Future()
    future.set_result(work(*given))
    return future


def in_order(
    submit: Submit, work: Callable[[Any], Any], items: Iterable[Any], ahead: Callable[[], int]
) -> Iterator[Any]:
    """The result of each item, in order, while those of the next ones are made."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(submit(work, item))
        while len(waiting) > ahead():
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def single_threads() -> Iterator[ThreadPoolExecutor]:
    """A thread for each processor, in which torch computes without threads of its own; others are left as they are."""
    count, threads = num_cpus(), torch.get_num_threads()
    started = Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # takes over the number of the process, once in each thread
        torch.set_num_threads(1)  # also what later threads of the process take over
        started.wait()

    pool = ThreadPoolExecutor(count, "dense")
    try:
        for _ in range(count):
            pool.submit(begin)
        started.wait()
        torch.set_num_threads(threads)
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
