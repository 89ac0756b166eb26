"""A data set that fits in memory: decoded once, into one tensor of integers."""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.data.preprocess.choose import all_faults
from neocog.data.preprocess.preprocess import Preprocess
from neocog.data.record import Source, sample_ids
from neocog.data.sources.arrays import ArraySource
from neocog.errors import DataError
from neocog.progress import track

__all__ = ["Resident", "check_decodes", "load_resident"]

SHARE_OF_MEMORY = 0.6


@dataclass(frozen=True, slots=True)
class Resident:
    """Decoded inputs (N, *shape) in their preprocessing's type, their labels (N,), and the samples' identities (N,)."""

    inputs: Tensor
    labels: Tensor
    samples: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.labels)


def load_resident(
    source: Source, indices: NDArray[np.int64], preprocess: Preprocess, label: str = "decoding"
) -> Resident:
    """Decode these records into memory; Pillow's decoders run in threads.

    Raises DataError where they do not fit, and one that names all pictures that can't be read.
    """
    check_memory(source, len(indices), preprocess)
    labels = torch.from_numpy(source.targets[indices])
    samples = sample_ids(source.key(i) for i in indices.tolist())
    if isinstance(source, ArraySource):
        inputs = preprocess.decode_many(source.pictures(indices))
    else:
        inputs = torch.empty(len(indices), *preprocess.shape, dtype=preprocess.dtype)
        faults = []
        for place, decoded in enumerate(decode_all(source, indices, preprocess, label)):
            if isinstance(decoded, DataError):
                faults.append(str(decoded))
            else:
                inputs[place] = decoded
        if faults:
            raise all_faults(faults)
    return Resident(inputs, labels, samples)


def check_decodes(source: Source, indices: NDArray[np.int64], preprocess: Preprocess, label: str) -> None:
    """Decode these records and keep nothing. Raises DataError that names all pictures that can't be read."""
    if not isinstance(source, ArraySource):
        faults = [str(d) for d in decode_all(source, indices, preprocess, label) if isinstance(d, DataError)]
        if faults:
            raise all_faults(faults)


def decode_all(
    source: Source, indices: NDArray[np.int64], preprocess: Preprocess, label: str
) -> Iterator[Tensor | DataError]:
    """Each record decoded, or why it could not be, in order."""

    def decode(index: int) -> Tensor | DataError:
        try:
            record = source.read(index)
            return preprocess.decode(record.payload, f"{source.name}: {record.key}")
        except DataError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from track(pool.map(decode, indices.tolist()), label, total=len(indices))


def check_memory(source: Source, count: int, preprocess: Preprocess) -> None:
    """Raises DataError where the decoded inputs would take more than their share of the machine's memory."""
    needed = count * math.prod(preprocess.shape) * preprocess.dtype.itemsize
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
    if needed > SHARE_OF_MEMORY * machine:
        raise DataError(
            f"Decoded inputs must fit in memory. {source.name} takes {needed / 1e9:.1f} GB ({count:,} inputs of "
            f"{'x'.join(map(str, preprocess.shape))}), this machine has {machine / 1e9:.1f} GB. Choose a smaller size."
        )
