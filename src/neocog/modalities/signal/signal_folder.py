"""Signals as files in a folder for each class: NumPy arrays, or tables with a column for each channel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_files import ClassFolderSource, FileKind, first_file
from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.npy_files import npy_header, read_npy
from neocog.dataset.tables import table_notices
from neocog.errors import ConfigError, DataError, agree, some
from neocog.modalities.signal.channel_names import SHOWN, has_fields, order_channels, said_by_name, split_fields
from neocog.modalities.signal.csv_windows import column_notices, cut_windows, number_groups, window_notices
from neocog.modalities.signal.recording import Recording, SignalTable, holds_numbers, make_recording, read_signal_table
from neocog.modalities.signal.signal_columns import Roles, find_roles, in_all, look_at_numbers
from neocog.modalities.signal.source import Signal, SignalSource

__all__ = ["is_signal_folder", "open_signal_folder"]


class SignalFiles(ClassFolderSource):
    """The files of the signals, by class."""

    kind = FileKind(SUFFIXES["signal"], "signals (.npy, .csv)")


def is_signal_folder(path: Path) -> bool:
    """Whether a folder has CLASS/*.npy of one axis, or of two that are not unsigned as in images, or CLASS/*.csv of
    numbers."""
    found = first_file(path, SUFFIXES["signal"])
    if found is None:
        return False
    try:
        if found.suffix.lower() == ".csv":
            return holds_numbers(found)
        with found.open("rb") as file:
            shape, _, dtype = npy_header(file)
        if dtype.names:
            return len(shape) == 1 and has_fields(dtype)
        return (len(shape) in (1, 2) and dtype.kind in "fi") or (len(shape) == 1 and dtype.kind == "u")
    except Exception:  # whatever a damaged file is, it is not recognised as a signal
        return False


def open_signal_folder(
    path: Path,
    *,
    window: int | None = None,
    step: int | None = None,
    rate: float | None = None,
    columns: Sequence[str] = (),
    class_level: int | None = None,
    test_fold: str | int | None = None,
) -> SignalSource:
    """`CLASS/*` or `train|val|test/CLASS/*`: each file is a signal, or is cut into windows, which are one group then.

    An .npy file is (L,) or (C, L), a .csv file has a row for each sample, and its times, if it has any, in a column
    `time`. Channels with names, which are those of columns or of fields, are brought into one order. `columns` selects
    channels by name. Raises DataError for a file that is damaged, or has other channels than the others.
    """
    files = SignalFiles(path, class_level=class_level, test_fold=test_fold)
    read = read_all(files, columns)
    if window is not None:
        return windows_of(files, read, window, step or window, rate)
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]] = {
        split: ([read.arrays[i].values for i in part.tolist()], files.targets[part])
        for split, part in files.splits.items()
    }
    keys = [files.key(i) for i in range(len(read.arrays))]
    groups, grouping = groups_of_files(files, read)
    kind = files.group_kind
    return make_source(files, read, parts, keys, groups, kind, (*read.notices, *grouping))


def make_source(
    files: ClassFolderSource,
    read: "FolderContent",
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]],
    keys: list[str],
    groups: NDArray[np.int64] | None,
    group_kind: str,
    notices: tuple[str, ...],
) -> SignalSource:
    """The source of these signals, with what is known of their folders."""
    source = SignalSource(
        files.root.resolve().name,
        parts,
        files.classes,
        keys=keys,
        groups=groups,
        channel_names=read.channels,
        unused=read.unused,
        notices=(*files.notices, *notices),
        format="signal-folder",
    )
    source.folders, source.unlabelled, source.group_kind = files.folders, files.unlabelled, group_kind
    return source


@dataclass(frozen=True, slots=True)
class FolderContent:
    """All files of a folder."""

    arrays: list[Recording]
    channels: tuple[str, ...]
    unused: tuple[str, ...]
    groups: tuple[str, ...]
    """Columns that tell, in all files, which group each value belongs to."""
    notices: list[str]


def one_each(values: list[set[str]]) -> bool:
    """Whether each file has one value."""
    return all(len(one) == 1 for one in values)


def groups_of_files(files: ClassFolderSource, read: FolderContent) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Numbers of what must stay in one split, by the folders or by columns; (N,), or None; and notices."""
    if files.groups is not None:
        return files.groups, ()
    alone = {name: [set(array.groups[name]) for array in read.arrays] for name in read.groups}
    groups, said = number_groups({name: [min(one) for one in own] for name, own in alone.items() if one_each(own)})
    changing = [name for name, own in alone.items() if not one_each(own)]
    if changing:
        said += (f"{some(changing)} changes within a file, so files are not grouped by it",)
    return groups, said


def windows_of(
    files: ClassFolderSource, read: FolderContent, window: int, step: int, rate: float | None
) -> SignalSource:
    """The windows of all files; a group is a file, or what columns tell of persons and sessions."""
    arrays = read.arrays
    cut = [cut_windows(array, window, step, rate, files.key(i)) for i, array in enumerate(arrays)]
    windows = [(i, start) for i, part in enumerate(cut) for start in part.starts.tolist()]
    if not windows:
        raise DataError(
            f"No file below {files.root} has {window:,} values without a gap.", fix="Choose a shorter window."
        )
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]] = {}
    for split, part in files.splits.items():
        here = [(i, start) for i, start in windows if part.size and part[0] <= i <= part[-1]]
        signals: list[Signal] = [arrays[i].values[:, start : start + window] for i, start in here]
        parts[split] = (signals, files.targets[[i for i, _ in here]])
    notices = list(read.notices)
    short = sum(array.values.shape[1] < window for array in arrays)
    if short:
        notices.append(f"files that are shorter than a window were skipped: {short:,}")
    notices += window_notices(window, step, len(windows), sum(part.num_dropped for part in cut), read.groups)
    groups: NDArray[np.int64] | None = None
    grouping: tuple[str, ...] = ()
    if files.groups is not None:
        groups = files.groups[[i for i, _ in windows]]
    else:
        groups, grouping = number_groups(
            {name: [arrays[i].groups[name][k] for i, k in windows] for name in read.groups}
        )
    kind = files.group_kind if files.groups is not None else "groups" if grouping else "files"
    keys = [f"{files.key(i)}:{start}" for i, start in windows]
    numbers = np.array([i for i, _ in windows], np.int64) if groups is None else groups
    return make_source(files, read, parts, keys, numbers, kind, (*grouping, *notices))


def read_all(files: ClassFolderSource, columns: Sequence[str]) -> FolderContent:
    """Every file as (C, L) with its channels in one order, and notices."""
    tables = {
        i: read_signal_table(path, columns) for i, path in enumerate(files.paths) if path.suffix.lower() == ".csv"
    }
    recordings, roles = read_tables(tables, columns)
    notices = [*table_notices(files.paths[i] for i in tables), *column_notices(roles)]
    arrays: dict[int, Signal] = {}
    for i, path in enumerate(files.paths):
        if i not in tables:
            array = read_array(path)
            if array.dtype.names:
                recordings[i] = from_fields(array, columns, str(path))
            else:
                arrays[i] = array
    turned, turns = channels_first(files, arrays)
    # Values too large for float32 become infinite, and are refused when they are decoded.
    with np.errstate(over="ignore"):
        recordings |= {i: Recording(np.asarray(array, np.float32)) for i, array in turned.items()}
    in_order, order_notices = one_order(files, [recordings[i] for i in range(len(files.paths))])
    if columns and len(turned) == len(files.paths):
        rule = "signal.columns names the columns of tables."
        received = f"{some(columns)}, and {files.root} holds arrays without names"
        raise ConfigError(rule, received=received, fix="Leave it out.")
    said = dict.fromkeys(sentence for recording in in_order for sentence in recording.notices)
    groups = tuple(name for name in roles.groups if all(name in recording.groups for recording in in_order))
    channels = next((recording.channels for recording in in_order if recording.channels), ())
    return FolderContent(in_order, channels, roles.unused, groups, [*notices, *said, *turns, *order_notices])


def read_tables(tables: dict[int, SignalTable], columns: Sequence[str]) -> tuple[dict[int, Recording], Roles]:
    """Tables as recordings, and what their columns are, which is decided over all of them."""
    facts = in_all(table.facts() for table in tables.values())
    found: dict[int, Recording] = {}
    whole = Roles(())
    for i, table in tables.items():
        roles = find_roles(
            table.columns, {name: facts[name] for name in table.columns if name in facts}, str(table.path), columns
        )
        if roles.label is not None and not columns:
            raise DataError(
                "A file in a class folder needs no label, and a label must not become an input. "
                f"{table.path} has a column of labels.",
                fix="Remove it, or name the channels: --signal.columns. Or give the whole recording as one file, to "
                "be cut into windows.",
            )
        found[i] = make_recording(table, replace(roles, label=None))
        whole = replace(
            roles,
            left_out={**whole.left_out, **roles.left_out},
            groups=tuple(dict.fromkeys((*whole.groups, *roles.groups))),
            suspects=tuple(dict.fromkeys((*whole.suspects, *roles.suspects))),
        )
    return found, whole


def from_fields(array: NDArray[np.void], columns: Sequence[str], where: str) -> Recording:
    """A structured array, of which each field is a channel."""
    values, names = split_fields(array, 0)
    roles = find_roles(
        names, {name: look_at_numbers(row) for name, row in zip(names, values, strict=True)}, where, columns
    )
    with np.errstate(over="ignore"):
        rows = np.asarray(values, np.float32)
    return Recording(rows[[names.index(name) for name in roles.channels]], channels=roles.channels)


def one_order(files: ClassFolderSource, recordings: list[Recording]) -> tuple[list[Recording], list[str]]:
    """Recordings with their channels in the order of the first that names them, and notices on that.

    Raises DataError for other names.
    """
    named = [i for i, recording in enumerate(recordings) if recording.channels]
    if not named:
        return recordings, []
    wanted, whose = recordings[named[0]].channels, str(files.paths[named[0]])
    found = list(recordings)
    said: dict[str, list[str]] = {}
    for i in named:
        own = recordings[i].channels
        ordered = order_channels(wanted, own, str(files.paths[i]), whose)
        for sentence in said_by_name(wanted, ordered, own):
            said.setdefault(sentence, []).append(files.key(i))
        if ordered != list(own):
            places = [own.index(name) for name in ordered]
            found[i] = replace(recordings[i], values=recordings[i].values[places], channels=wanted)
    notices = [
        f"{sentence} (in {len(keys):,} of {len(recordings):,} files: {some(keys, 2)})"
        for sentence, keys in said.items()
    ]
    if len(named) < len(recordings):
        without = agree("{n} file(|s) (does|do) not name (its|their) channels", len(recordings) - len(named))
        notices.append(f"{without}, which are read as {some(wanted, SHOWN)}")
    return found, notices


def read_array(path: Path) -> Signal:
    """One .npy file of real numbers, (L,) or (C, L), as (C, L)."""
    try:
        with path.open("rb") as file:
            array = read_npy(file)
    except Exception as error:  # headers that are damaged raise anything: struct.error, SyntaxError, ...
        raise DataError(f"{path} can't be read as a NumPy array: {error}.") from error
    if has_fields(array.dtype) and array.ndim == 1 and array.size:
        return array
    if array.ndim not in (1, 2) or array.size == 0 or array.dtype.kind not in "fiu":
        rule = "A signal is (length,) or (channels, length) of real numbers, with at least one value."
        raise DataError(rule, received=f"{array.dtype} {array.shape}", where=str(path))
    return np.atleast_2d(array)


def channels_first(files: ClassFolderSource, arrays: dict[int, Signal]) -> tuple[dict[int, Signal], list[str]]:
    """Arrays as (C, L): channels are on the axis that has the same length in all files; of two such, on the shorter."""
    first, second = ({array.shape[axis] for array in arrays.values()} for axis in (0, 1))
    if len(first) > 1 and len(second) > 1:
        odd = next(i for i, array in arrays.items() if len(array) != len(arrays[min(arrays)]))
        first_at = min(arrays)
        received = f"{arrays[first_at].shape} in {files.paths[first_at]}, {arrays[odd].shape} in {files.paths[odd]}"
        raise DataError("All signals must have the same channels.", received=received)
    if len(first) > 1 or (len(first) == len(second) == 1 and min(first) > min(second)):
        lengths = some(sorted(first), 2)
        return {i: array.T for i, array in arrays.items()}, [
            f"arrays are read as (length, channels): {lengths} values of {min(second)} channels"
        ]
    return arrays, []
