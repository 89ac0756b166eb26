"""What every data set looks like from outside: a source of records, each reachable by its index."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.targets import Target, Task
from neocog.errors import DataError, some
from neocog.progress import note

__all__ = [
    "NOUNS",
    "Indexed",
    "LeftOut",
    "Modality",
    "Payload",
    "Record",
    "Source",
    "absent_classes",
    "check_trainable",
    "describe",
    "fingerprint",
    "num_left_out",
    "other_split",
    "record_ids",
    "sample_ids",
    "tell",
    "unlabelled_records",
    "unlabelled_split",
]

Modality = Literal["image", "signal", "audio", "text", "board"]
NOUNS: dict[Modality, str] = {
    "image": "images",
    "signal": "signals",
    "audio": "sounds",
    "text": "texts",
    "board": "positions",
}
"""Samples of each kind, in the plural."""

Payload = bytes | str | NDArray[Any]
"""What was measured, as it is stored: an encoded picture or sound; pixels (H, W) or (H, W, C), 8 or 16 bits; a signal
(channels, length) of floats; a text; a board's planes (planes, H, W) uint8."""


@dataclass(frozen=True, slots=True)
class Record:
    """One sample: a stable name, what was measured, and what it is: a class as an index into the source's classes."""

    key: str
    payload: Payload
    target: Target


@runtime_checkable
class Source(Protocol):
    """A data set: `len()`, any record by index, and which indices belong to which split."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def modality(self) -> Modality: ...
    @property
    def task(self) -> Task: ...
    @property
    def splits(self) -> Mapping[str, NDArray[np.int64]]:
        """Indices by split: some of train, val, test; or all, where the set has no splits of its own."""
        ...

    @property
    def targets(self) -> NDArray[Any]:
        """The class of every record, (len,) int64; floats (len,) or (len, D); (len, classes) bool for several labels;
        else -1 each."""
        ...

    @property
    def format(self) -> str:
        """The layout it came in, as `--data.format` names it."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know about this set, a sentence each; a `LeftOut` for samples that are not read."""
        ...

    @notices.setter
    def notices(self, sentences: tuple[str, ...]) -> None: ...

    def __len__(self) -> int: ...
    def key(self, index: int) -> str: ...
    def content(self) -> Iterator[bytes]:
        """What tells this set's payloads from others', for a fingerprint."""
        ...

    def read(self, index: int) -> Record: ...


class LeftOut(str):
    """A notice that samples which lie in the data set's files are not read; `num_samples` says how many.

    >>> notice = LeftOut("2 games with an illegal move are left out: a.sgf, b.sgf", 2)
    >>> notice, notice.num_samples
    ('2 games with an illegal move are left out: a.sgf, b.sgf', 2)
    """

    num_samples: int

    def __new__(cls, sentence: str, num_samples: int) -> "LeftOut":
        notice = super().__new__(cls, sentence)
        notice.num_samples = num_samples
        return notice


def unlabelled_split(split: str, count: int) -> LeftOut:
    """What is said of a split whose labels are hidden, and what takes its place.

    >>> unlabelled_split("test", 6)
    '6 records of test have no labels and are left out; a part of the training records is kept for the test instead'
    """
    instead = "validates" if split == "val" else "is kept for the test"
    left_out = f"{count:,} records of {split} have no labels and are left out"
    return LeftOut(f"{left_out}; a part of the training records {instead} instead", count)


def unlabelled_records(split: str, count: int) -> LeftOut:
    """What is said of single records without a label.

    >>> unlabelled_records("train", 1), unlabelled_records("all", 2)
    ('1 record of train has no label and is left out', '2 records have no label and are left out')
    """
    place = "" if split == "all" else f" of {split}"
    words = "record{} has no label and is" if count == 1 else "records{} have no label and are"
    return LeftOut(f"{count:,} {words.format(place)} left out", count)


def other_split(split: str, count: int) -> LeftOut:
    """What is said of a split that is neither trained on nor measured.

    >>> other_split("unsupervised", 3)
    'the split unsupervised is left out, for it is no train, val or test: 3 records'
    """
    return LeftOut(f"the split {split} is left out, for it is no train, val or test: {count:,} records", count)


def num_left_out(source: Source) -> int:
    """How many samples in the files of a data set are not read. With `len(source)` they make all that there are."""
    return sum(notice.num_samples for notice in source.notices if isinstance(notice, LeftOut))


def absent_classes(classes: tuple[str, ...], splits: Mapping[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """A sentence for each split from which a class is missing; `splits` holds the targets by split."""
    notices = []
    for split, targets in splits.items():
        absent = sorted(set(range(len(classes))) - set(np.unique(targets).tolist()))
        if absent:
            notices.append(f"{split} has no record of {some(repr(classes[k]) for k in absent)}")
    return tuple(notices)


FILL_FOLDER = "Put files into its folder, or remove the folder."
EMPTY_CLASS = {
    **dict.fromkeys(("image-folder", "sound-folder", "signal-folder", "text-folder"), FILL_FOLDER),
    "class-map": "Put images into its folder, or remove its line from class_map.txt.",
    "cifar": "Fetch the files again: some are missing, or the file of names belongs to other ones.",
    "idx": "Add its samples, or remove the file that names the labels.",
    "ts": "Add series of it, or remove its name from the line @classLabel.",
    "shards": "Add samples of it, or remove its name where the shards name their classes, and number the labels anew.",
}
"""What to do about a class without samples, by layout: what names the class there."""
EMPTY_CLASS_ELSEWHERE = (
    "Add samples of it; or remove its name from the names of the classes, and number the labels anew."
)


def check_trainable(source: Source) -> None:
    """Raises DataError where there is nothing to learn: an empty split, one class only, a class without any record."""
    for split, indices in source.splits.items():
        if not len(indices):
            raise DataError(f"Each split needs at least one record. {source.name} has none in {split}.")
    if source.task != "classification":  # any point of a board may be played, any class be absent from the masks
        return
    if len(source.classes) < 2:
        raise DataError(
            f"Classification needs at least two classes. {source.name} has one: {some(source.classes) or 'none'}. "
            "Give each class a folder, or a label, of its own."
        )
    empty = np.flatnonzero(np.bincount(source.targets, minlength=len(source.classes)) == 0)
    if empty.size:
        raise DataError(
            f"Each class needs at least one record. {source.name} has {len(source.classes)} classes, and no record of "
            f"{empty.size} of them, first {source.classes[empty[0]]!r}. "
            f"{EMPTY_CLASS.get(source.format, EMPTY_CLASS_ELSEWHERE)}"
        )


def describe(source: Source) -> str:
    """One line on what was found.

    >>> from neocog.data import open_source
    >>> describe(open_source("mnist"))
    'mnist (idx): 60,000 train, 10,000 test; 10 classes: 0, 1, 2 and 7 more'
    """
    counts = ", ".join(f"{len(indices):,} {split}" for split, indices in source.splits.items())
    outputs = "targets" if source.targets.dtype.kind == "f" else f"{len(source.classes)} classes"
    return f"{source.name} ({source.format}): {counts}; {outputs}: {some(source.classes)}"


def tell(source: Source) -> None:
    """Print what was found, and what a user should know about it, a line each."""
    note(describe(source))
    for notice in source.notices:
        note(f"  {notice}")


@runtime_checkable
class Indexed(Protocol):
    """A source with an index of its own, which knows what else would be computed from every key."""

    def ids(self, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
        """What `sample_ids` gives for these records' keys; (N,)."""
        ...

    def identity(self) -> bytes:
        """What tells these records from others."""
        ...


def record_ids(source: Source, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The numbers by which randomness knows these records; (N,)."""
    return source.ids(indices) if isinstance(source, Indexed) else sample_ids(map(source.key, indices.tolist()))


def fingerprint(source: Source) -> str:
    """A short name for these records: SHA-256 over classes, keys, targets, and pixels or file sizes; 16 digits."""
    digest = hashlib.sha256("\n".join(source.classes).encode(errors="surrogateescape"))
    if isinstance(source, Indexed):
        digest.update(source.identity())
        return digest.hexdigest()[:16]
    digest.update("\n".join(source.key(i) for i in range(len(source))).encode(errors="surrogateescape"))
    kind = "<f8" if source.targets.dtype.kind == "f" else "<i8"
    digest.update(np.ascontiguousarray(source.targets, dtype=kind).tobytes())
    for part in source.content():
        digest.update(part)
    return digest.hexdigest()[:16]


def sample_ids(keys: Iterable[str]) -> NDArray[np.uint64]:
    """The number by which all randomness knows a sample: 64 bits of its key's hash, wherever it stands in the set."""
    hashes = (hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=8).digest() for key in keys)
    return np.frombuffer(b"".join(hashes), dtype="<u8")
