"""Where batches come from: decoded samples by their row, from memory or as they are needed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Corrupt", "Dataset", "Encode", "Rows"]

Rows = NDArray[np.int64]
"""Rows of a dataset, (N,), 0..len-1."""

Encode = Callable[[NDArray[Any]], Tensor]
"""From a source's targets to those that the loss takes, as the task says."""

Corrupt = Literal["stop", "skip"]
"""The effect of an unreadable sample on training."""


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
