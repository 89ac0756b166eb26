"""A dataset that does not fit in memory: samples are read and decoded by threads, ahead of need, in bounded memory."""

import math
import mmap
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.cpus import num_cpus
from neocog.dataset.record import Source, record_ids
from neocog.errors import DataError
from neocog.loading.dataset import Corrupt, Encode, Rows, encode_plainly
from neocog.modalities.preprocess import Preprocess

__all__ = ["StreamingDataset"]

CHUNK = 8  # samples that a thread takes at once
AHEAD = 1  # requests that are decoded before they are asked for


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Samples that are being decoded into one tensor."""

    inputs: Tensor
    parts: list[Future[NDArray[np.bool_]]]

    def result(self) -> tuple[Tensor, NDArray[np.bool_]]:
        """Wait for all samples; those that could not be read are left out. Raises what decoding raised."""
        kept = np.concatenate([part.result() for part in self.parts])
        return (self.inputs if kept.all() else self.inputs[torch.from_numpy(kept)]), kept


class StreamingDataset:
    """The samples of a split, decoded when they are requested.

    All threads work on one request after the other, and start one request ahead, so memory is bounded by two requests,
    whatever the size of the set. Reading and decoding release the interpreter's lock. A request that was announced and
    is never made is dropped.
    """

    def __init__(
        self,
        source: Source,
        indices: NDArray[np.int64],
        preprocess: Preprocess,
        *,
        on_corrupt: Corrupt = "stop",
        encode: Encode = encode_plainly,
        threads: int | None = None,
        pin: bool = False,
    ) -> None:
        self.source, self.indices, self.preprocess = source, indices, preprocess
        self.on_corrupt, self.pin = on_corrupt, pin
        self.labels = encode(source, indices)
        self.ahead = AHEAD
        self.pool = ThreadPoolExecutor(threads or num_cpus(), "decode")
        self.started: dict[bytes, Request] = {}
        self.skipped: dict[str, str] = {}
        """Samples that could not be read: their keys and why; each counts once."""
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.indices)

    def samples(self, rows: Rows) -> NDArray[np.uint64]:
        return record_ids(self.source, self.indices[rows])

    def take(self, rows: Rows, upcoming: Sequence[Rows] = ()) -> tuple[Tensor, NDArray[np.bool_]]:
        wanted = {request.tobytes(): request for request in (rows, *upcoming)}
        for name in self.started.keys() - wanted.keys():
            for part in self.started.pop(name).parts:
                part.cancel()
        for name, request in wanted.items():
            if name not in self.started:
                self.started[name] = self.start(request)
        return self.started.pop(rows.tobytes()).result()

    def start(self, rows: Rows) -> Request:
        """Have the threads decode these samples, a few at a time each."""
        with torch.inference_mode(False):  # threads may not write to tensors that were made in inference mode
            inputs = empty((len(rows), *self.preprocess.shape), self.preprocess.dtype, pin=self.pin)
        parts = [(start, rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]
        return Request(inputs, [self.pool.submit(self.decode, part, inputs[start:]) for start, part in parts])

    def decode(self, rows: Rows, inputs: Tensor) -> NDArray[np.bool_]:
        """Read and decode these samples into the first of `inputs`; returns which could be read. Runs in a thread."""
        kept = np.ones(len(rows), bool)
        for place, index in enumerate(self.indices[rows].tolist()):
            try:
                record = self.source.read(index)
                inputs[place] = self.preprocess.decode(record.payload, f"{self.source.name}: {record.key}")
            except DataError as error:
                if self.on_corrupt == "stop":
                    more = "Or name it in --data.skip_list, or leave out such training samples: --data.on_corrupt skip."
                    error.fix = f"{error.fix} {more}".strip()
                    raise
                with self.lock:
                    self.skipped[self.source.key(index)] = str(error)
                kept[place] = False
        return kept

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)


def empty(shape: tuple[int, ...], dtype: torch.dtype, *, pin: bool) -> Tensor:
    """A tensor whose memory goes back to the system once it is freed; the C library keeps what threads share."""
    if pin:
        return torch.empty(shape, dtype=dtype, pin_memory=True)
    memory = mmap.mmap(-1, max(1, math.prod(shape) * dtype.itemsize))
    return torch.frombuffer(memory, dtype=dtype, count=math.prod(shape)).view(shape)
