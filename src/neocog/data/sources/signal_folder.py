"""Signals as files in a folder for each class: NumPy arrays, or tables with a column for each channel."""

from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.sources.class_files import ClassFiles, find_class_files, first_file
from neocog.data.sources.csv_windows import Recording, as_number, cut_windows, read_recording, window_notices
from neocog.data.sources.npy import npy_header, read_npy
from neocog.data.sources.signals import Signal, SignalSource
from neocog.data.tables import read_rows
from neocog.errors import DataError, some

__all__ = ["is_signal_folder", "open_signal_folder"]

SUFFIXES = frozenset({".npy", ".csv"})


def is_signal_folder(path: Path) -> bool:
    """Whether a folder has CLASS/*.npy of one axis, or two that are not unsigned as pictures are, or CLASS/*.csv of
    numbers."""
    found = first_file(path, SUFFIXES)
    if found is None:
        return False
    try:
        if found.suffix.lower() == ".csv":
            with closing(read_rows(found)) as rows:
                return all(as_number(cell, "") is not None for cell in next(rows).values.values())
        with found.open("rb") as file:
            shape, _, dtype = npy_header(file)
        return (len(shape) in (1, 2) and dtype.kind in "fi") or (len(shape) == 1 and dtype.kind == "u")
    except Exception:  # whatever a damaged file is, it is not recognised as a signal
        return False


def open_signal_folder(
    path: Path,
    *,
    window: int | None = None,
    step: int | None = None,
    rate: float | None = None,
    class_level: int | None = None,
    test_fold: str | int | None = None,
) -> SignalSource:
    """`CLASS/*` or `train|val|test/CLASS/*`: each file is a signal, or is cut into windows, which are one group then.

    An .npy file is (L,) or (C, L), a .csv file has a row for each sample, and its times, if it has any, in a column
    `time`. Raises DataError for a file that is damaged, or has other channels than the others.
    """
    files = find_class_files(path, SUFFIXES, "signals (.npy, .csv)", class_level=class_level, test_fold=test_fold)
    arrays, notices = read_all(files)
    if window is not None:
        return windows_of(files, arrays, window, step or window, rate, notices)
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]] = {
        split: ([arrays[i].values for i in part.tolist()], files.targets[part]) for split, part in files.splits.items()
    }
    keys = [files.key(i) for i in range(len(arrays))]
    source = SignalSource(
        path.resolve().name, parts, files.classes, keys=keys, groups=files.groups, notices=(*files.notices, *notices)
    )
    source.folders, source.group_kind, source.unlabelled = files.folders, files.group_kind, files.unlabelled
    return source


def windows_of(
    files: ClassFiles, arrays: list[Recording], window: int, step: int, rate: float | None, notices: list[str]
) -> SignalSource:
    """The windows of all files, each file a group."""
    cut = [cut_windows(array, window, step, rate, files.key(i)) for i, array in enumerate(arrays)]
    windows = [(i, start) for i, part in enumerate(cut) for start in part.starts.tolist()]
    if not windows:
        raise DataError(f"No file below {files.root} has {window:,} samples without a gap. Choose a shorter window.")
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]] = {}
    for split, part in files.splits.items():
        here = [(i, start) for i, start in windows if part.size and part[0] <= i <= part[-1]]
        signals: list[Signal] = [arrays[i].values[:, start : start + window] for i, start in here]
        parts[split] = (signals, files.targets[[i for i, _ in here]])
    short = sum(array.values.shape[1] < window for array in arrays)
    if short:
        notices.append(f"files that are shorter than a window were passed over: {short:,}")
    notices += window_notices(window, step, len(windows), sum(part.num_dropped for part in cut))
    of_files = np.arange(len(arrays)) if files.groups is None else files.groups
    source = SignalSource(
        files.root.resolve().name,
        parts,
        files.classes,
        keys=[f"{files.key(i)}:{start}" for i, start in windows],
        groups=of_files[[i for i, _ in windows]],
        notices=(*files.notices, *notices),
    )
    source.folders, source.unlabelled = files.folders, files.unlabelled
    source.group_kind = "files" if files.groups is None else files.group_kind
    return source


def read_all(files: ClassFiles) -> tuple[list[Recording], list[str]]:
    """Every file as (C, L), and what a user should know of their axes."""
    found: dict[int, Recording] = {}
    arrays: dict[int, Signal] = {}
    for i, path in enumerate(files.paths):
        if path.suffix.lower() == ".csv":
            found[i] = read_recording(path)
            if found[i].labels is not None:
                raise DataError(
                    f"A file in a class's folder needs no label, and none may be learned from. {path} has a column of "
                    "labels. Remove it; or give the whole recording as one file, to be cut into windows."
                )
        else:
            arrays[i] = read_array(path)
    turned, notices = channels_first(files, arrays)
    # What is too large for float32 becomes infinite, and is refused where it is decoded.
    with np.errstate(over="ignore", invalid="ignore"):
        found |= {i: Recording(np.asarray(array, np.float32)) for i, array in turned.items()}
    return [found[i] for i in range(len(files.paths))], notices


def read_array(path: Path) -> Signal:
    """One .npy file of real numbers, (L,) or (C, L), as (C, L)."""
    try:
        with path.open("rb") as file:
            array = read_npy(file)
    except Exception as error:  # headers that are damaged raise anything: struct.error, SyntaxError, ...
        raise DataError(f"{path} can't be read as an array of NumPy: {error}.") from error
    if array.ndim not in (1, 2) or array.size == 0 or array.dtype.kind not in "fiu":
        raise DataError(
            "A signal is (length,) or (channels, length) of real numbers, with at least one sample. "
            f"Received: {array.dtype} {array.shape}, in {path}."
        )
    return np.atleast_2d(array)


def channels_first(files: ClassFiles, arrays: dict[int, Signal]) -> tuple[dict[int, Signal], list[str]]:
    """Arrays as (C, L): the axis that is alike in all files is that of the channels; if both are, the shorter one."""
    first, second = ({array.shape[axis] for array in arrays.values()} for axis in (0, 1))
    if len(first) > 1 and len(second) > 1:
        odd = next(i for i, array in arrays.items() if len(array) != len(arrays[min(arrays)]))
        raise DataError(
            f"All signals must have the same channels. Received: {arrays[min(arrays)].shape} in "
            f"{files.paths[min(arrays)]}, {arrays[odd].shape} in {files.paths[odd]}."
        )
    if len(first) > 1 or (len(first) == len(second) == 1 and min(first) > min(second)):
        lengths = some(sorted(first), 2)
        return {i: array.T for i, array in arrays.items()}, [
            f"arrays are read as (samples, channels): {lengths} samples of {min(second)} channels"
        ]
    return arrays, []
