"""From Python objects to a source: arrays, tensors, lists, torch's datasets, Hugging Face's datasets."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from neocog.data.hugging_face import is_hugging_face, known_splits, read_hugging_face
from neocog.data.payloads import AS_STORED, PIXELS, SHAPES, as_signal, channels_last, payload_bytes, payload_of
from neocog.data.split_data import SplitData
from neocog.dataset.class_folders import SPLITS
from neocog.dataset.labels import check_range, is_hidden, plain_array, plain_label
from neocog.dataset.list_source import SplitSource
from neocog.dataset.record import Payload, absent_classes, unlabelled_samples, unlabelled_split
from neocog.dataset.split_names import split_meant
from neocog.dataset.targets import AnyTargets, Targets, number_targets, plain_targets, said_of_unknown
from neocog.errors import DataError, some
from neocog.modalities.image.arrays import ArraySource
from neocog.progress import track

__all__ = ["ObjectSource", "SplitData", "as_source"]
FINGERPRINTED = 64
"""Samples of a torch dataset that enter a fingerprint, spread evenly: reading all could take hours."""
Names = tuple[str, ...]
KINDS = """Data is a pair (inputs, labels), a dataset that gives (input, label) by index, a mapping from train, val \
and test to such, or a Dataset or DatasetDict of Hugging Face."""
TO_NUMPY = "Convert them with numpy.asarray."


class ObjectSource(SplitSource):
    """Samples of Python objects, read one by one."""

    def __init__(self, name: str, parts: Mapping[str, SplitData], found: Targets) -> None:
        notices: Names = ()
        if found.task == "classification":
            check_range(name, found.by_split, found.classes)
            notices = absent_classes(found.classes, found.by_split)
        super().__init__(name, found.by_split, found.classes, notices)
        self.task = found.task
        self.parts = list(parts.values())
        self.modality = self.parts[0].modality

    def content(self) -> Iterator[bytes]:
        return chain.from_iterable(part.content() for part in self.parts)

    def payload(self, index: int) -> Payload:
        number, place = self.place(index)
        return self.parts[number].read(place)


def as_source(
    data: Any, *, name: str = "data", classes: Sequence[str] | None = None, task: str | None = None
) -> ArraySource | ObjectSource:
    """A source over objects in memory, or over a dataset that reads its samples itself.

    It takes a pair (inputs, labels) of arrays, tensors or lists; a map-style torch Dataset, or a list, that gives
    (input, label); a mapping from train, val and test to any of these; a `Dataset` or `DatasetDict` of Hugging Face.
    Inputs are images (N, H, W), (N, H, W, C) or (N, C, H, W) of uint8 or uint16, signals (N, L) or (N, C, L) of
    floats, or texts. Labels are numbers from 0, named by `classes` if given, or names; floats (N,) or (N, D), which are
    numbers to predict unless all are a few whole ones; or several labels: (N, K) of 0 and 1, or a list of names for
    each sample. NaN is a value that is not known. `task` overrules what they are taken for. Raises DataError otherwise,
    ConfigError for a task that the labels can't be for.

    >>> import numpy as np
    >>> source = as_source((np.zeros((4, 2, 100)), ["up", "down", "up", "up"]))
    >>> source.modality, source.classes, source.targets, source.read(1).payload.shape
    ('signal', ('down', 'up'), array([1, 0, 1, 1]), (2, 100))
    """
    notices: Names = ()
    if is_hugging_face(data, "DatasetDict"):
        data, notices = known_splits(data, name)
    else:
        data = own_splits(data, name) if isinstance(data, Mapping) else {"all": data}
    parts, unlabelled = dict[str, SplitData](), list[str]()
    for split, part in data.items():
        where = name if split == "all" else f"{name}, {split}"
        may_hide = split in ("val", "test")
        found = read_part(part, where, hides_labels=may_hide)
        if found is not None:
            parts[split] = found = found.labelled(hides=may_hide)
            notices += (unlabelled_samples(split, found.num_unlabelled),) if found.num_unlabelled else ()
        elif may_hide:
            unlabelled.append(split)
            notices += (unlabelled_split(split, count_inputs(part, where)),)
        else:
            raise no_labels(where)
    if not parts:
        raise no_labels(name)
    source = join_parts(parts, name, None if classes is None else tuple(classes), notices, task)
    source.unlabelled = tuple(unlabelled)
    return source


def no_labels(where: str) -> DataError:
    return DataError(f"Each sample needs a label. {where} has none, or -1 for all.", fix="Pass data that has labels.")


def count_inputs(part: Any, where: str) -> int:
    """The number of samples of a part without labels. Raises DataError if its inputs have no length."""
    inputs = part[0] if isinstance(part, tuple) else part
    try:
        return len(inputs)
    except TypeError as error:
        rule = "Inputs are a NumPy array, a torch tensor, or a list."
        raise DataError(rule, received=type(inputs).__name__, where=where, fix=TO_NUMPY) from error


def own_splits(data: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """The parts of a mapping by split, in their usual order."""
    found = {(split_meant(key) if isinstance(key, str) else None) or key: part for key, part in data.items()}
    if not found or len(found) < len(data) or not (set(found) <= set(SPLITS) or set(found) == {"all"}):
        rule = "A mapping has one part for each split: train, val, test; or all."
        received = ", ".join(map(repr, data)) or "nothing"
        raise DataError(rule, received=received, where=name, fix="Rename them; a pair is (inputs, labels).")
    return {split: found[split] for split in (*SPLITS, "all") if split in found}


def read_part(part: Any, where: str, *, hides_labels: bool) -> SplitData | None:
    """One split's samples; None if no sample has a label. A part that `hides_labels` may lack even a place for them."""
    kind = type(part).__name__
    if is_hugging_face(part, "Dataset"):
        return read_hugging_face(part, where, hides_labels=hides_labels)
    received = ""
    if is_hugging_face(part, "IterableDataset"):
        received, fix = f"a streamed {kind}", "Load it without streaming=True."
    elif isinstance(part, DataLoader):
        received, fix = "a DataLoader, which gives batches", "Pass its dataset: loader.dataset."
    elif isinstance(part, IterableDataset):
        received = f"an IterableDataset ({kind})"
        fix = "Pass list(dataset) if it fits in memory, or a dataset with __getitem__ and __len__."
    if received:
        raise DataError("Samples are read by index, one by one.", received=received, where=where, fix=fix)
    if isinstance(part, tuple) and len(part) == 2 and not isinstance(part[0], tuple):
        return None if hides_labels and is_hidden(part[1]) else read_pair(*part, where)
    indexed = hasattr(part, "__getitem__") and not hasattr(part, "shape")
    if indexed and not isinstance(part, str | bytes | tuple | Mapping):
        return read_items(part, where, hides_labels=hides_labels)
    received = f"{kind} of {len(part)}" if isinstance(part, tuple) else kind
    raise DataError(KINDS, received=received, where=where, fix="Pass one of these; paths go to open_source.")


def join_parts(
    parts: Mapping[str, SplitData], name: str, classes: Names | None, notices: Names, task: str | None = None
) -> ArraySource | ObjectSource:
    """One source over all splits. Raises DataError if they do not belong together."""
    if len({part.modality for part in parts.values()}) > 1:
        shown = ", ".join(f"{split}: {part.modality}" for split, part in parts.items())
        raise DataError("All splits must be of one kind.", received=shown, where=name, fix="Make them alike.")
    parts, reordered = align_classes(parts, name) if classes is None else (parts, ())
    own = classes or next((part.classes for part in parts.values() if part.classes), None)
    found = number_targets({split: part.labels for split, part in parts.items()}, own, name, task)
    images = {split: (part.images, found.by_split[split]) for split, part in parts.items() if part.images is not None}
    source: ArraySource | ObjectSource
    if len(images) == len(parts):
        source = ArraySource(name, images, found.classes, format="python", task=found.task)
    else:
        source = ObjectSource(name, parts, found)
    unknown = said_of_unknown(source.targets, source.classes)
    source.notices += (*found.notices, *unknown, *notices, *reordered)
    return source


def align_classes(parts: Mapping[str, SplitData], name: str) -> tuple[dict[str, SplitData], Names]:
    """The parts with the same numbers for the same classes: matched by name, in the order of the first part.

    Raises DataError if the names differ.
    """
    known = [part.classes for part in parts.values() if part.classes]
    if len({tuple(sorted(names)) for names in known}) > 1:
        shown = " and ".join(map(str, dict.fromkeys(known)))
        fix = "Make them alike, or pass classes=."
        raise DataError("All splits must have the same classes.", received=shown, where=name, fix=fix)
    found, reordered = dict[str, SplitData](), list[str]()
    for split, part in parts.items():
        labels = part.labels
        if part.classes and part.classes != known[0] and not isinstance(labels, list):
            reordered.append(split)
            place = np.array([known[0].index(called) for called in part.classes], np.int64)
            if labels.ndim == 2:
                labels = labels[:, np.argsort(place)]
            else:
                check_range(name, {split: labels}, part.classes)
                labels = place[labels]
        found[split] = replace(part, labels=labels, classes=known[0] if part.classes else None)
    notice = f"classes are matched by name, because {some(reordered)} numbers them in another order"
    return found, (notice,) if reordered else ()


def read_pair(inputs: Any, labels: Any, where: str) -> SplitData:
    """Inputs and labels: images of 8 or 16 bits, signals of floats (N, L) or (N, C, L), texts, or a list of these.

    Raises DataError for anything else, and if the counts differ.
    """
    numbers = plain_targets(labels, where)
    array = plain_array(inputs, where)
    if array is None and not isinstance(inputs, list | tuple):
        rule = "Inputs are a NumPy array, a torch tensor, or a list of texts or of these."
        raise DataError(rule, received=type(inputs).__name__, where=where, fix=TO_NUMPY)
    count = len(inputs) if array is None or array.ndim else 0
    if not count or count != len(numbers):
        received = f"{count:,} inputs, {len(numbers):,} labels"
        raise DataError("Each input needs one label, and there must be some.", received=received, where=where)
    if array is None or array.dtype.kind in "OU":
        items = inputs if array is None else array.tolist()
        modality = payload_of(items[0], f"{where}, sample 0")[0]
        read = lambda k: payload_of(items[k], f"{where}, sample {k}", modality)[1]  # noqa: E731
        return SplitData(modality, numbers, read, lambda: map(payload_bytes, map(read, range(count))))
    if array.dtype in PIXELS:
        pixels = channels_last(array, 1, torch_order=isinstance(inputs, torch.Tensor))
        return SplitData("image", numbers, lambda k: pixels[k], lambda: iter(()), pixels)
    if array.dtype.kind != "f" or array.ndim not in (2, 3):
        raise DataError(SHAPES["N, "], received=f"{array.dtype} {array.shape}", where=where, fix=AS_STORED)
    content = lambda: (np.ascontiguousarray(row).tobytes() for row in array)  # noqa: E731
    return SplitData("signal", numbers, lambda k: as_signal(array[k], f"{where}, sample {k}"), content)


class Items:
    """The samples of a dataset, read by one thread at a time, since few datasets are made for more."""

    def __init__(self, dataset: Any, where: str) -> None:
        self.dataset, self.where = dataset, where
        self.lock = threading.Lock()
        self.modality = payload_of(self.pair(0)[0], f"{where}, sample 0")[0]

    def pair(self, index: int) -> tuple[Any, Any]:
        where = f"{self.where}, sample {index}"
        try:
            with self.lock:
                item = self.dataset[index]
        except Exception as error:  # it is the user's code
            raise DataError(f"{where} can't be read: {type(error).__name__}: {error}") from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            received = type(item).__name__ + (f" of {len(item)}" if isinstance(item, tuple | list) else "")
            fix = "Wrap it so that it does."
            raise DataError("A dataset gives (input, label).", received=received, where=where, fix=fix)
        return item[0], item[1]

    def read(self, index: int) -> Payload:
        return payload_of(self.pair(index)[0], f"{self.where}, sample {index}", self.modality)[1]

    def content(self) -> Iterator[bytes]:
        count = len(self.dataset)
        places = sorted({k * (count - 1) // (FINGERPRINTED - 1) for k in range(FINGERPRINTED)})
        return (payload_bytes(self.read(place)) for place in places)

    def labels(self) -> AnyTargets | None:
        """All labels, from the attribute `targets` if it agrees with the samples, else from each; None if hidden."""
        count = len(self.dataset)
        listed: Any = getattr(self.dataset, "targets", None)
        if hasattr(listed, "__len__") and len(listed) == count:
            with suppress(DataError):  # it may hold something else by the same name
                labels = plain_targets(listed, self.where)
                # A transform of the targets would not have been applied to the attribute.
                if all(is_same(labels[k], self.pair(k)[1]) for k in {0, count // 2, count - 1}):
                    return labels
        found = [self.pair(k)[1] for k in track(range(count), f"reading labels of {self.where}")]
        return None if is_hidden(found) else plain_targets(found, self.where)


def is_same(label: Any, other: Any) -> bool:
    """Whether a label of a list is that of a sample: a class, a number, or a row."""
    other = plain_label(other)
    if isinstance(label, tuple):
        return isinstance(other, list | tuple | set) and set(label) == set(other)
    if isinstance(label, str) or isinstance(other, str):
        return bool(label == other)
    row = plain_array(other, "")
    return bool(np.array_equal(label, other if row is None else row.ravel() if np.ndim(label) else row, equal_nan=True))


def gives_inputs(dataset: Any, where: str) -> bool:
    """Whether the first sample is an input without a label."""
    try:
        item = dataset[0]
        return not isinstance(item, tuple | list) and bool(payload_of(item, where))
    except Exception:  # it is the user's code; a fault is reported when it is read
        return False


def read_items(dataset: Any, where: str, *, hides_labels: bool) -> SplitData | None:
    """The samples of a map-style dataset; None if no sample has a label. One that `hides_labels` may give inputs alone.

    Raises DataError if it is empty or gives anything but (input, label).
    """
    try:
        if not len(dataset):
            raise DataError("A dataset needs at least one sample.", received="none", where=where)
    except TypeError as error:
        received = f"{type(dataset).__name__}: {error}"
        raise DataError("A dataset needs a length.", received=received, where=where) from error
    if hides_labels and gives_inputs(dataset, where):
        return None
    items = Items(dataset, where)
    labels = items.labels()
    if labels is None or is_hidden(labels):
        return None
    names = getattr(dataset, "classes", None)
    named = isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(n, str) for n in names)
    classes = tuple(names) if named and names else None
    return SplitData(items.modality, labels, items.read, items.content, classes=classes)
