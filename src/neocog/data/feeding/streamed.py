"""A data set that does not fit in memory: records read and decoded by threads, ahead of need, in bounded memory."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.data.feeding.feed import Corrupt, Rows
from neocog.data.preprocess.preprocess import Preprocess
from neocog.data.record import Source, record_ids
from neocog.errors import DataError

__all__ = ["Streamed"]

Decoded = tuple[Tensor, NDArray[np.bool_]]


class Streamed:
    """The records of a split, decoded when they are wanted.

    A request is one task of a thread, and as many are begun ahead as there are threads, and one more: so memory is
    bounded by the batches in flight, whatever the size of the set. Reading and the decoders release the interpreter's
    lock. What was announced and is not asked for is dropped.
    """

    def __init__(
        self,
        source: Source,
        indices: NDArray[np.int64],
        preprocess: Preprocess,
        *,
        on_corrupt: Corrupt = "stop",
        threads: int | None = None,
        pin: bool = False,
    ) -> None:
        self.source, self.indices, self.preprocess = source, indices, preprocess
        self.on_corrupt, self.pin = on_corrupt, pin
        self.labels = torch.from_numpy(np.asarray(source.targets[indices]))
        threads = threads or os.cpu_count() or 1
        self.ahead = threads + 1
        self.pool = ThreadPoolExecutor(threads, "decode")
        self.begun: dict[bytes, Future[Decoded]] = {}
        self.skipped: dict[str, str] = {}
        """Records that could not be read, by key, and why; each is counted once."""
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.indices)

    def samples(self, rows: Rows) -> NDArray[np.uint64]:
        return record_ids(self.source, self.indices[rows])

    def take(self, rows: Rows, upcoming: Sequence[Rows] = ()) -> Decoded:
        wanted = {request.tobytes(): request for request in (rows, *upcoming)}
        for name in self.begun.keys() - wanted.keys():
            self.begun.pop(name).cancel()
        for name, request in wanted.items():
            if name not in self.begun:
                self.begun[name] = self.pool.submit(self.decode, request)
        return self.begun.pop(rows.tobytes()).result()

    def decode(self, rows: Rows) -> Decoded:
        """Read and decode these records, one after the other; runs in a thread."""
        inputs = torch.empty(len(rows), *self.preprocess.shape, dtype=self.preprocess.dtype, pin_memory=self.pin)
        kept, num = np.ones(len(rows), bool), 0
        for place, index in enumerate(self.indices[rows].tolist()):
            try:
                record = self.source.read(index)
                inputs[num] = self.preprocess.decode(record.payload, f"{self.source.name}: {record.key}")
            except DataError as error:
                if self.on_corrupt == "stop":
                    raise DataError(f"{error} To go on without such records: --data.on_corrupt skip.") from error
                with self.lock:
                    self.skipped[self.source.key(index)] = str(error)
                kept[place] = False
            else:
                num += 1
        return inputs[:num], kept

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
