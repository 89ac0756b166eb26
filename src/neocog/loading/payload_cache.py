"""Keeping what was read: a file that is surveyed, then decoded, then drawn for the report is opened once."""

import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from neocog.dataset.record import Indexed, Record, Source
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.signal.source import SignalSource

__all__ = ["CachedSource", "keep_payloads"]

OVERHEAD = 256  # bytes that a kept record takes beside its payload, about


class CachedSource:
    """A source that keeps encoded files and texts once they are read, while they fit in `budget` bytes.

    Arrays are passed on and never kept: where a source has them, they are in memory already. What does not fit is read
    again from its file. All other attributes are the source's own.
    """

    def __init__(self, source: Source, budget: int) -> None:
        self.source, self.budget = source, budget
        self.name, self.classes, self.format = source.name, source.classes, source.format
        self.modality, self.task, self.notices = source.modality, source.task, source.notices
        self.targets, self.splits = source.targets, source.splits
        self.kept: dict[int, Record] = {}
        self.num_bytes = 0  # of all payloads that are kept
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Attributes that only some sources have, such as `groups`."""
        if name == "source":  # not yet set, as while it is copied
            raise AttributeError(name)
        return getattr(self.source, name)

    def __len__(self) -> int:
        return len(self.source)

    def key(self, index: int) -> str:
        return self.source.key(index)

    def content(self) -> Iterator[bytes]:
        return self.source.content()

    def read(self, index: int) -> Record:
        found = self.kept.get(index)
        if found is None:
            found = self.source.read(index)
            with self.lock:
                fits = isinstance(found.payload, bytes | str) and self.num_bytes + size_of(found) <= self.budget
                if fits and index not in self.kept:
                    self.kept[index] = found
                    self.num_bytes += size_of(found)
        return found

    def forget(self, indices: Iterable[int]) -> None:
        """Let go of the payloads of these samples, which are not needed again."""
        with self.lock:
            for index in indices:
                record = self.kept.pop(index, None)
                self.num_bytes -= size_of(record) if record else 0

    def shrink(self, budget: int) -> None:
        """Keep no more than `budget` bytes from now on; the latest payloads go first."""
        self.budget = budget
        while self.num_bytes > budget:
            self.forget([next(reversed(self.kept))])


def size_of(record: Record) -> int:
    """Bytes that a kept record takes."""
    return sys.getsizeof(record.payload) + OVERHEAD


def keep_payloads(source: Source, budget: int) -> Source:
    """The source with a cache of its files; as it is, if its samples are in memory or in shards.

    Shards are read by ranges of large files, which the system's cache holds.
    """
    if isinstance(source, ArraySource | SignalSource | Indexed):
        return source
    return CachedSource(source, budget)
