"""What a data loader reads from: the decoded samples of one split, from memory or decoded as they are needed."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Corrupt", "Dataset", "Rows"]

Rows = NDArray[np.int64]
"""Places within a dataset, (N,), 0..len-1."""

Corrupt = Literal["stop", "skip"]
"""What happens if a training sample can't be read."""


class Dataset(Protocol):
    """The samples of one split, decoded."""

    @property
    def labels(self) -> Tensor:
        """(len,)."""
        ...

    @property
    def ahead(self) -> int:
        """The number of requests that are worth announcing."""
        ...

    @property
    def skipped(self) -> Mapping[str, str]:
        """Samples that could not be read and were left out, by key, and why."""
        ...

    def __len__(self) -> int: ...
    def samples(self, rows: Rows) -> NDArray[np.uint64]:
        """The identities of these samples, the keys of their random draws; (N,)."""
        ...

    def take(self, rows: Rows, upcoming: Sequence[Rows] = ()) -> tuple[Tensor, NDArray[np.bool_]]:
        """Decoded inputs (M, *shape), and which of the rows they are, (N,): unreadable samples may be skipped.

        `upcoming` are the next requests, so that they can be prepared meanwhile. Raises DataError for a sample that
        can't be read, unless such are skipped.
        """
        ...

    def close(self) -> None:
        """Stop background work."""
        ...
