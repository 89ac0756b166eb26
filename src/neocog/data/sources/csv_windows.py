"""A long recording in one CSV file, cut into windows: times, channels, and what was done at each time.

The first column is the time, the last the label, as the header names them; each column between is a channel.
"""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.sources.signals import Signal, SignalSource, number_labels
from neocog.data.tables import read_columns, read_rows
from neocog.errors import ConfigError, DataError, some

__all__ = ["Recording", "Windows", "as_number", "cut_windows", "is_csv_windows", "open_csv_windows", "read_recording"]

TIMES = frozenset({"time", "timestamp", "t", "seconds"})
LABELS = frozenset({"label", "class", "target", "activity"})
MISSING = frozenset({"", "?", "na", "nan", "null"})
CHUNK = 4096  # rows that are texts at once
RATE_ERROR = 0.01  # share by which the times may differ from the rate
GAP = 1.5  # steps of time; a window must not reach over a longer one


@dataclass(frozen=True, slots=True)
class Recording:
    """Channels (C, T), with NaN where a value is missing."""

    values: NDArray[np.float32]
    times: NDArray[np.float64] | None = None
    """(T,)."""
    labels: NDArray[np.int64] | None = None
    """Of each sample, as an index into `names`; (T,)."""
    names: tuple[str, ...] = ()
    """The labels as they are written; an empty one marks samples without a label."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one recording: where each starts, and the number of the stretch that it was cut from; (N,)."""

    starts: NDArray[np.int64]
    stretches: NDArray[np.int64]
    num_dropped: int
    """Windows that reach over a gap, or over a change of the label."""


def is_csv_windows(path: Path) -> bool:
    """Whether this is a CSV file whose columns are a time, numbers, and a label."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    try:
        columns = [name.lower() for name in read_columns(path)]
        with closing(read_rows(path)) as rows:
            channels = [as_number(cell, "") for cell in list(next(rows).values.values())[1:-1]]
    except DataError:  # a damaged table, or one of texts
        return False
    return bool(channels) and columns[0] in TIMES and columns[-1] in LABELS


def open_csv_windows(
    path: Path, *, window: int | None = None, step: int | None = None, rate: float | None = None
) -> SignalSource:
    """The windows of `window` samples, one each `step` samples; `rate` is checked against the times, in seconds.

    A window has one label: those in which it changes or is empty are dropped, and so are those over a gap in time.
    Windows of one stretch are one group. Raises ConfigError without a window, DataError where nothing is left.
    """
    if window is None:
        raise ConfigError(
            f"A long recording is cut into windows of equal length. Received: no length, for {path}. "
            "Say how many samples a window has: --signal.window 128, and --signal.step 64 for windows that overlap."
        )
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise DataError(f"A long recording is one .csv file. Received: {path}. Save it as a table with commas.")
    recording = read_recording(path)
    if recording.labels is None:
        raise DataError(
            f"A recording names what was done at each time in its last column, {some(sorted(LABELS), 4)}. "
            f"{path} has no such column."
        )
    cut = cut_windows(recording, window, step or window, rate, str(path))
    if not cut.starts.size:
        raise DataError(
            f"A window has one label from its first sample to its last. {path} has no stretch of {window:,} samples "
            "with one label and without a gap. Choose a shorter window."
        )
    classes, numbers = number_labels({"all": [recording.names[k] for k in recording.labels[cut.starts].tolist()]})
    signals: list[Signal] = [recording.values[:, start : start + window] for start in cut.starts.tolist()]
    keys = [str(start) for start in cut.starts.tolist()]
    notices = window_notices(window, step or window, len(signals), cut.num_dropped)
    return SignalSource(
        path.stem, {"all": (signals, numbers["all"])}, classes, keys=keys, groups=cut.stretches, notices=notices
    )


def window_notices(window: int, step: int, count: int, dropped: int) -> tuple[str, ...]:
    """What a user should know about windows."""
    notices = [f"{count:,} windows of {window:,} samples were cut"]
    if step < window:
        notices[0] += f"; neighbours share {window - step:,}"
    if dropped:
        notices.append(f"{dropped:,} windows over a gap, or over a change of the label, were dropped")
    return tuple(notices)


def cut_windows(recording: Recording, window: int, step: int, rate: float | None, where: str) -> Windows:
    """Windows at 0, step, 2 step, ... that lie within one stretch: one label, and no gap in time."""
    if window < 1 or step < 1:
        raise ConfigError(f"A window and its step have at least 1 sample. Received: window={window}, step={step}.")
    length = recording.values.shape[1]
    begins = np.zeros(length, bool)
    labels, times = recording.labels, recording.times
    if labels is not None:
        begins[1:] |= labels[1:] != labels[:-1]
    if times is not None and length > 1:
        begins[1:] |= find_gaps(times, rate, where)
    elif rate is not None:
        raise ConfigError(f"signal.rate is checked against a column of times. {where} has none. Leave it out.")
    stretches = np.cumsum(begins)
    starts = np.arange(0, length - window + 1, step)
    whole = stretches[starts] == stretches[starts + window - 1]
    if labels is not None:
        whole &= np.array([name != "" for name in recording.names])[labels[starts]]
    return Windows(starts[whole], stretches[starts[whole]], int((~whole).sum()))


def find_gaps(times: NDArray[np.float64], rate: float | None, where: str) -> NDArray[np.bool_]:
    """Whether each step of time is missing samples, or leads back; (T,) -> (T - 1,)."""
    steps = np.diff(times)
    usual = float(np.median(steps))
    if not np.isfinite(times).all() or usual <= 0:
        raise DataError(f"Times must be numbers that rise. Received: steps of {usual:g}, in {where}. Sort the rows.")
    if rate is not None and abs(usual * rate - 1) > RATE_ERROR:
        raise DataError(
            f"Times are in seconds, and their steps 1 / signal.rate. Received: steps of {usual:g}, which is a rate of "
            f"{1 / usual:g}, and signal.rate {rate:g}, in {where}. Correct one of them, or leave signal.rate out."
        )
    return np.asarray((steps > GAP * usual) | (steps <= 0))


def read_recording(path: Path) -> Recording:
    """A CSV file's columns of numbers. Raises DataError for what is no number, with its line and column."""
    columns = read_columns(path)
    timed, labelled = columns[0].lower() in TIMES, columns[-1].lower() in LABELS
    channels = columns[timed : len(columns) - labelled]
    if not channels:
        raise DataError(f"A recording has at least one channel. Received: columns {some(columns)}, in {path}.")
    numeric = columns[: len(columns) - labelled]
    parts: list[NDArray[np.float64]] = []
    labels: list[int] = []
    names: dict[str, int] = {}
    texts: list[list[str]] = []
    lines: list[int] = []
    for row in read_rows(path):
        texts.append([row.values[name] for name in numeric])
        lines.append(row.line)
        if labelled:
            labels.append(names.setdefault(row.values[columns[-1]].strip(), len(names)))
        if len(texts) == CHUNK:
            parts.append(as_numbers(texts, lines, numeric, path))
            texts, lines = [], []
    if texts:
        parts.append(as_numbers(texts, lines, numeric, path))
    table = np.concatenate(parts)
    # What is too large for float32 becomes infinite, and is refused where it is decoded.
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(table[:, timed:].T, dtype=np.float32)
    times = table[:, 0] if timed else None
    return Recording(values, times, np.array(labels) if labelled else None, tuple(names))


def as_numbers(texts: list[list[str]], lines: list[int], columns: Sequence[str], path: Path) -> NDArray[np.float64]:
    """Cells as numbers, NaN where one is missing; (rows, columns)."""
    try:
        return np.array(texts, np.float64)
    except ValueError:
        rows: list[list[float]] = []
        for cells, line in zip(texts, lines, strict=True):
            rows.append(
                [as_number(cell, f"{path}, line {line}, {name}") for cell, name in zip(cells, columns, strict=True)]
            )
        return np.array(rows)


def as_number(text: str, where: str) -> float:
    """A cell as a number, NaN where it says that none is there. Raises DataError for other texts."""
    if text.strip().lower() in MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f"Values must be numbers, or empty where one is missing. Received: {text[:40]!r}, in {where}."
        ) from error
