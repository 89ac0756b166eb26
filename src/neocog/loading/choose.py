"""How the samples of a split are loaded: all at once into memory, or as they are needed."""

import math
from functools import partial
from typing import Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.errors import DataError
from neocog.loading.dataset import Corrupt, Dataset, Encode, encode_plainly
from neocog.loading.disk_cache import load_from_cache
from neocog.loading.in_memory import load_in_memory
from neocog.loading.payload_cache import CachedSource
from neocog.loading.streaming import StreamingDataset
from neocog.modalities.preprocess import Preprocess
from neocog.planning import size_in_bytes

__all__ = ["LoadingMode", "choose_loading", "memory_budget", "open_dataset", "size_in_memory"]

LoadingMode = Literal["memory", "stream"]
SHARE_OF_MEMORY = 0.5  # of what is free now; the network, its gradients and the batches need some too


def size_in_memory(count: int, preprocess: Preprocess) -> int:
    """Bytes of N decoded inputs."""
    return count * math.prod(preprocess.shape) * preprocess.dtype.itemsize


def memory_budget(source: Source) -> int:
    """Bytes that decoded samples and the source's cached payloads may take together: half of what is free without."""
    kept = source.num_bytes if isinstance(source, CachedSource) else 0
    return int(SHARE_OF_MEMORY * (psutil.virtual_memory().available + kept))


def choose_loading(source: Source, count: int, preprocess: Preprocess, wanted: str) -> tuple[LoadingMode, str]:
    """How to load N samples, and why.

    Raises DataError if they are wanted in memory and don't fit.
    """
    needed, budget = size_in_memory(count, preprocess), memory_budget(source)
    inputs, size_text = f"{count:,} inputs of {'x'.join(map(str, preprocess.shape))}", size_in_bytes(needed)
    if needed <= budget:
        fits = f"{inputs} take {size_text}, which fits in memory"
        return ("stream", "asked for") if wanted == "stream" else ("memory", fits)
    free = size_in_bytes(budget / SHARE_OF_MEMORY)
    if wanted == "memory":
        rule, received = (
            "Decoded data must fit in half of the free memory.",
            f"{inputs}, {size_text}, and {free} are free",
        )
        fix = "Choose a smaller size, or --data.loading stream."
        raise DataError(rule, received=received, where=source.name, fix=fix)
    return "stream", f"{inputs} take {size_text}, more than half of the {free} that are free"


def open_dataset(
    source: Source,
    indices: NDArray[np.int64],
    preprocess: Preprocess,
    label: str,
    *,
    loading: LoadingMode,
    on_corrupt: Corrupt = "stop",
    encode: Encode = encode_plainly,
    cache: bool = False,
    pin: bool = False,
) -> Dataset:
    """These samples as a dataset. Raises DataError for samples that can't be read, unless those are skipped."""
    if loading == "stream":
        return StreamingDataset(source, indices, preprocess, on_corrupt=on_corrupt, encode=encode, pin=pin)
    load = partial(load_in_memory, source, indices, preprocess, label, on_corrupt=on_corrupt, encode=encode)
    return load_from_cache(source, indices, preprocess, encode, load) if cache else load()
