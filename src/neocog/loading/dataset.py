"""Where batches come from: decoded samples by their row, from memory or as they are needed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Source

__all__ = ["Corrupt", "Dataset", "Encode", "Rows", "encode_plainly"]

Rows = NDArray[np.int64]
"""Rows of a dataset, (N,), 0..len-1."""

Encode = Callable[[Source, Rows], Tensor]
"""From records of a source, (N,) indices, to the targets that the loss takes, (N, ...), as the task says."""

Corrupt = Literal["stop", "skip"]
"""The effect of an unreadable sample on training."""


def encode_plainly(source: Source, indices: Rows) -> Tensor:
    """The targets as the source has them."""
    return torch.from_numpy(np.asarray(source.targets[indices]))


class Dataset(Protocol):
    """The samples of one split, decoded."""

    @property
    def labels(self) -> Tensor:
        """(len,) classes, or whatever targets the task takes."""

    @property
    def ahead(self) -> int:
        """How many requests are worth announcing."""

    @property
    def skipped(self) -> Mapping[str, str]:
        """Samples that could not be read and were left out: their keys and why."""

    def __len__(self) -> int: ...
    def samples(self, rows: Rows) -> NDArray[np.uint64]:
        """The ids that key these samples' randomness; (N,)."""

    def take(self, rows: Rows, upcoming: Sequence[Rows] = ()) -> tuple[Tensor, NDArray[np.bool_]]:
        """Decoded inputs (M, *shape), and which of the rows they are, (N,): unreadable ones may be skipped.

        `upcoming` are the next requests, so that they can be prepared meanwhile. Raises DataError for an unreadable
        sample, unless those are skipped.
        """

    def close(self) -> None:
        """Stop all background work."""
