"""Where batches come from: decoded records by their place, from memory or as they are needed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Corrupt", "Dataset", "Encode", "Rows"]

Rows = NDArray[np.int64]
"""Places within a feed, (N,), 0..len-1."""

Encode = Callable[[NDArray[Any]], Tensor]
"""From a source's targets to those that the loss takes, as the task says."""

Corrupt = Literal["stop", "skip"]
"""What a record that can't be read does to training."""


class Dataset(Protocol):
    """The records of one split, decoded."""

    @property
    def labels(self) -> Tensor:
        """(len,) classes, or whatever targets the task takes."""
        ...

    @property
    def ahead(self) -> int:
        """How many requests it is worth to announce."""
        ...

    @property
    def skipped(self) -> Mapping[str, str]:
        """Records that could not be read and were left out, by key, and why."""
        ...

    def __len__(self) -> int: ...
    def samples(self, rows: Rows) -> NDArray[np.uint64]:
        """The identities by which these records' randomness is keyed; (N,)."""
        ...

    def take(self, rows: Rows, upcoming: Sequence[Rows] = ()) -> tuple[Tensor, NDArray[np.bool_]]:
        """Decoded inputs (M, *shape), and which of the rows they are, (N,): those that can't be read may be skipped.

        `upcoming` are the next requests, so that they can be prepared meanwhile. Raises DataError for a record that
        can't be read, where such are not skipped.
        """
        ...

    def close(self) -> None:
        """Stop what works in the background."""
        ...
