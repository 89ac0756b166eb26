"""In memory, or streamed: which way a split is fed."""

import math
from typing import Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.errors import DataError
from neocog.loading.dataset import Corrupt, Dataset
from neocog.loading.disk_cache import cached_resident
from neocog.loading.in_memory import load_in_memory
from neocog.loading.streaming import StreamingDataset
from neocog.modalities.preprocess import Preprocess

__all__ = ["Feeding", "choose_loading", "open_dataset", "size_in_memory"]

Feeding = Literal["memory", "stream"]
SHARE_OF_MEMORY = 0.5  # of what is free now; the network, its gradients and the batches need some too


def size_in_memory(count: int, preprocess: Preprocess) -> int:
    """Bytes of so many decoded inputs."""
    return count * math.prod(preprocess.shape) * preprocess.dtype.itemsize


def choose_loading(source: Source, count: int, preprocess: Preprocess, wanted: str) -> tuple[Feeding, str]:
    """The way to feed so many records, and why.

    Raises DataError where they are wanted in memory and do not fit.
    """
    needed, free = size_in_memory(count, preprocess), psutil.virtual_memory().available
    shape = "x".join(map(str, preprocess.shape))
    size = f"{count:,} inputs of {shape} take {needed / 1e9:.2f} GB"
    if needed <= SHARE_OF_MEMORY * free:
        return ("stream", "asked for") if wanted == "stream" else ("memory", f"{size}, which fits in memory")
    if wanted == "memory":
        raise DataError(
            "Decoded data must fit in half of the free memory.",
            received=f"{count:,} inputs of {shape}, {needed / 1e9:.2f} GB, with {free / 1e9:.1f} GB free",
            where=source.name,
            fix="Choose a smaller size, or --data.loading stream.",
        )
    return "stream", f"{size}, more than half of the {free / 1e9:.1f} GB that are free"


def open_dataset(
    source: Source,
    indices: NDArray[np.int64],
    preprocess: Preprocess,
    label: str,
    *,
    feeding: Feeding,
    on_corrupt: Corrupt = "stop",
    cache: bool = False,
    pin: bool = False,
) -> Dataset:
    """These records as a feed. Raises DataError for records that can't be read, where such are not skipped."""
    if feeding == "stream":
        return StreamingDataset(source, indices, preprocess, on_corrupt=on_corrupt, pin=pin)
    load = cached_resident if cache else load_in_memory
    return load(source, indices, preprocess, label, on_corrupt=on_corrupt)
