"""Signals with a class for each sample: sources, tiles of long signals, and labels at the places of an input."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import number_texts
from neocog.dataset.list_source import ListSource
from neocog.dataset.record import UNLABELLED, Record, Source, Task
from neocog.errors import DataError
from neocog.modalities.signal.channel_names import check_names, said_of_channels
from neocog.modalities.signal.preprocess import SignalPreprocess, fill_missing
from neocog.modalities.signal.source import Signal, SignalSource, as_floats, missing_notice, one_width
from neocog.modalities.views import tile_starts

__all__ = ["SegmentSource", "SignalTiles", "cut_tiles", "place_labels", "segment_labels"]

MOST_CLASSES = 255
Labels = NDArray[np.uint8]
"""The class of each sample, (L,); 255 where it is not known."""


class SegmentSource(SignalSource):
    """Signals (C, L) with labels (L,) uint8 by split; 255 is a sample without a label.

    Raises DataError if a signal and its labels differ in length, channels differ, or a label is out of range.

    >>> signal, labels = np.zeros((1, 4)), np.array([0, 0, 1, 255], np.uint8)
    >>> source = SegmentSource("tiny", {"train": [(signal, labels)]}, ["rest", "beat"])
    >>> source.task, source.read(0).target.tolist()
    ('signal segmentation', [0, 0, 1, 255])
    """

    task: Task = "signal segmentation"

    def __init__(
        self,
        name: str,
        parts: Mapping[str, Sequence[tuple[Signal, Labels]]],
        classes: Sequence[str],
        *,
        keys: Sequence[str] | None = None,
        groups: NDArray[np.int64] | None = None,
        channel_names: tuple[str, ...] = (),
        unused: tuple[str, ...] = (),
        notices: tuple[str, ...] = (),
        format: str = "signals",
    ) -> None:
        """As `SignalSource`."""
        self.format, self.groups, self.channel_names, self.unused = format, groups, channel_names, unused
        self.signals, self.labels = [], list[Labels]()
        splits: dict[str, NDArray[np.int64]] = {}
        for split, pairs in parts.items():
            splits[split] = np.arange(len(self.signals), len(self.signals) + len(pairs))
            self.signals += as_floats(f"{name}, {split}", [signal for signal, _ in pairs])
            self.labels += [labels for _, labels in pairs]
        self.channels = one_width(name, self.signals)
        keys = keys or [f"{split}/{place}" for split, part in splits.items() for place in range(len(part))]
        for key, signal, labels in zip(keys, self.signals, self.labels, strict=True):
            check_segment(f"{name}: {key}", signal, labels, len(classes))
        if channel_names:
            check_names(channel_names, self.channels, name)
            notices = (said_of_channels(channel_names), *notices)
        about = (*notices, *missing_notice(self.signals, channel_names))
        ListSource.__init__(self, name, keys, np.full(len(keys), -1), splits, tuple(classes), about)

    def content(self) -> Iterator[bytes]:
        yield from super().content()
        yield from (labels.tobytes() for labels in self.labels)

    def target(self, index: int) -> Labels:
        return self.labels[index]


def check_segment(where: str, signal: Signal, labels: Labels, num_classes: int) -> None:
    if labels.shape != (signal.shape[1],):
        received = f"{signal.shape[1]:,} samples, and labels {labels.shape}"
        raise DataError("Each sample of a signal needs a label.", received=received, where=where)
    known = labels[labels != UNLABELLED]
    if known.size and known.max() >= num_classes:
        rule = f"Labels number the {num_classes} classes from 0; {UNLABELLED} is a sample without a label."
        raise DataError(rule, received=str(known.max()), where=where)


def segment_labels(names: Sequence[str], codes: NDArray[np.int64], where: str) -> tuple[tuple[str, ...], Labels]:
    """The classes, and the class of each sample, for labels that are coded by their names; an empty name is none.

    >>> segment_labels(["walk", "", "run"], np.array([0, 0, 1, 2]), "a.csv")
    (('run', 'walk'), array([  1,   1, 255,   0], dtype=uint8))
    """
    occurring = [name for name in names if name]
    if len(occurring) > MOST_CLASSES:
        rule = f"A class for each sample is one of at most {MOST_CLASSES}."
        raise DataError(rule, received=f"{len(occurring):,}", where=where, fix="Is this a column of numbers?")
    classes, numbers = number_texts({"all": occurring})
    table = np.full(len(names), UNLABELLED, np.uint8)
    table[[k for k, name in enumerate(names) if name]] = numbers["all"]
    return classes, table[codes]


class SignalTiles:
    """Tiles of the signals of a source, in the order of its records; a tile's key is its signal's with its start."""

    def __init__(
        self, source: Source, indices: NDArray[np.int64], lengths: Sequence[int], spec: SignalPreprocess
    ) -> None:
        """`lengths` are the samples of the signals of these records."""
        self.source, self.preprocess = source, spec
        self.name, self.classes, self.modality, self.task = source.name, source.classes, source.modality, source.task
        self.format, self.notices = source.format, source.notices
        self.tiles = [
            (index, start)
            for index, length in zip(indices.tolist(), lengths, strict=True)
            for start in tile_starts(length, spec.length)
        ]
        self.targets: NDArray[Any] = np.full(len(self.tiles), -1, np.int64)
        self.splits = {"train": np.arange(len(self.tiles))}
        self.last: tuple[int, Record] | None = None

    def __len__(self) -> int:
        return len(self.tiles)

    def key(self, index: int) -> str:
        at, start = self.tiles[index]
        return f"{self.source.key(at)}@{start}"

    def content(self) -> Iterator[bytes]:
        return self.source.content()

    def read(self, index: int) -> Record:
        """A tile. Missing values are filled as in the whole signal, unless the network is told of them."""
        at, start = self.tiles[index]
        last = self.last  # read once, as threads replace it
        if last is None or last[0] != at:
            last = self.last = at, self.read_whole(at)
        record, part = last[1], slice(start, start + self.preprocess.length)
        assert isinstance(record.target, np.ndarray), "a class for each sample"
        assert isinstance(record.payload, np.ndarray), "a signal"
        tile = record.payload[:, part]
        empty = np.asarray(np.isnan(tile).all(axis=1))
        if empty.any():
            tile = np.where(empty[:, None], self.fill(record)[:, part], tile)
        return Record(self.key(index), tile, record.target[part])

    def read_whole(self, index: int) -> Record:
        record = self.source.read(index)
        return record if self.preprocess.flag_missing else replace(record, payload=self.fill(record))

    def fill(self, record: Record) -> NDArray[np.float64]:
        signal = np.asarray(record.payload)
        if not np.isnan(signal).any():
            return signal
        return fill_missing(signal.astype(np.float64), self.preprocess.missing, f"{self.name}: {record.key}")


def cut_tiles(source: Source, indices: NDArray[np.int64], spec: SignalPreprocess) -> tuple[Source, NDArray[np.int64]]:
    """The tiles of these records if one is longer than an input and `spec` makes tiles; else as they are."""
    if spec.fit != "tile":
        return source, indices
    if isinstance(source, SignalSource):
        lengths = source.lengths(indices).tolist()
    else:
        lengths = [np.shape(source.read(index).payload)[1] for index in indices.tolist()]
    if max(lengths, default=0) <= spec.length:
        return source, indices
    tiles = SignalTiles(source, indices, lengths, spec)
    return tiles, np.arange(len(tiles))


def place_labels(labels: Labels, spec: SignalPreprocess) -> Labels:
    """The labels (L,) of a signal at the places of the network's input, (length,): the nearest; 255 in the padding.

    >>> spec = SignalPreprocess(channels=1, length=3)
    >>> place_labels(np.array([1, 2], np.uint8), spec).tolist()
    [1, 2, 255]
    >>> place_labels(np.arange(5, dtype=np.uint8), spec).tolist()
    [1, 2, 3]
    """
    length = len(labels)
    if spec.resamples(length):
        return labels[np.round(np.linspace(0, length - 1, spec.length)).astype(np.int64)]
    if length >= spec.length:
        start = (length - spec.length) // 2
        return labels[start : start + spec.length]
    return np.pad(labels, (0, spec.length - length), constant_values=UNLABELLED)
