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
from neocog.modalities.signal.channel_names import SHOWN, has_fields, order_channels, split_fields
from neocog.modalities.signal.csv_windows import column_notices, cut_windows, number_groups, window_notices
from neocog.modalities.signal.on_disk import DiskSignal, cut_signal, open_npy
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
    arrays, notices = read.arrays, [*files.notices, *read.notices]
    if window is None:
        pieces, keys = [(i, 0) for i in range(len(arrays))], [files.key(i) for i in range(len(arrays))]
    else:
        step = step or window
        cut = [cut_windows(array, window, step, rate, files.key(i)) for i, array in enumerate(arrays)]
        pieces = [(i, start) for i, part in enumerate(cut) for start in part.starts.tolist()]
        keys = [f"{files.key(i)}:{start}" for i, start in pieces]
        if not pieces:
            rule = f"No file below {files.root} has {window:,} values without a gap."
            raise DataError(rule, fix="Choose a shorter window.")
        if short := sum(array.values.shape[1] < window for array in arrays):
            notices.append(f"files that are shorter than a window were skipped: {short:,}")
        notices += window_notices(window, step, len(pieces), sum(part.num_dropped for part in cut), read.groups)
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]] = {}
    for split, part in files.splits.items():
        here = [(i, start) for i, start in pieces if part.size and part[0] <= i <= part[-1]]
        signals: list[Signal] = [cut_signal(arrays[i].values, start, window and start + window) for i, start in here]
        parts[split] = (signals, files.targets[[i for i, _ in here]])
    groups, kind, told = number_pieces(files, read, pieces, windowed=window is not None)
    source = SignalSource(
        files.root.resolve().name,
        parts,
        files.classes,
        keys=keys,
        groups=groups,
        channel_names=read.channels,
        unused=read.unused,
        notices=(*notices, *told),
        format="signal-folder",
    )
    source.folders, source.unlabelled, source.group_kind = files.folders, files.unlabelled, kind
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


def number_pieces(
    files: ClassFolderSource, read: FolderContent, pieces: list[tuple[int, int]], *, windowed: bool
) -> tuple[NDArray[np.int64] | None, str, list[str]]:
    """Numbers of what must stay in one split, by folders, columns or, of windows, files; (N,); their name; notices."""
    of = np.array([i for i, _ in pieces], np.int64)
    if files.groups is not None:
        return files.groups[of], files.group_kind, []
    # A window has one group, that of its first value.
    cells = {
        name: [{*read.arrays[i].groups[name][k : k + 1 if windowed else None]} for i, k in pieces]
        for name in read.groups
    }
    constant = {name: own for name, own in cells.items() if all(len(one) == 1 for one in own)}
    groups, told = number_groups({name: [min(one) for one in own] for name, own in constant.items()})
    changing = [name for name in cells if name not in constant]
    changes = [f"{some(changing)} changes within a file, so files are not grouped by it"] if changing else []
    return of if groups is None and windowed else groups, "groups" if told else "files", [*told, *changes]


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
            on_disk = open_large(path)
            array: Signal = read_array(path) if on_disk is None else on_disk
            if array.dtype.names:
                recordings[i] = from_fields(array, columns, str(path))
            else:
                arrays[i] = array
    turned, turns = channels_first(files, arrays)
    # Values too large for float32 become infinite, and are refused when they are decoded.
    with np.errstate(over="ignore"):
        recordings |= {
            i: Recording(array if isinstance(array, DiskSignal) else np.asarray(array, np.float32))
            for i, array in turned.items()
        }
    in_order, order_notices = one_order(files, [recordings[i] for i in range(len(files.paths))])
    if columns and len(turned) == len(files.paths):
        received = f"{some(columns)}, and {files.root} holds arrays without names"
        raise ConfigError("signal.columns names the columns of tables.", received=received, fix="Leave it out.")
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
        own = {name: facts[name] for name in table.columns if name in facts}
        roles = find_roles(table.columns, own, str(table.path), columns)
        if roles.label is not None and not columns:
            rule = "A file in a class folder needs no label, and a label must not become an input."
            fix = (
                "Remove it, or name the channels: --signal.columns. Or cut the whole recording, one file, into windows."
            )
            raise DataError(rule, received="a column of labels", where=str(table.path), fix=fix)
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
    facts = {name: look_at_numbers(row) for name, row in zip(names, values, strict=True)}
    roles = find_roles(names, facts, where, columns)
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
        ordered, sentences = order_channels(wanted, own, str(files.paths[i]), whose)
        for sentence in sentences:
            said.setdefault(sentence, []).append(files.key(i))
        if ordered != list(own):
            places = [own.index(name) for name in ordered]
            found[i] = replace(recordings[i], values=recordings[i].values[places], channels=wanted)
    total = f"{len(recordings):,} files"
    notices = [f"{sentence} (in {len(keys):,} of {total}: {some(keys, 2)})" for sentence, keys in said.items()]
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


def open_large(path: Path) -> DiskSignal | None:
    """A large array, which stays on disk; None for any other file."""
    try:
        return open_npy(path)
    except DataError:
        raise
    except Exception as error:  # headers that are damaged raise anything: struct.error, SyntaxError, ...
        raise DataError(f"{path} can't be read as a NumPy array: {error}.") from error


def channels_first(files: ClassFolderSource, arrays: dict[int, Signal]) -> tuple[dict[int, Signal], list[str]]:
    """Arrays as (C, L): channels are on the axis that has the same length in all files; of two such, on the shorter."""
    first, second = ({array.shape[axis] for array in arrays.values()} for axis in (0, 1))
    if len(first) > 1 and len(second) > 1:
        one = min(arrays)
        odd = next(i for i, array in arrays.items() if len(array) != len(arrays[one]))
        received = f"{arrays[one].shape} in {files.paths[one]}, {arrays[odd].shape} in {files.paths[odd]}"
        raise DataError("All signals must have the same channels.", received=received)
    if len(first) > 1 or (len(first) == len(second) == 1 and min(first) > min(second)):
        told = f"{some(sorted(first), 2)} values of {min(second)} channels"
        return {i: array.T for i, array in arrays.items()}, [f"arrays are read as (length, channels): {told}"]
    return arrays, []
