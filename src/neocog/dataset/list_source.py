"""Sources whose samples are known from the start: a list of keys and targets, and payloads that are read one by one."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_folders import ClassFolders
from neocog.dataset.files import read_limited, size_bytes
from neocog.dataset.record import Modality, Payload, Record, Target, Task, sample_ids

__all__ = ["FileSource", "ListSource", "SplitSource"]

Names = tuple[str, ...]
Splits = Mapping[str, NDArray[np.int64]]


class ListSource:
    """A source that knows its keys, targets, splits and classes. A subclass says what a sample's payload is.

    `targets` are (N,) classes; (N, K) bool for several labels; or -1 each, if `target` is given by the subclass.
    """

    modality: Modality = "image"
    task: Task = "classification"
    format = "python"
    """The layout, as `--data.format` names it; "python" for objects in memory."""
    groups: NDArray[np.int64] | None = None
    """The number of what must stay in one split, such as a fold, a speaker or a recording; (N,)."""
    group_kind = "groups"
    """The name of these groups among users."""
    unlabelled: tuple[str, ...] = ()
    """Splits that are left out because their labels are hidden."""
    folders: ClassFolders | None = None
    """Those of the classes, if the files lie in such folders."""

    def __init__(
        self, name: str, keys: Sequence[str], targets: NDArray[Any], splits: Splits, classes: Names, notices: Names = ()
    ) -> None:
        self.name, self.keys, self.targets = name, keys, targets
        self.splits, self.classes, self.notices = dict(splits), classes, notices

    def __len__(self) -> int:
        return len(self.targets)

    def key(self, index: int) -> str:
        return self.keys[index]

    def payload(self, index: int) -> Payload:
        raise NotImplementedError

    def target(self, index: int) -> Target:
        target = self.targets[index]
        return int(target) if self.targets.ndim == 1 and self.targets.dtype.kind != "f" else target

    def content(self) -> Iterator[bytes]:
        raise NotImplementedError

    def read(self, index: int) -> Record:
        return Record(self.key(index), self.payload(index), self.target(index))


class FileSource(ListSource):
    """Each sample is a file of at most `max_bytes`; its key is its path below `root`."""

    max_bytes = 2**30
    file_noun = "A file"

    def __init__(
        self,
        root: Path,
        paths: Sequence[Path],
        targets: NDArray[Any],
        splits: Splits,
        classes: Names,
        notices: Names = (),
    ) -> None:
        super().__init__(root.resolve().name, (), targets, splits, classes, notices)
        self.root, self.paths = root, list(paths)

    def path(self, index: int) -> Path:
        return self.paths[index]

    def key(self, index: int) -> str:
        return self.path(index).relative_to(self.root).as_posix()

    def file_bytes(self, index: int) -> bytes:
        """Raises DataError if the file can't be read, or is too large."""
        return read_limited(self.path(index), self.max_bytes, self.file_noun)

    def payload(self, index: int) -> Payload:
        return self.file_bytes(index)

    def content(self) -> Iterator[bytes]:
        """File sizes: the files themselves may be many gigabytes."""
        return (size_bytes(self.path(index)) for index in range(len(self)))


class SplitSource(ListSource):
    """The samples of one split after those of another; a sample's key is its split and its place in it."""

    def __init__(self, name: str, targets: Splits, classes: Names, notices: Names = ()) -> None:
        self.starts = [0, *accumulate(map(len, targets.values()))]
        self.known_ids: NDArray[np.uint64] | None = None
        splits = {split: np.arange(a, a + len(t)) for (split, t), a in zip(targets.items(), self.starts, strict=False)}
        keys = [f"{split}/{place}" for split, part in targets.items() for place in range(len(part))]
        super().__init__(name, keys, np.concatenate(list(targets.values())), splits, classes, notices)

    def place(self, index: int) -> tuple[int, int]:
        """The number of the split that holds a sample, and its place there."""
        number = bisect_right(self.starts, index) - 1
        return number, index - self.starts[number]

    def ids(self, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The `sample_ids` of these samples' keys, computed once for all; (N,)."""
        if self.known_ids is None:
            self.known_ids = sample_ids(map(self.key, range(len(self))))  # which a subclass may have changed
        return self.known_ids[indices]
