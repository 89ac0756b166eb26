"""Shared by the choice of every preprocessing: reading many headers, reporting all faults, filling in settings."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Record, Source
from neocog.errors import DataError
from neocog.progress import track

__all__ = ["Choices", "join_faults", "read_headers", "spread_evenly"]

MOST_SURVEYED = 50_000

Read = TypeVar("Read")


class Choices:
    """The values of settings so far, and the reasons for those that the user left open."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def pick(self, key: str, value: Any, reason: str) -> Any:
        """The user's value if there is one, else this."""
        given = getattr(self.settings, key)
        if given is None:
            self.reasons[key] = reason
        self.values[key] = value if given is None else given
        return self.values[key]


def spread_evenly(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The samples whose headers are read: all, or some of very many."""
    return indices[:: max(1, len(indices) // MOST_SURVEYED)]


def read_headers(
    source: Source, indices: NDArray[np.int64], read: Callable[[Record, str], Read], *, skip: bool = False
) -> list[Read]:
    """The values that `read` takes from each record and its place.

    Raises DataError that names all records that can't be read, unless such are to be skipped and some are left.
    """
    found, faults = [], []
    for index in track(spread_evenly(indices).tolist(), "reading headers"):
        try:
            record = source.read(index)
            found.append(read(record, f"{source.name}: {record.key}"))
        except DataError as error:
            faults.append(str(error))
    if faults and (not skip or not found):
        raise join_faults(faults)
    return found


def join_faults(faults: list[str]) -> DataError:
    """One error for many: the first in full, and how many there are."""
    rest = len(faults) - 1
    more = f"\n{rest} more can't be read:\n  " + "\n  ".join(faults[1:4]) if rest else ""
    return DataError(faults[0] + more + ("\n  ..." if rest > 3 else ""))
