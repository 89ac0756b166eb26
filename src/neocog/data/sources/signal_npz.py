"""Signals and labels in one .npz file, or as .npy files of the same names in a folder.

Signals of one length are `x` (N, L) or (N, C, L). Signals of different lengths stand one behind another, `x` (sum of
lengths, C), with `lengths` (N,). Labels are `y` (N,), whole numbers or texts; `classes` may name the classes.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.sources.folder import plain_files
from neocog.data.sources.npy import npy_header, read_npy
from neocog.data.sources.signals import Signal, SignalSource, number_labels
from neocog.errors import DataError

__all__ = ["is_signal_npz", "open_signal_npz"]

SUFFIXES = {"all": "", "train": "_train", "val": "_val", "test": "_test"}
Members = Mapping[str, Callable[[], IO[bytes]]]


def is_signal_npz(path: Path) -> bool:
    """Whether `x` is of fractions or signed integers, in 2 or 3 axes, or `lengths` stand beside it.

    Pictures are of unsigned integers. A folder is looked into where it holds one .npz file, or .npy files.
    """
    place = find_arrays(path)
    if place is None:
        return False
    try:
        with opened(place) as members:
            for suffix in SUFFIXES.values():
                if f"x{suffix}" in members:
                    with members[f"x{suffix}"]() as file:
                        shape, _, dtype = npy_header(file)
                    ragged = f"lengths{suffix}" in members and len(shape) in (1, 2)
                    return (dtype.kind in "fic" and len(shape) in (2, 3)) or ragged
    except Exception:  # whatever a damaged file is, it is not recognised as signals
        return False
    return False


def open_signal_npz(path: Path) -> SignalSource:
    """The source that these arrays make; a split's arrays are `x_train`, `lengths_train`, `y_train` and so on.

    Raises DataError for what is damaged, lacks these names, holds objects, or does not fit together.
    """
    place = find_arrays(path)
    if place is None:
        raise DataError(f"Signals are read from one .npz file, or from x.npy and y.npy. There is neither at {path}.")
    arrays = read_arrays(place)
    parts: dict[str, tuple[Any, NDArray[Any]]] = {}
    notices: list[str] = []
    for split in check_names(place, arrays):
        suffix = SUFFIXES[split]
        x, lengths = arrays[f"x{suffix}"], arrays.get(f"lengths{suffix}")
        where = f"{place}, x{suffix}"
        signals = cut(where, x, lengths) if lengths is not None else channels_first(where, x, notices)
        parts[split] = (signals, as_column(arrays[f"y{suffix}"]))
    classes: tuple[str, ...] | None = None
    if "classes" in arrays:
        classes = tuple(str(name) for name in np.atleast_1d(arrays["classes"]).ravel())
    elif all(labels.dtype.kind == "U" for _, labels in parts.values()):
        classes, numbers = number_labels({split: labels.ravel().tolist() for split, (_, labels) in parts.items()})
        parts = {split: (signals, numbers[split]) for split, (signals, _) in parts.items()}
    return SignalSource(place.stem, parts, classes, notices=tuple(dict.fromkeys(notices)))


def find_arrays(path: Path) -> Path | None:
    """The .npz file that a path means, or the folder of .npy files."""
    if path.is_file():
        return path if path.suffix.lower() == ".npz" else None
    if not path.is_dir():
        return None
    files = plain_files(path)
    archives = [file for file in files if file.suffix.lower() == ".npz"]
    if len(archives) == 1:
        return archives[0]
    named = {f"x{suffix}.npy" for suffix in SUFFIXES.values()}
    return path if not archives and any(file.name.lower() in named for file in files) else None


@contextmanager
def opened(place: Path) -> Iterator[Members]:
    """How to open each array, by its name in small letters: `X_train` is read as `x_train`."""
    if place.is_dir():
        files = [file for file in plain_files(place) if file.suffix.lower() == ".npy"]
        yield by_name(place, {file.stem: partial(file.open, "rb") for file in files})
    else:
        with zipfile.ZipFile(place) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            yield by_name(place, {name.removesuffix(".npy"): partial(archive.open, name) for name in names})


def by_name(place: Path, members: dict[str, Any]) -> Members:
    small = {name.lower(): member for name, member in members.items()}
    if len(small) < len(members):
        raise DataError(f"{place} can be read in two ways: it holds {', '.join(sorted(members))}. Rename one of them.")
    return small


def read_arrays(place: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a data set; others are left unread."""
    names = {f"{kind}{suffix}" for kind in ("x", "y", "lengths") for suffix in SUFFIXES.values()} | {"classes"}
    arrays, name = {}, ""
    try:
        packed = place.stat().st_size if place.is_file() else None
        with opened(place) as members:
            for name in names & set(members):
                with members[name]() as file:
                    arrays[name] = read_npy(file, packed)
    except DataError:
        raise
    except Exception as error:  # archives and headers that are damaged raise anything: zlib.error, struct.error, ...
        member = f", {name}" if name else ""
        raise DataError(f"{place}{member} can't be read as an array of NumPy: {error}.") from error
    return arrays


def check_names(place: Path, arrays: Mapping[str, Any]) -> list[str]:
    """The splits that are there. Raises DataError where one is incomplete, or there are none."""
    splits = [split for split, suffix in SUFFIXES.items() if f"x{suffix}" in arrays and f"y{suffix}" in arrays]
    known = {f"{kind}{SUFFIXES[split]}" for split in splits for kind in ("x", "y", "lengths")} | {"classes"}
    if not splits or not set(arrays) <= known:
        raise DataError(
            "A data set of signals holds x and y, or x_train and y_train, and so on for val and test. "
            f"Received: {', '.join(sorted(arrays)) or 'none of them'}, in {place}."
        )
    if "all" in splits and len(splits) > 1:
        raise DataError(f"{place} can be read in two ways: x and y, or by split. Remove one of them.")
    return splits


def as_column(labels: NDArray[Any]) -> NDArray[Any]:
    """(N, 1) as (N,)."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def cut(where: str, x: NDArray[Any], lengths: NDArray[Any]) -> list[Signal]:
    """(sum of lengths, C) or (sum of lengths,) as N signals (C, length)."""
    rows = x[:, None] if x.ndim == 1 else x
    if rows.ndim != 2:
        raise DataError(f"With lengths, x is (sum of lengths, channels). Received: {x.shape}, in {where}.")
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths.size and int(lengths.min()) < 1):
        raise DataError(
            "lengths must be whole numbers of at least 1, one for each signal. "
            f"Received: {lengths.dtype} {lengths.shape}, in {where}."
        )
    whole = lengths.tolist()
    if sum(whole) != len(rows):
        raise DataError(
            f"lengths must add up to the rows of x. Received: {sum(whole):,} and {len(rows):,}, in {where}."
        )
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    return [rows[end - length : end].T for end, length in zip(ends, whole, strict=True)]


def channels_first(where: str, x: NDArray[Any], notices: list[str]) -> Signal:
    """(N, L) as (N, 1, L); (N, C, L) as it is; (N, L, C) turned, where there would be more channels than samples."""
    if x.ndim not in (2, 3):
        raise DataError(f"Signals are (N, length) or (N, channels, length). Received: {x.shape}, in {where}.")
    signals = x[:, None, :] if x.ndim == 2 else x
    if signals.shape[1] > signals.shape[2]:
        signals = signals.swapaxes(1, 2)
        notices.append(
            f"signals of {x.shape[1]} x {x.shape[2]} are read as {x.shape[2]} channels of {x.shape[1]} samples"
        )
    return signals
