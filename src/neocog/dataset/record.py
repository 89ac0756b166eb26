"""The interface of every data set: a source of samples, each reachable by its index."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError, agree, some
from neocog.progress import note

__all__ = [
    "CROWD", "DIFFICULT", "UNLABELLED", "Indexed", "LeftOut", "Modality", "Objects", "Payload", "Record", "Source",
    "Target", "Task", "absent_classes", "check_trainable", "count_outputs", "count_samples", "describe", "fingerprint",
    "num_left_out", "other_split", "record_ids", "sample_ids", "take_objects", "tell", "unlabelled_samples",
    "unlabelled_split",
]  # fmt: skip

UNLABELLED = 255
"""In a mask: a place that belongs to no class and is not scored, as in Pascal VOC."""
DIFFICULT, CROWD = 1, 2
"""Objects that are neither to be found nor wrong if found: one that is hard to see, and a box around many at once."""
Task = Literal[
    "classification", "multi-label", "regression", "segmentation", "detection", "next move", "signal segmentation",
    "multi-label segmentation",
]  # fmt: skip
Modality = str
"""The name of a kind of data: image, signal, audio, text, board, or one that was registered."""

Payload = bytes | str | NDArray[Any]
"""A measurement as it is stored: an encoded image or sound; pixels (H, W) or (H, W, C), 8 or 16 bits; a signal
(channels, length) of floats; a text; a board's planes (planes, H, W) uint8."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one image, in its own pixels, before any resizing."""

    boxes: NDArray[np.float32]
    """Left, top, right, bottom of each; (M, 4). Pixel columns 3 to 5 are left 3, right 6."""
    labels: NDArray[np.int64]
    """(M,)."""
    masks: NDArray[np.bool_] | None = None
    """(M, H, W), if the outlines are known."""
    ignored: NDArray[np.uint8] | None = None
    """0 for an object that counts, else DIFFICULT or CROWD; (M,). None: all count."""

    def __len__(self) -> int:
        return len(self.labels)


def take_objects(objects: Objects, chosen: NDArray[Any], boxes: NDArray[np.floating]) -> Objects:
    """Some of the objects, (M,) of bool or numbers, without their masks, with other boxes in place of their own.

    >>> given = Objects(np.zeros((2, 4), np.float32), np.array([5, 6]), ignored=np.array([0, CROWD], np.uint8))
    >>> taken = take_objects(given, np.array([False, True]), np.ones((1, 4)))
    >>> taken.labels.tolist(), taken.ignored.tolist(), taken.boxes.tolist()
    ([6], [2], [[1.0, 1.0, 1.0, 1.0]])
    """
    ignored = None if objects.ignored is None else objects.ignored[chosen]
    return Objects(boxes.astype(np.float32), objects.labels[chosen], None, ignored)


Target = int | NDArray[Any] | Objects
"""A class; a multi-hot row, (K,) bool, for several labels; a mask (H, W) uint8, or (L,) of a signal; a binary mask of
each class, (K, H, W) uint8; or objects."""


@dataclass(frozen=True, slots=True)
class Record:
    """One sample: a stable name, the measurement, and the target: a class as an index into the source's classes."""

    key: str
    payload: Payload
    target: Target


@runtime_checkable
class Source(Protocol):
    """A data set: `len()`, any sample by index, and which indices belong to which split."""

    name: str
    classes: tuple[str, ...]
    modality: Modality
    task: Task
    format: str
    """The layout that was opened, as `--data.format` names it."""
    notices: tuple[str, ...]
    """Sentences that a user should read about this set; a `LeftOut` for samples that are not read."""

    @property
    def splits(self) -> Mapping[str, NDArray[np.int64]]:
        """Indices by split: some of train, val, test; or all, if the set has no splits of its own."""
        ...

    @property
    def targets(self) -> NDArray[Any]:
        """The class of every sample, (len,) int64; floats (len,) or (len, D); (len, classes) bool for several labels;
        else -1 each."""
        ...

    def __len__(self) -> int: ...
    def key(self, index: int) -> str: ...
    def content(self) -> Iterator[bytes]:
        """Bytes that tell these payloads from those of other sources, for a fingerprint."""
        ...

    def read(self, index: int) -> Record: ...


class LeftOut(str):
    """A notice that samples in the data set's files are not read; `num_samples` counts them.

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
    """The notice on a split whose labels are hidden, and on what takes its place.

    >>> unlabelled_split("test", 6)
    '6 samples of test have no labels and are left out; training samples are held out for the test instead'
    """
    instead = "validation" if split == "val" else "the test"
    held_out = f"training samples are held out for {instead} instead"
    return LeftOut(f"{count:,} samples of {split} have no labels and are left out; {held_out}", count)


def unlabelled_samples(split: str, count: int) -> LeftOut:
    """The notice on single samples without a label.

    >>> unlabelled_samples("train", 1), unlabelled_samples("all", 2)
    ('1 sample of train has no label and is left out', '2 samples have no label and are left out')
    """
    place = "" if split == "all" else f" of {split}"
    return LeftOut(agree("{n} sample(|s)" + place + " (has|have) no label and (is|are) left out", count), count)


def other_split(split: str, count: int) -> LeftOut:
    """The notice on a split that is neither trained on nor measured.

    >>> other_split("unsupervised", 3)
    'the split unsupervised is left out, because it is not train, val or test: 3 samples'
    """
    return LeftOut(f"the split {split} is left out, because it is not train, val or test: {count:,} samples", count)


def num_left_out(source: Source) -> int:
    """The number of samples in the files of a data set that are not read; `len(source)` counts the others."""
    return sum(notice.num_samples for notice in source.notices if isinstance(notice, LeftOut))


def absent_classes(classes: tuple[str, ...], splits: Mapping[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """A sentence for each split from which a class is missing; `splits` holds the targets by split."""
    absent = {split: sorted({*range(len(classes))} - {*np.unique(there).tolist()}) for split, there in splits.items()}
    return tuple(f"{split} has no sample of {some(repr(classes[k]) for k in ks)}" for split, ks in absent.items() if ks)


FILL_FOLDER = "Put files into its folder, or remove the folder."
EMPTY_CLASS = {
    **dict.fromkeys(("image-folder", "sound-folder", "signal-folder", "text-folder"), FILL_FOLDER),
    "class-map": "Put images into its folder, or remove its line from class_map.txt.",
    "cifar": "Fetch the files again: some are missing, or the file of names belongs to others.",
    "idx": "Add its samples, or remove the file that names the labels.",
    "ts": "Add series of it, or remove its name from the line @classLabel.",
    "shards": "Add samples of it, or remove its name from the class names of the shards, and renumber the labels.",
}
"""The fix for a class without samples, by layout: it depends on what names the class."""
EMPTY_CLASS_ELSEWHERE = "Add samples of it; or remove its name from the class names, and renumber the labels."


def check_trainable(source: Source) -> None:
    """Raises DataError if there is nothing to learn: an empty split, one class only, a class without samples."""
    for split, indices in source.splits.items():
        if not len(indices):
            raise DataError("Each split needs at least one sample.", received=f"none in {split}", where=source.name)
    if source.task == "multi-label":
        absent = np.flatnonzero(~np.nan_to_num(source.targets[source_train(source)].astype(float)).any(axis=0))
        if len(absent) == len(source.classes):
            rule, fix = "Training needs a label that some sample has.", "Check the columns of labels."
            raise DataError(rule, received=f"no sample with any of {some(source.classes)}", where=source.name, fix=fix)
    if source.task == "regression":
        check_varies(source)
    if source.task != "classification":  # any point of a board may be played, any class may be absent from the masks
        return
    if len(source.classes) < 2:
        rule = "Classification needs at least two classes."
        received = f"one: {source.classes[0]}" if source.classes else "none"
        raise DataError(rule, received=received, where=source.name, fix="Give each class its own folder or label.")
    empty = np.flatnonzero(np.bincount(source.targets, minlength=len(source.classes)) == 0)
    if empty.size:
        rule, fix = "Each class needs at least one sample.", EMPTY_CLASS.get(source.format, EMPTY_CLASS_ELSEWHERE)
        first = source.classes[empty[0]]
        received = f"{len(source.classes)} classes, and no sample of {empty.size} of them, first {first!r}"
        raise DataError(rule, received=received, where=source.name, fix=fix)


def source_train(source: Source) -> NDArray[np.int64]:
    """The samples that can be trained on; (N,)."""
    return source.splits.get("train", source.splits.get("all", np.arange(len(source))))


def check_varies(source: Source) -> None:
    """Raises DataError for numbers that are all equal, or none of which is known."""
    values = source.targets[source_train(source)].reshape(-1, len(source.classes)).astype(np.float64)
    for name, column in zip(source.classes, values.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known) or known.min() == known.max():
            received = f"{known[0]:g} for every training sample" if len(known) else "none"
            rule, fix = f"Numbers to predict must differ, {name!r} as well.", "Leave this column out."
            raise DataError(rule, received=received, where=source.name, fix=fix)


def describe(source: Source) -> str:
    """One line on a data set.

    >>> from neocog.data import open_source
    >>> describe(open_source("mnist"))
    'mnist (idx): 60,000 train, 10,000 test; 10 classes: 0, 1, 2 and 7 more'
    """
    counts = ", ".join(count_samples(split, len(indices)) for split, indices in source.splits.items())
    return f"{source.name} ({source.format}): {counts}; {count_outputs(source)}: {some(source.classes)}"


def count_samples(split: str, count: int) -> str:
    """
    >>> count_samples("all", 91), count_samples("train", 1)
    ('91 samples', '1 train')
    """
    return agree("{n} sample(|s)", count) if split == "all" else f"{count:,} {split}"


OUTPUTS = {"regression": "{n} number(|s) to predict", "multi-label": "{n} label(|s)"}


def count_outputs(source: Source) -> str:
    """How many classes, labels or numbers a data set has."""
    return agree(OUTPUTS.get(source.task, "{n} class(|es)"), len(source.classes))


def tell(source: Source) -> None:
    """Print a data set's description and notices, a line each."""
    note(describe(source))
    for notice in source.notices:
        note(f"  {notice}")


@runtime_checkable
class Identified(Protocol):
    """A source that keeps what would otherwise be computed from every key."""

    def ids(self, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The `sample_ids` of these samples' keys; (N,)."""
        ...


@runtime_checkable
class Indexed(Identified, Protocol):
    """A source with an index of its own, which stores all of it."""

    def identity(self) -> bytes:
        """Bytes that tell these samples from others."""
        ...


def record_ids(source: Source, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The numbers by which randomness knows these samples; (N,)."""
    return source.ids(indices) if isinstance(source, Identified) else sample_ids(map(source.key, indices.tolist()))


def fingerprint(source: Source) -> str:
    """A short name for these samples: SHA-256 over classes, keys, targets, and pixels or file sizes; 16 digits."""
    digest = hashlib.sha256("\n".join(source.classes).encode(errors="surrogateescape"))
    if isinstance(source, Indexed):
        digest.update(source.identity())
    else:
        digest.update("\n".join(map(source.key, range(len(source)))).encode(errors="surrogateescape"))
        kind = "<f8" if source.targets.dtype.kind == "f" else "<i8"
        digest.update(np.ascontiguousarray(source.targets, dtype=kind).tobytes())
        for part in source.content():
            digest.update(part)
    return digest.hexdigest()[:16]


def sample_ids(keys: Iterable[str]) -> NDArray[np.uint64]:
    """The number by which all randomness knows a sample: 64 bits of its key's hash, wherever it is in the set."""
    hashes = (hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=8).digest() for key in keys)
    return np.frombuffer(b"".join(hashes), dtype="<u8")
