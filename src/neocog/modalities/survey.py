"""Which records a survey looks at, and how all their faults are said at once."""

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = ["all_faults", "surveyed"]

MOST_SURVEYED = 50_000


def surveyed(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The records whose headers are read: all, or of very many some, evenly spread."""
    return indices[:: max(1, len(indices) // MOST_SURVEYED)]


def all_faults(faults: list[str]) -> DataError:
    """One error for many: the first in full, and how many there are."""
    rest = len(faults) - 1
    more = f"\n{rest} more cannot be read:\n  " + "\n  ".join(faults[1:4]) if rest else ""
    return DataError(faults[0] + more + ("\n  ..." if rest > 3 else ""))
