"""A source whose samples are signals: channels of samples, of one length or of many."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import check_labels, name_classes
from neocog.dataset.list_source import ListSource
from neocog.dataset.record import Task, absent_classes
from neocog.dataset.targets import check_values
from neocog.errors import DataError, some
from neocog.modalities.signal.channel_names import SHOWN, check_names, match_names, said_of_channels
from neocog.modalities.signal.on_disk import DiskSignal

__all__ = ["Signal", "SignalSource", "as_floats", "missing_notice", "one_width"]

Signal = Any
"""(channels, length) of real numbers, an array or a `DiskSignal`; NaN is a missing value."""


class SignalSource(ListSource):
    """Signals (C, L) and labels (N,) by split; all have C channels, and each may have its own length L.

    Labels number the classes 0..K-1; of another `task` they are its targets, and `classes` names them. Raises DataError
    if counts, channels or types differ, a signal is empty, or a label is out of range.

    >>> x, y = np.zeros((4, 1, 9), np.float32), np.array([0, 1, 0, 1])
    >>> source = SignalSource("tiny", {"train": (x, y)})
    >>> len(source), source.classes, source.read(3).key, source.read(3).payload.shape
    (4, ('0', '1'), 'train/3', (1, 9))
    """

    modality = "signal"

    def __init__(
        self,
        name: str,
        parts: Mapping[str, tuple[Sequence[Signal] | Signal, NDArray[Any]]],
        classes: Sequence[str] | None = None,
        *,
        keys: Sequence[str] | None = None,
        groups: NDArray[np.int64] | None = None,
        channel_names: tuple[str, ...] = (),
        unused: tuple[str, ...] = (),
        notices: tuple[str, ...] = (),
        format: str = "signals",
        task: Task = "classification",
    ) -> None:
        """`keys` name the samples in the order of the parts; `groups` number what must stay in one split; (N,).

        `channel_names` are those in the files, if they have any; `unused` names their columns that are not channels;
        `format` is the layout that they came in.
        """
        self.format, self.task = format, task
        self.signals: list[Signal] = []
        splits: dict[str, NDArray[np.int64]] = {}
        for split, (signals, labels) in parts.items():
            if task == "classification":
                check_labels(f"{name}, {split}", len(signals), labels, "signal")
            else:
                check_values(f"{name}, {split}", len(signals), labels, len(classes or ()), "signal")
            splits[split] = np.arange(len(self.signals), len(self.signals) + len(signals))
            self.signals += as_floats(f"{name}, {split}", signals)
        self.channels = one_width(name, self.signals)
        targets = {split: np.asarray(labels) for split, (_, labels) in parts.items()}
        about_labels: tuple[str, ...] = ()
        names = tuple(classes or ())
        if task == "classification":
            targets = {split: labels.astype(np.int64) for split, labels in targets.items()}
            names, targets, unused_labels = name_classes(name, targets, classes)
            about_labels = (*unused_labels, *absent_classes(names, targets))
        keys = keys or [f"{split}/{place}" for split, part in splits.items() for place in range(len(part))]
        self.groups, self.channel_names, self.unused = groups, channel_names, unused
        if channel_names:
            check_names(channel_names, self.channels, name)
            notices = (said_of_channels(channel_names), *notices)
        about_labels = (*missing_notice(self.signals, channel_names), *about_labels)
        about = tuple(dict.fromkeys((*notices, *about_labels)))
        super().__init__(name, keys, np.concatenate(list(targets.values())), splits, names, about)

    def content(self) -> Iterator[bytes]:
        """Each signal's length, then its samples."""
        for index, signal in enumerate(self.signals):
            yield signal.shape[1].to_bytes(8, "little")
            yield np.ascontiguousarray(self.payload(index), dtype="<f4").tobytes()

    def payload(self, index: int) -> NDArray[np.float32]:
        signal: Signal = self.signals[index]
        found: NDArray[np.float32] = signal.read() if isinstance(signal, DiskSignal) else signal
        return found

    def with_channels(self, names: Sequence[str]) -> "SignalSource":
        """The same signals with these channels, by name, in this order."""
        places = [self.channel_names.index(name) for name in names]
        other = copy(self)
        other.signals = [
            signal.pick(places) if isinstance(signal, DiskSignal) else signal[places] for signal in self.signals
        ]
        other.channel_names, other.channels = tuple(names), len(places)
        return other

    def with_columns(self, columns: Sequence[str]) -> "SignalSource":
        """The same signals with the channels that a user names. Raises DataError for names that are not there."""
        matched = match_names(columns, self.channel_names)
        missing = [name for name in columns if name not in matched]
        if missing:
            rule = "signal.columns names channels."
            received = f"{some(missing, SHOWN)}; there are {some(self.channel_names, SHOWN) or 'no names'}"
            raise DataError(rule, received=received, where=self.name, fix="Correct the names.")
        other = self.with_channels([matched[name] for name in columns])
        other.unused = tuple(name for name in self.channel_names if name not in other.channel_names)
        unused = f"not channels: {some(other.unused, SHOWN)}, which signal.columns does not name"
        others = [notice for notice in self.notices if notice != said_of_channels(self.channel_names)]
        other.notices = (said_of_channels(other.channel_names), *([unused] if other.unused else []), *others)
        return other

    def lengths(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The samples of each of these signals; (N,) -> (N,)."""
        return np.array([self.signals[i].shape[1] for i in indices.tolist()], np.int64)


def missing_notice(signals: Sequence[Signal], names: Sequence[str] = ()) -> tuple[str, ...]:
    """A sentence on the share of the values that are missing, if any are; signals on disk are not searched.

    >>> missing_notice([np.array([[1, np.nan], [3, 4.0]]), np.ones((2, 4))], ["x", "y"])
    ('8.3% of all values are missing, in 1 of 2 signals (x 16.7%, y 0.0%)',)
    """
    here = [signal for signal in signals if not isinstance(signal, DiskSignal)]
    counts = [np.isnan(signal).sum(axis=1) for signal in here]
    affected = sum(bool(count.any()) for count in counts)
    if not affected:
        return ()
    length = sum(signal.shape[1] for signal in here)
    shares = np.sum(counts, axis=0) / length
    named = some((f"{name} {share:.1%}" for name, share in zip(names, shares, strict=False)), SHOWN)
    return (
        f"{shares.mean():.1%} of all values are missing, in {affected:,} of {len(here):,} signals"
        + (f" ({named})" if names else ""),
    )


def as_floats(where: str, signals: Sequence[Signal] | Signal) -> list[Signal]:
    """Each signal as (C, L) float32, unless it is on disk. Raises DataError for anything that is not a signal."""
    found: list[Signal] = []
    # Values too large for float32 become infinite, and are refused, with the sample's name, when it is decoded.
    with np.errstate(over="ignore", invalid="ignore"):
        for place, signal in enumerate(signals):
            if signal.dtype.kind not in "fiu":
                rule = "Signals must be real numbers."
                fix = "Give a complex signal as two channels."
                raise DataError(rule, received=str(signal.dtype), where=f"{where}, sample {place}", fix=fix)
            if signal.ndim != 2 or 0 in signal.shape:
                rule = "A signal is (channels, length), with at least one value."
                raise DataError(rule, received=str(signal.shape), where=f"{where}, sample {place}")
            found.append(signal if isinstance(signal, DiskSignal) else np.asarray(signal, np.float32))
    return found


def one_width(name: str, signals: list[Signal]) -> int:
    """The number of channels that all signals have."""
    widths = np.array([len(signal) for signal in signals])
    others = np.flatnonzero(widths != widths[:1])
    if others.size:
        received = f"{widths[0]} at sample 0 and {widths[others[0]]} at sample {others[0]}"
        raise DataError("All signals must have the same channels.", received=received, where=name)
    return int(widths[0]) if widths.size else 1
