"""The rows of blocks of files: threads read and decode what comes next while the network computes.

Batches never cross the end of a block, so the rows of a block don't depend on who computes it, or on what was computed
before.
"""

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neocog.bundle import Failure, Predictor
from neocog.bundle.predictor import BATCH, Raw
from neocog.errors import DataError
from neocog.modalities.table import MODALITIES
from neocog.modalities.views import Views
from neocog.offline.columns import Extra, Kind, ListOf, columns_of
from neocog.offline.threads import SMALL, count_products, one_thread
from neocog.tasks import DenseTask, Prediction

__all__ = ["Scorer"]

Row = dict[str, Any]
VALUES = 2**22  # of a batch: 28 images of 224x224. More are not faster on a CPU, and take hundreds of megabytes.
CHUNK = 16  # files that a thread reads and decodes at once


class Scorer:
    """From paths to rows, for one network and one choice of columns."""

    def __init__(self, predictor: Predictor, top: int, extras: Sequence[Extra], threads: int) -> None:
        self.predictor, self.top, self.extras, self.threads = predictor, top, extras, threads
        self.answers = columns_of(predictor, top, extras)
        size = max(1, math.prod(predictor.preprocess.shape))
        self.batch = max(1, min(BATCH, VALUES // size))
        self.ahead = max(CHUNK * (threads + 1), 2 * self.batch)
        self.small: bool | None = None
        """Whether the network is computed by one thread, once the first input is there."""

    @property
    def columns(self) -> dict[str, Kind]:
        """Every column of the output and its type, in order."""
        per_class = ListOf("float", self.predictor.task.num_outputs)
        added: dict[str, Kind] = {name: per_class for name in ("probabilities", "logits") if name in self.extras}
        return {"file": "string", **{one.name: one.kind for one in self.answers}, **added, "error": "string"}

    def score(
        self, blocks: Iterable[tuple[int, Sequence[str]]], seen: Callable[[int], object] = lambda count: None
    ) -> Generator[tuple[int, list[Row]], None, None]:
        """The rows of each block, in the order of its files. A block is asked for while the one before computes.

        `seen` is told how many more files are computed.
        """
        pool = ThreadPoolExecutor(self.threads, "decode")
        compute = self.dense_rows if self.predictor.task.dense else self.plain_rows
        try:
            decoded = self.decode_ahead(pool, blocks)
            for block, inputs in groupby(decoded, key=lambda one: one[0]):
                rows = list[Row]()
                for row in compute(one for _, one in inputs):
                    rows.append(row)
                    if len(rows) % CHUNK == 0:
                        seen(CHUNK)
                seen(len(rows) % CHUNK)
                yield block, rows
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def decode_ahead(
        self, pool: ThreadPoolExecutor, blocks: Iterable[tuple[int, Sequence[str]]]
    ) -> Iterator[tuple[int, tuple[str, Any, int]]]:
        """Each path with its block, as `decode` gives it, `ahead` paths of them already with the threads.

        A block is asked for when nothing of the block before the last is left: so a process claims two or three at a
        time, however small they are, and leaves the others to other processes.
        """
        waiting: deque[tuple[int, Future[list[tuple[str, Any, int]]]]] = deque()
        decode = self.decode_views if self.predictor.task.dense else self.predictor.try_decode

        def work(chunk: Sequence[str]) -> list[tuple[str, Any, int]]:
            return [safely(decode, path) for path in chunk]

        def oldest() -> Iterator[tuple[int, tuple[str, Any, int]]]:
            block, decoded = waiting.popleft()
            return ((block, one) for one in decoded.result())

        for block, paths in blocks:
            for start in range(0, len(paths), CHUNK):
                waiting.append((block, pool.submit(work, paths[start : start + CHUNK])))
                while len(waiting) * CHUNK >= self.ahead:
                    yield from oldest()
            while waiting and (waiting[0][0] != block or len(waiting) * CHUNK > self.ahead // 2):
                yield from oldest()
        while waiting:
            yield from oldest()

    def decode_views(self, named: tuple[str, Any]) -> tuple[str, Views | Failure, int]:
        """As `Predictor.try_decode`, for outputs that have places."""
        name, path = named
        try:
            content = self.predictor.content(path, name)
            views = self.predictor.preprocess.views(content, name)
        except DataError as error:
            return name, Failure(name, str(error)), 1
        count = MODALITIES[self.predictor.preprocess.modality].count_pages
        return name, views, count(content) if count and isinstance(content, bytes) else 1

    def plain_rows(self, inputs: Iterable[tuple[str, Tensor | Failure, int]]) -> Iterator[Row]:
        """The rows of one block, for outputs without places."""
        inputs = iter(inputs)
        while batch := list(islice(inputs, self.batch)):
            read = [(name, image) for name, image, _ in batch if isinstance(image, Tensor)]
            found = iter(self.answer([name for name, _ in read], [image for _, image in read]))
            for _, image, pages in batch:
                yield failed_row(image, self.columns) if isinstance(image, Failure) else next(found)(pages)

    def answer(self, names: list[str], images: list[Tensor]) -> list[Callable[[int], Row]]:
        """For each input, a function from its number of pages to its row."""
        if not images:
            return []
        predictor, task = self.predictor, self.predictor.task
        if self.small is None:
            self.small = self.is_small(images[0])
        with one_thread() if self.small else nullcontext():
            logits = predictor.logits(torch.stack(images), predictor.tta)
        tables = {"probabilities": task.decode(logits) if "probabilities" in self.extras else None, "logits": logits}
        added: list[dict[str, Any]] = [{} for _ in names]
        for name in ("probabilities", "logits"):
            table = tables[name]
            if name in self.extras and table is not None:
                for cells, values in zip(added, table.float().tolist(), strict=True):
                    cells[name] = values
        predictions = task.predictions(names, logits, self.top)

        def row_of(prediction: Prediction, cells: dict[str, Any]) -> Callable[[int], Row]:
            return lambda pages: self.row(replace(prediction, pages=pages), cells)

        return [row_of(*pair) for pair in zip(predictions, added, strict=True)]

    def is_small(self, image: Tensor) -> bool:
        """Whether a network in eager PyTorch has too few operations to be worth more threads than one."""
        model = self.predictor.model if self.predictor.backend_name == "eager" else None
        if model is None or torch.get_num_threads() == 1 or image.device != next(model.parameters(), image).device:
            return False
        return count_products(model, self.predictor.preprocess.normalise(image[None])) < SMALL

    def dense_rows(self, inputs: Iterable[tuple[str, Views | Failure, int]]) -> Iterator[Row]:
        """The rows of one block, for outputs that have places."""
        task = self.predictor.task
        assert isinstance(task, DenseTask)
        predictor = copy(self.predictor)
        predictor.preprocess = Prepared(predictor.preprocess)  # type: ignore[assignment]
        pages: deque[int] = deque()

        def raw() -> Iterator[tuple[str, Raw]]:
            for name, views, count in inputs:
                pages.append(count)
                yield name, Raw(views)  # type: ignore[arg-type]

        for found in predictor.predict_dense(raw(), task):
            count = pages.popleft()
            if isinstance(found, Failure):
                yield failed_row(found, self.columns)
            else:
                yield self.row(replace(found, pages=count), {})

    def row(self, prediction: Prediction, added: dict[str, Any]) -> Row:
        answers = {one.name: one.value(prediction) for one in self.answers}
        return {"file": prediction.name, **answers, **added, "error": None}


class Prepared:
    """A preprocessing whose inputs are decoded already: it is given their views, or why there are none."""

    def __init__(self, preprocess: Any) -> None:
        self.preprocess = preprocess

    def __getattr__(self, name: str) -> Any:
        return getattr(self.preprocess, name)

    def views(self, payload: Views | Failure, name: str) -> Views:
        if isinstance(payload, Failure):
            raise DataError(payload.error)
        return payload


def safely(decode: Callable[[tuple[str, Any]], tuple[str, Any, int]], path: str) -> tuple[str, Any, int]:
    """One input decoded. Whatever goes wrong is a Failure of this file: one of millions must not stop the others."""
    try:
        return decode((path, Path(path)))
    except Exception as error:
        return path, Failure(path, f"{path} could not be decoded: {type(error).__name__}: {error}"), 1


def failed_row(failure: Failure, columns: Iterable[str]) -> Row:
    """The row of a file that could not be read."""
    return {**dict.fromkeys(columns), "file": failure.name, "error": failure.error}
