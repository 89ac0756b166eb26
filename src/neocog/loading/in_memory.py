"""A dataset in memory: decoded once, into one tensor."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.cpus import num_cpus
from neocog.dataset.record import Source, record_ids
from neocog.errors import DataError
from neocog.loading.dataset import Corrupt, Encode, Rows, encode_plainly
from neocog.modalities.choose import join_faults
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.preprocess import Preprocess
from neocog.progress import track

__all__ = ["InMemoryDataset", "check_decodes", "load_in_memory"]


@dataclass(slots=True)
class InMemoryDataset:
    """Decoded inputs (N, *shape) in their preprocessing's type, their labels (N,), and the samples' identities (N,)."""

    inputs: Tensor
    labels: Tensor
    ids: NDArray[np.uint64]
    skipped: dict[str, str] = field(default_factory=dict)
    """Samples that could not be read: their keys and why."""
    ahead: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def samples(self, rows: Rows) -> NDArray[np.uint64]:
        return self.ids[rows]

    def take(self, rows: Rows, upcoming: Sequence[Rows] = ()) -> tuple[Tensor, NDArray[np.bool_]]:
        """The inputs of these rows, on the device of all inputs."""
        chosen = torch.from_numpy(rows).to(self.inputs.device)
        return self.inputs.index_select(0, chosen), np.ones(len(rows), bool)

    def to(self, device: torch.device) -> "InMemoryDataset":
        """The dataset with all inputs on a device: one copy for the run instead of one for each batch."""
        # A GPU does not select 16-bit unsigned integers; as 32-bit ones it does.
        wide = self.inputs.dtype == torch.uint16 and device.type != "cpu"
        inputs = (self.inputs.to(torch.int32) if wide else self.inputs).to(device)
        return InMemoryDataset(inputs, self.labels, self.ids, self.skipped)

    def close(self) -> None:
        """Nothing works in the background."""


def load_in_memory(
    source: Source,
    indices: NDArray[np.int64],
    preprocess: Preprocess,
    label: str = "decoding",
    *,
    on_corrupt: Corrupt = "stop",
    encode: Encode = encode_plainly,
) -> InMemoryDataset:
    """Decode these samples into memory, in threads.

    Raises DataError that names all samples that can't be read, or leaves them out if `on_corrupt` is skip.
    """
    if isinstance(source, ArraySource):
        inputs = preprocess.decode_many(source.pictures(indices))
        return InMemoryDataset(inputs, encode(source, indices), record_ids(source, indices))
    inputs = torch.empty(len(indices), *preprocess.shape, dtype=preprocess.dtype)
    good: list[int] = []
    faults: dict[str, str] = {}
    for place, decoded in enumerate(decode_all(source, indices, preprocess, label)):
        if isinstance(decoded, DataError):
            faults[source.key(int(indices[place]))] = str(decoded)
        else:
            inputs[len(good)] = decoded
            good.append(place)
    if faults and on_corrupt == "stop":
        raise join_faults(list(faults.values()))
    kept = indices[good]
    return InMemoryDataset(inputs[: len(kept)], encode(source, kept), record_ids(source, kept), faults)


def check_decodes(source: Source, indices: NDArray[np.int64], preprocess: Preprocess, label: str) -> None:
    """Decode these samples and keep nothing. Raises DataError that names all samples that can't be read."""
    if not isinstance(source, ArraySource):
        faults = [str(d) for d in decode_all(source, indices, preprocess, label) if isinstance(d, DataError)]
        if faults:
            raise join_faults(faults)


def decode_all(
    source: Source, indices: NDArray[np.int64], preprocess: Preprocess, label: str
) -> Iterator[Tensor | DataError]:
    """Each sample decoded, or why it could not be, in order."""

    def decode(index: int) -> Tensor | DataError:
        try:
            record = source.read(index)
            return preprocess.decode(record.payload, f"{source.name}: {record.key}")
        except DataError as error:
            return error

    with ThreadPoolExecutor(num_cpus()) as pool:
        yield from track(pool.map(decode, indices.tolist()), label, total=len(indices))
