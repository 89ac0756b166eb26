"""A long recording in one CSV file, cut into windows: times, channels, and activities.

The header names the column of times and that of labels; columns that only count, or that tell persons apart, are not
channels either (`signal_columns`); each other column is a channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.column_names import TIME_LABELS
from neocog.dataset.dialect import find_dialect
from neocog.dataset.labels import number_texts
from neocog.dataset.tables import read_columns, table_notices
from neocog.errors import ConfigError, DataError, some
from neocog.modalities.signal.on_disk import LARGE, cut_signal
from neocog.modalities.signal.pieces import Coded, store_recording
from neocog.modalities.signal.recording import Recording, holds_numbers, read_recording
from neocog.modalities.signal.segments import SegmentSource, segment_labels
from neocog.modalities.signal.signal_columns import UNCHOSEN, Roles, hint
from neocog.modalities.signal.source import Signal, SignalSource
from neocog.modalities.signal.times import find_gaps, usual_step

__all__ = ["Windows", "column_notices", "cut_windows", "is_csv_windows", "number_groups", "open_csv_windows"]

LEAST_GROUPS = 3  # that training, validation and test can each have one


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one recording: where each starts, and the number of the stretch that it was cut from; (N,)."""

    starts: NDArray[np.int64]
    stretches: NDArray[np.int64]
    num_dropped: int
    """Windows that reach over a gap, or over a change of the label or of the group."""


def is_csv_windows(path: Path) -> bool:
    """Whether this is a CSV file with a column of times and one of labels, and others of numbers."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    try:
        columns = read_columns(path)
        labels = [name for name in columns if name.lower() in TIME_LABELS]
        times = [name for name in columns if hint(name) == "time" or (find_dialect(path).dated and name == columns[0])]
        return bool(labels and times) and holds_numbers(path, beside=(times[0], labels[-1]))
    except DataError:  # a damaged table, or one of texts
        return False


def open_csv_windows(
    path: Path,
    *,
    window: int | None = None,
    step: int | None = None,
    rate: float | None = None,
    columns: Sequence[str] = (),
    task: str | None = None,
) -> SignalSource:
    """The windows of `window` samples, one each `step` samples; `rate` is checked against the times, in seconds.

    A window has one label: those in which it changes or is empty are dropped, and so are those over a gap in time.
    Windows of one stretch are one group, or those of one person or session, if a column tells. With the `task`
    signal segmentation, each sample of a window has its own label. `columns` are the channels, if not all others are
    meant. A large file is read in pieces, and its values stay on disk. Raises ConfigError without a window, DataError
    if nothing is left.
    """
    if window is None:
        rule, received = "A long recording is cut into windows of equal length.", f"no length, for {path}"
        fix = "Choose the samples of a window, such as --signal.window 128, and --signal.step 64 if windows overlap."
        raise ConfigError(rule, received=received, fix=fix)
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise DataError("A long recording is one .csv file.", received=f"{path}", fix="Save it as a table with commas.")
    if path.stat().st_size < LARGE:
        recording, roles = read_recording(path, columns, labelled=True)
    else:
        recording, roles = store_recording(path, columns, labelled=True, rate=rate)
    if recording.labels is None:
        rule = f"A recording names the activity at each time in its last column, {some(sorted(TIME_LABELS), 4)}."
        raise DataError(rule, received="no such column", where=str(path))
    if task == "signal segmentation":
        return open_segments(path, recording, roles, window, step, rate)
    cut = cut_windows(recording, window, step or window, rate, str(path))
    starts = cut.starts.tolist()
    if not starts:
        one = "".join(f", one {name}" for name in recording.groups)
        rule = "A window has one label from its first sample to its last."
        received = f"no stretch of {window:,} samples with one label{one} and without a gap"
        raise DataError(rule, received=received, where=str(path), fix="Choose a shorter window.")
    classes, numbers = number_texts({"all": [recording.names[k] for k in recording.labels[starts].tolist()]})
    signals: list[Signal] = [cut_signal(recording.values, start, start + window) for start in starts]
    groups, grouping = number_groups({name: [cells[k] for k in starts] for name, cells in recording.groups.items()})
    windows = window_notices(window, step or window, len(signals), cut.num_dropped, tuple(recording.groups))
    return SignalSource(
        path.stem,
        {"all": (signals, numbers["all"])},
        classes,
        keys=list(map(str, starts)),
        groups=cut.stretches if groups is None else groups,
        channel_names=recording.channels,
        unused=roles.unused,
        notices=(*table_notices([path]), *column_notices(roles), *recording.notices, *grouping, *windows),
        format="csv-windows",
    )


def open_segments(
    path: Path, recording: Recording, roles: Roles, window: int, step: int | None, rate: float | None
) -> SegmentSource:
    """The windows of a recording, with the label of each of their samples; samples without a label don't count."""
    if step is not None and step < window:
        raise ConfigError(
            "Windows with a class for each sample don't overlap: a part of one would be trained on and tested.",
            received=f"signal.window {window} and signal.step {step}", fix="Leave signal.step out.",
        )  # fmt: skip
    assert recording.labels is not None
    cut = cut_windows(replace(recording, labels=None), window, step or window, rate, str(path))
    starts = cut.starts.tolist()
    classes, labels = segment_labels(recording.names, recording.labels, str(path))
    if not starts:
        received, fix = f"no stretch of {window:,} samples without a gap", "Choose a shorter window."
        raise DataError("A window has no gap in time.", received=received, where=str(path), fix=fix)
    groups, grouping = number_groups({name: [cells[k] for k in starts] for name, cells in recording.groups.items()})
    count = window_notices(window, step or window, len(starts), cut.num_dropped, tuple(recording.groups))
    return SegmentSource(
        path.stem,
        {"all": [(cut_signal(recording.values, k, k + window), labels[k : k + window]) for k in starts]},
        classes,
        keys=list(map(str, starts)),
        groups=groups,
        channel_names=recording.channels,
        unused=roles.unused,
        notices=(*table_notices([path]), *column_notices(roles), *recording.notices, *grouping, *count),
        format="csv-windows",
    )


def column_notices(roles: Roles) -> list[str]:
    """Notices on the columns of a table."""
    notices, others = [], "name the other channels by --signal.columns"
    if roles.left_out:
        chosen = UNCHOSEN in roles.left_out.values()
        notices.append(roles.told + ("" if chosen else "; to read others, name all channels by --signal.columns"))
    if roles.suspects:
        notices.append(f"rising by the same from row to row: {some(roles.suspects)}; if this only counts, {others}")
    if labels := [name for name in roles.channels if name.lower() in TIME_LABELS]:
        notices.append(f"named as labels, and read as channels: {some(labels)}; if they tell the label, {others}")
    return notices


def number_groups(values: dict[str, list[str]]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Numbers of what must stay in one split, by the first column that tells enough apart; (N,), or None; a notice.

    >>> number_groups({"subject": ["a", "a", "b"], "session": ["1", "2", "3"]})
    (array([0, 1, 2]), ('session tells 3 groups, and each stays in one split',))
    """
    for name, cells in values.items():
        found, groups = np.unique([cell.strip() for cell in cells], return_inverse=True)
        if len(found) >= LEAST_GROUPS:
            return groups.astype(np.int64), (f"{name} tells {len(found):,} groups, and each stays in one split",)
    return None, ()


def window_notices(window: int, step: int, count: int, dropped: int, groups: Sequence[str] = ()) -> list[str]:
    """Notices on windows; `groups` are the columns that tell their groups."""
    notices = [f"{count:,} windows of {window:,} samples were cut"]
    if step < window:
        notices[0] += f"; neighbours share {window - step:,}"
    if dropped:
        changes = "".join(f" or of {name}" for name in groups)
        notices.append(f"{dropped:,} windows over a gap, or over a change of the label{changes}, were dropped")
    return notices


def cut_windows(recording: Recording, window: int, step: int, rate: float | None, where: str) -> Windows:
    """Windows at 0, step, 2 step, ... that lie within one stretch: one label, and no gap in time."""
    if window < 1 or step < 1:
        raise ConfigError("A window and its step have at least 1 sample.", received=f"window={window}, step={step}")
    length = recording.values.shape[1]
    begins = np.zeros(length, bool)
    labels, times = recording.labels, recording.times
    if labels is not None:
        begins[1:] |= labels[1:] != labels[:-1]
    if recording.gaps is not None:
        begins[1:] |= recording.gaps
    elif times is not None and length > 1:
        begins[1:] |= find_gaps(times, usual_step(times, rate, where), where)
    elif rate is not None and times is None:
        raise ConfigError(
            "signal.rate is checked against a column of times.", received="none", where=where, fix="Remove it."
        )
    for cells in recording.groups.values():
        begins[1:] |= find_changes(cells)
    stretches = np.cumsum(begins)
    starts = np.arange(0, length - window + 1, step)
    whole = stretches[starts] == stretches[starts + window - 1]
    if labels is not None:
        whole &= np.array([name != "" for name in recording.names])[labels[starts]]
    return Windows(starts[whole], stretches[starts[whole]], int((~whole).sum()))


def find_changes(cells: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each cell differs from the one before; (T,) -> (T - 1,)."""
    if isinstance(cells, Coded):
        return np.asarray(cells.codes[1:] != cells.codes[:-1])
    return np.array([one != other for one, other in pairwise(cells)], bool)
