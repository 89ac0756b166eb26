"""Signals and labels in one .npz file, or as .npy files of the same names in a folder.

Signals of one length are `x` (N, L) or (N, C, L). Signals of different lengths stand one behind another, `x` (sum of
lengths, C), with `lengths` (N,). Labels are `y` (N,), whole numbers or texts; `classes` may name the classes, and
`channels` the channels, which may also be the fields of a structured `x`.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.files import plain_files
from neocog.dataset.labels import number_texts
from neocog.dataset.npy_files import npy_header, read_npy
from neocog.errors import DataError, did_you_mean, some
from neocog.modalities.signal.channel_names import (
    SHOWN,
    check_names,
    has_fields,
    order_channels,
    said_by_name,
    split_fields,
)
from neocog.modalities.signal.source import Signal, SignalSource

__all__ = ["is_signal_npz", "open_signal_npz"]

SUFFIXES = {"all": "", "train": "_train", "val": "_val", "test": "_test"}
NAMES = ("channels", "channel_names", "names")
Members = Mapping[str, Callable[[], IO[bytes]]]


def is_signal_npz(path: Path) -> bool:
    """Whether `x` is of fractions or signed integers, in 2 or 3 axes, or `lengths` stand beside it.

    Images are of unsigned integers. A folder is looked into where it holds one .npz file, or .npy files.
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
                    return (
                        (dtype.kind in "fic" and len(shape) in (2, 3))
                        or ragged
                        or (has_fields(dtype) and len(shape) == 2)
                    )
    except Exception:  # whatever a damaged file is, it is not recognised as signals
        return False
    return False


def open_signal_npz(path: Path, *, columns: Sequence[str] = ()) -> SignalSource:
    """The source that these arrays make; a split's arrays are `x_train`, `lengths_train`, `y_train` and so on.

    `columns` are the channels by name, where not all are meant.
    Raises DataError for what is damaged, lacks these names, holds objects, or does not fit together.
    """
    place = find_arrays(path)
    if place is None:
        raise DataError(f"Signals are read from one .npz file, or from x.npy and y.npy. There is neither at {path}.")
    arrays = read_arrays(place)
    parts: dict[str, tuple[Any, NDArray[Any]]] = {}
    names: dict[str, tuple[str, ...]] = {}
    notices: list[str] = []
    for split in check_arrays(place, arrays):
        suffix = SUFFIXES[split]
        signals, names[split] = read_part(f"{place}, x{suffix}", arrays, suffix, notices)
        parts[split] = (signals, as_column(arrays[f"y{suffix}"]))
    parts, channel_names = one_order(place, parts, names, notices)
    parts, classes = with_numbers(place, arrays, parts)
    source = SignalSource(
        place.stem, parts, classes, channel_names=channel_names, notices=tuple(notices), format="signal-npz"
    )
    return source.with_columns(columns) if columns else source


Parts = dict[str, tuple[Any, NDArray[Any]]]


def read_part(
    where: str, arrays: Mapping[str, NDArray[Any]], suffix: str, notices: list[str]
) -> tuple[Any, tuple[str, ...]]:
    """A split's signals as (C, length) each, and the names of their channels, if the file has any."""
    x, lengths = arrays[f"x{suffix}"], arrays.get(f"lengths{suffix}")
    names = given_names(arrays, suffix)
    if has_fields(x.dtype):
        if lengths is None and x.ndim != 2:
            raise DataError(
                f"Signals with a field for each channel are (N, length). Received: {x.shape}, in {where}. With lengths "
                "(N,), x is (sum of lengths,)."
            )
        x, fields = split_fields(x, 1 if lengths is not None else x.ndim - 1)
        if names and names != fields:
            raise DataError(
                f"Channels are named once. Received: the fields {some(fields, SHOWN)}, and other names, "
                f"{some(names, SHOWN)}, in {where}. Remove one of them."
            )
        names = fields
    signals = cut(where, x, lengths) if lengths is not None else channels_first(where, x, notices, len(names))
    if names and len(signals) and len(names) != len(signals[0]):
        if any(f"{key}{end}" in arrays for key in NAMES[:2] for end in ("", suffix)):
            notices.append(f"names of {len(names)} channels are not used, because signals have {len(signals[0])}")
        names = ()
    return signals, names


def given_names(arrays: Mapping[str, NDArray[Any]], suffix: str) -> tuple[str, ...]:
    """The names that an array of the file gives the channels; () where there is none.

    What is called `names` may be those of the records or of the classes instead.
    """
    for key in NAMES:
        for name in (f"{key}{suffix}", key):
            if name in arrays:
                found = tuple(name.strip() for name in as_texts(arrays[name]))
                others = (arrays[other] for other in ("classes", f"y{suffix}") if other in arrays)
                if key != "names" or not any(set(found) == set(as_texts(other.ravel())) for other in others):
                    return found
    return ()


def one_order(
    place: Path, parts: Parts, names: Mapping[str, tuple[str, ...]], notices: list[str]
) -> tuple[Parts, tuple[str, ...]]:
    """The splits with their channels in the order of the first, by name, and these names."""
    first, wanted = next(iter(names.items()))
    if not wanted:
        return parts, ()
    for split, own in names.items():
        if own:
            check_names(own, len(own), f"{place}, {split}")
            ordered = order_channels(wanted, own, f"{place}, {split}", first)
            notices += [f"{split}: {sentence}" for sentence in said_by_name(wanted, ordered, own)]
            places = [own.index(name) for name in ordered]
            if places != sorted(places):
                signals, labels = parts[split]
                parts[split] = ([signal[places] for signal in signals], labels)
        else:
            notices.append(f"{split} has no names of channels; they are read in the order of {first}")
    return parts, wanted


def with_numbers(place: Path, arrays: Mapping[str, NDArray[Any]], parts: Parts) -> tuple[Parts, tuple[str, ...] | None]:
    """The splits with their labels as numbers, and the names of the classes, where they have any.

    Raises DataError for a label that the file's own list of classes does not have.
    """
    classes = tuple(as_texts(np.atleast_1d(arrays["classes"]).ravel())) if "classes" in arrays else None
    if any(labels.dtype.kind not in "US" for _, labels in parts.values()):
        return parts, classes
    texts = {split: as_texts(labels.ravel()) for split, (_, labels) in parts.items()}
    if classes is None:
        classes, numbers = number_texts(texts)
    else:
        unknown = sorted({label for part in texts.values() for label in part} - set(classes))
        if unknown:
            raise DataError(f"No class of {place} is called {unknown[0]!r}. {did_you_mean(unknown[0], classes)}")
        numbers = {split: np.array([classes.index(label) for label in part], np.int64) for split, part in texts.items()}
    return {split: (signals, numbers[split]) for split, (signals, _) in parts.items()}, classes


def as_texts(array: NDArray[Any]) -> list[str]:
    """What an array of texts, or of other values, says; bytes are UTF-8."""
    return [
        value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value) for value in array.tolist()
    ]


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
    kinds = ("x", "y", "lengths", *NAMES)
    names = {f"{kind}{suffix}" for kind in kinds for suffix in SUFFIXES.values()} | {"classes"}
    arrays, name = {}, ""
    try:
        packed = place.stat().st_size if place.is_file() else None
        with opened(place) as members:
            for name in sorted(names & set(members)):
                if name.startswith(NAMES) and not is_list_of_texts(members[name]):
                    continue
                with members[name]() as file:
                    arrays[name] = read_npy(file, packed)
    except DataError:
        raise
    except Exception as error:  # archives and headers that are damaged raise anything: zlib.error, struct.error, ...
        member = f", {name}" if name else ""
        raise DataError(f"{place}{member} can't be read as an array of NumPy: {error}.") from error
    return arrays


def is_list_of_texts(member: Callable[[], IO[bytes]]) -> bool:
    with member() as file:
        shape, _, dtype = npy_header(file)
    return dtype.kind in "US" and len(shape) == 1


def check_arrays(place: Path, arrays: Mapping[str, Any]) -> list[str]:
    """The splits that are there. Raises DataError if one is incomplete, or there are none."""
    splits = [split for split, suffix in SUFFIXES.items() if f"x{suffix}" in arrays and f"y{suffix}" in arrays]
    kinds = ("x", "y", "lengths", *NAMES)
    known = {f"{kind}{SUFFIXES[split]}" for split in splits for kind in kinds} | {"classes", *NAMES}
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


def channels_first(where: str, x: NDArray[Any], notices: list[str], num_names: int = 0) -> Signal:
    """(N, L) as (N, 1, L); (N, C, L) as it is; (N, L, C) turned.

    It is turned where so many names tell that the last axis is that of the channels, or where there would be more
    channels than samples.
    """
    if x.ndim not in (2, 3):
        raise DataError(f"Signals are (N, length) or (N, channels, length). Received: {x.shape}, in {where}.")
    signals = x[:, None, :] if x.ndim == 2 else x
    _, first, second = signals.shape
    named = [num_names == first, num_names == second]
    if first > second if named in ([False, False], [True, True]) else named[1]:
        signals = signals.swapaxes(1, 2)
        notices.append(f"signals of {first} x {second} are read as {second} channels of {first} samples")
    return signals
