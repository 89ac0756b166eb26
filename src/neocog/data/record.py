"""What every data set looks like from outside: a source of records, each reachable by its index."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError, some

__all__ = ["Payload", "Record", "Source", "check_classes", "describe", "fingerprint", "sample_ids"]

Payload = bytes | NDArray[np.uint8] | NDArray[np.uint16]
"""An encoded picture, or its pixels: (H, W) or (H, W, C), 8 or 16 bits."""


@dataclass(frozen=True, slots=True)
class Record:
    """One sample: a stable name, what was measured, and its class as an index into the source's classes."""

    key: str
    payload: Payload
    target: int


class Source(Protocol):
    """A data set: `len()`, any record by index, and which indices belong to which split."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def modality(self) -> str: ...
    @property
    def splits(self) -> Mapping[str, NDArray[np.int64]]:
        """Indices by split: some of train, val, test; or all, where the set has no splits of its own."""
        ...

    @property
    def targets(self) -> NDArray[np.int64]:
        """The class of every record; (len,)."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know about this set, a sentence each."""
        ...

    def __len__(self) -> int: ...
    def key(self, index: int) -> str: ...
    def read(self, index: int) -> Record: ...


def check_classes(name: str, classes: tuple[str, ...], splits: Mapping[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """Check that there is something to tell apart, and say which class is missing from which split.

    `splits` holds the targets by split. Raises DataError for fewer than two classes or an empty split.
    """
    for split, targets in splits.items():
        if not targets.size:
            raise DataError(f"Each split needs at least one record. {name} has none in {split}.")
    if len(classes) < 2:
        raise DataError(
            f"Classification needs at least two classes. {name} has one: {some(classes) or 'none'}. "
            "Give each class a folder, or a label, of its own."
        )
    notices = []
    for split, targets in splits.items():
        absent = sorted(set(range(len(classes))) - set(np.unique(targets).tolist()))
        if absent:
            notices.append(f"{split} has no record of {some(repr(classes[k]) for k in absent)}")
    return tuple(notices)


def describe(source: Source) -> str:
    """One line on what was found.

    >>> from neocog.data import open_source
    >>> describe(open_source("mnist"))
    'mnist: 60,000 train, 10,000 test; 10 classes: 0, 1, 2 and 7 more'
    """
    counts = ", ".join(f"{len(indices):,} {split}" for split, indices in source.splits.items())
    return f"{source.name}: {counts}; {len(source.classes)} classes: {some(source.classes)}"


def fingerprint(source: Source) -> str:
    """A short name for exactly these records with these targets: SHA-256 over keys, targets and classes, 16 digits."""
    digest = hashlib.sha256("\n".join(source.classes).encode())
    digest.update("\n".join(source.key(i) for i in range(len(source))).encode())
    digest.update(np.ascontiguousarray(source.targets, dtype="<i8").tobytes())
    return digest.hexdigest()[:16]


def sample_ids(keys: Iterable[str]) -> NDArray[np.uint64]:
    """The number by which all randomness knows a sample: 64 bits of its key's hash, wherever it stands in the set."""
    hashes = (hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.frombuffer(b"".join(hashes), dtype="<u8")
