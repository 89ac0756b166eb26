"""Signals and labels in one .npz file, or as .npy files of the same names in a folder.

Signals of one length are `x` (N, L) or (N, C, L). Signals of different lengths follow each other in `x` (sum of
lengths, C), with `lengths` (N,). Labels are `y`: whole numbers or texts (N,), numbers to predict (N,) or (N, D) of
floats, or several labels (N, K) of 0 and 1; `classes` may name them, and `channels` the channels, which may also be the
fields of a structured `x`. A class for each sample is `y` (N, L), or (sum of lengths,) with `lengths`; -1 and 255 are
samples without a label.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.files import plain_files
from neocog.dataset.labels import number_labels, number_texts
from neocog.dataset.npy_files import npy_header, read_npy
from neocog.dataset.record import UNLABELLED, unlabelled_samples
from neocog.dataset.targets import LABEL_TASKS, Targets, check_task, known_rows, number_targets, plain_targets
from neocog.errors import DataError, some
from neocog.modalities.signal.channel_names import SHOWN, check_names, has_fields, order_channels, split_fields
from neocog.modalities.signal.segments import SegmentSource
from neocog.modalities.signal.source import Signal, SignalSource

__all__ = ["is_signal_npz", "open_signal_npz"]

SUFFIXES = {"all": "", "train": "_train", "val": "_val", "test": "_test"}
NAMES = ("channels", "channel_names", "names")
KINDS = ("x", "y", "lengths", *NAMES)
Members = Mapping[str, Callable[[], IO[bytes]]]
Parts = dict[str, tuple[Any, NDArray[Any]]]


def is_signal_npz(path: Path) -> bool:
    """Whether `x` is of fractions or signed integers, in 2 or 3 axes, or `lengths` lie beside it.

    Images are of unsigned integers. A folder is looked into if it holds one .npz file, or .npy files.
    """
    place = find_arrays(path)
    if place is None:
        return False
    try:
        with open_members(place) as members:
            suffix = next(suffix for suffix in SUFFIXES.values() if f"x{suffix}" in members)
            with members[f"x{suffix}"]() as file:
                shape, _, dtype = npy_header(file)
            axes = (2, 3) if dtype.kind in "fic" else (2,) if has_fields(dtype) else ()
            return len(shape) in axes or (f"lengths{suffix}" in members and len(shape) in (1, 2))
    except Exception:  # whatever a damaged file is, it is not recognised as signals
        return False


def open_signal_npz(path: Path, *, columns: Sequence[str] = (), task: str | None = None) -> SignalSource:
    """The source that these arrays make; a split's arrays are `x_train`, `lengths_train`, `y_train` and so on.

    `columns` are the channels by name, if not all are meant.
    Raises DataError if a file is damaged, lacks these names, or holds objects, or if arrays don't match.
    """
    place = find_arrays(path)
    if place is None:
        raise DataError("Signals are one .npz file, or x.npy and y.npy.", received="neither", where=str(path))
    arrays, notices = read_arrays(place), list[str]()
    parts: Parts = {}
    names: dict[str, tuple[str, ...]] = {}
    for split in check_arrays(place, arrays):
        suffix = SUFFIXES[split]
        signals, names[split] = read_part(f"{place}, x{suffix}", arrays, suffix, notices)
        y = arrays[f"y{suffix}"]
        parts[split] = (signals, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
    channels = one_order(place, parts, names, notices)
    if task in (None, "signal segmentation") and any(has_class_for_each(x, labels) for x, labels in parts.values()):
        segments = open_segments(place, arrays, parts, channels, notices)
        return segments.with_columns(columns) if columns else segments
    found = number_labelled(place, arrays, parts, task)
    notices += found.notices
    parts = {
        split: (signals if known.all() else [signals[k] for k in np.flatnonzero(known).tolist()], targets[known])
        for split, (signals, _) in parts.items()
        for targets in [found.by_split[split]]
        for known in [known_rows(targets)]
    }
    missing = {split: len(found.by_split[split]) - len(targets) for split, (_, targets) in parts.items()}
    notices += [unlabelled_samples(split, count) for split, count in missing.items() if count]
    source = SignalSource(
        place.stem, parts, found.classes or None,
        channel_names=channels, notices=tuple(notices), format="signal-npz", task=found.task,
    )  # fmt: skip
    return source.with_columns(columns) if columns else source


def has_class_for_each(signals: Sequence[Signal], labels: NDArray[Any]) -> bool:
    """Whether labels are those of each sample: (N, L), or one after the other as many as all samples."""
    if labels.dtype.kind not in "iuUS":
        return False
    if labels.ndim == 2:
        return all(signal.shape[1] == labels.shape[1] > 1 for signal in signals)
    return len(labels) > len(signals) and len(labels) == sum(signal.shape[1] for signal in signals)


def open_segments(
    place: Path, arrays: Mapping[str, NDArray[Any]], parts: Parts, channels: tuple[str, ...], notices: list[str]
) -> SegmentSource:
    """The source of signals with a class for each sample."""
    flat = {split: labels.ravel() for split, (_, labels) in parts.items()}
    given = as_texts(np.atleast_1d(arrays["classes"]).ravel()) if "classes" in arrays else None
    texts = any(labels.dtype.kind in "US" for labels in flat.values())
    names: list[str] = given or []
    if texts:
        written = sorted({text for labels in flat.values() for text in as_texts(np.unique(labels))} - {""})
        names = given or list(number_texts({"all": written})[0])
        index = {name: k for k, name in enumerate(names)} | {"": UNLABELLED}
        if unknown := [text for text in written if text not in index]:
            rule = f"Labels are among the classes that the file names: {some(names, 10)}."
            raise DataError(rule, received=some(map(repr, unknown)), where=str(place))
        flat = {split: np.array([index[text] for text in as_texts(labels)]) for split, labels in flat.items()}
    unknown_label = {-1, UNLABELLED}
    highest = max(
        (int(k) for labels in flat.values() for k in np.unique(labels) if int(k) not in unknown_label), default=-1
    )
    names = names or [str(k) for k in range(highest + 1)]
    lowest = min(int(labels.min(initial=0)) for labels in flat.values())
    if lowest < -1 or highest >= min(len(names), UNLABELLED):
        rule = f"Labels of samples number the {len(names)} classes from 0; -1 and {UNLABELLED} are samples without one."
        raise DataError(rule, received=str(lowest if lowest < -1 else highest), where=str(place))
    pairs = {}
    for split, (signals, _) in parts.items():
        own = np.where(flat[split] == -1, UNLABELLED, flat[split]).astype(np.uint8)
        ends = np.cumsum([signal.shape[1] for signal in signals])[:-1]
        pairs[split] = list(zip(signals, np.split(own, ends), strict=True))
    about = tuple(notices)
    return SegmentSource(place.stem, pairs, names, channel_names=channels, notices=about, format="signal-npz")


def read_part(
    where: str, arrays: Mapping[str, NDArray[Any]], suffix: str, notices: list[str]
) -> tuple[Any, tuple[str, ...]]:
    """A split's signals as (C, length) each, and the names of their channels, if the file has any."""
    x, lengths = arrays[f"x{suffix}"], arrays.get(f"lengths{suffix}")
    names = given_names(arrays, suffix)
    if has_fields(x.dtype):
        if lengths is None and x.ndim != 2:
            rule = "Signals with a field for each channel are (N, length); with lengths (N,), (sum of lengths,)."
            raise DataError(rule, received=str(x.shape), where=where)
        x, fields = split_fields(x, 1 if lengths is not None else x.ndim - 1)
        if names and names != fields:
            received = f"the fields {some(fields, SHOWN)}, and other names, {some(names, SHOWN)}"
            raise DataError("Channels are named once.", received=received, where=where, fix="Remove one of them.")
        names = fields
    signals = cut(where, x, lengths) if lengths is not None else channels_first(where, x, notices, len(names))
    if names and len(signals) and len(names) != len(signals[0]):
        if any(f"{key}{end}" in arrays for key in NAMES[:2] for end in ("", suffix)):
            notices.append(f"names of {len(names)} channels are not used, because signals have {len(signals[0])}")
        names = ()
    return signals, names


def given_names(arrays: Mapping[str, NDArray[Any]], suffix: str) -> tuple[str, ...]:
    """The names that an array of the file gives the channels; () if there is none.

    An array `names` may be those of the samples or of the classes instead.
    """
    for key in NAMES:
        for name in (f"{key}{suffix}", key):
            if name in arrays:
                found = tuple(name.strip() for name in as_texts(arrays[name]))
                others = (arrays[other] for other in ("classes", f"y{suffix}") if other in arrays)
                if key != "names" or not any(set(found) == set(as_texts(other.ravel())) for other in others):
                    return found
    return ()


def one_order(place: Path, parts: Parts, names: Mapping[str, tuple[str, ...]], notices: list[str]) -> tuple[str, ...]:
    """Bring the channels of the splits into the order of the first, by name; these names."""
    first, wanted = next(iter(names.items()))
    for split, own in names.items() if wanted else ():
        if own:
            check_names(own, len(own), f"{place}, {split}")
            ordered, told = order_channels(wanted, own, f"{place}, {split}", first)
            notices += [f"{split}: {sentence}" for sentence in told]
            places = [own.index(name) for name in ordered]
            if places != sorted(places):
                signals, labels = parts[split]
                parts[split] = ([signal[places] for signal in signals], labels)
        else:
            notices.append(f"{split} has no names of channels; they are read in the order of {first}")
    return wanted


def number_labelled(place: Path, arrays: Mapping[str, NDArray[Any]], parts: Parts, task: str | None) -> Targets:
    """The targets of each split; of classes without names, their numbers as they are.

    Raises DataError for a label that is not in the file's own list of classes, ConfigError for a task that the labels
    can't be for.
    """
    check_task(task, LABEL_TASKS, str(place))
    classes = tuple(as_texts(np.atleast_1d(arrays["classes"]).ravel())) if "classes" in arrays else None
    labels = {split: labels for split, (_, labels) in parts.items()}
    if all(own.dtype.kind in "US" for own in labels.values()):
        check_task(task, ("classification",), str(place))
        texts = {split: as_texts(own.ravel()) for split, own in labels.items()}
        if classes is None:
            return Targets("classification", *number_texts(texts))
        return Targets("classification", *number_labels(texts, classes, str(place))[:2])
    whole = all(own.dtype.kind in "iu" and own.ndim == 1 for own in labels.values())
    if any(own.dtype.kind not in "fiub" for own in labels.values()) or (whole and task in (None, "classification")):
        return Targets("classification", classes or (), labels)
    plain = {split: plain_targets(own, f"{place}, {split}") for split, own in labels.items()}
    return number_targets(plain, classes, str(place), task)


def as_texts(array: NDArray[Any]) -> list[str]:
    """The values of an array as texts; bytes are UTF-8."""
    found = array.tolist()
    return [value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value) for value in found]


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
def open_members(place: Path) -> Iterator[Members]:
    """How to open each array, by its name in small letters: `X_train` is read as `x_train`."""
    with ExitStack() as stack:
        members: dict[str, Callable[[], Any]]
        if place.is_dir():
            files = [file for file in plain_files(place) if file.suffix.lower() == ".npy"]
            members = {file.stem: partial(file.open, "rb") for file in files}
        else:
            archive = stack.enter_context(zipfile.ZipFile(place))
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            members = {name.removesuffix(".npy"): partial(archive.open, name) for name in names}
        small = {name.lower(): member for name, member in members.items()}
        if len(small) < len(members):
            ways = f"it holds {', '.join(sorted(members))}"
            raise DataError(f"{place} can be read in two ways: {ways}.", fix="Rename one of them.")
        yield small


def read_arrays(place: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a data set; others, such as `names` that are not a list of texts, are left unread."""
    wanted = {f"{kind}{suffix}" for kind in KINDS for suffix in SUFFIXES.values()} | {"classes"}
    arrays, name = {}, ""
    try:
        packed = place.stat().st_size if place.is_file() else None
        with open_members(place) as members:
            for name in sorted(wanted & set(members)):
                with members[name]() as file:
                    shape, _, dtype = npy_header(file)
                if name.startswith(NAMES) and (dtype.kind not in "US" or len(shape) != 1):
                    continue
                with members[name]() as file:
                    arrays[name] = read_npy(file, packed)
    except DataError:
        raise
    except Exception as error:  # archives and headers that are damaged raise anything: zlib.error, struct.error, ...
        member = f", {name}" if name else ""
        raise DataError(f"{place}{member} can't be read as a NumPy array: {error}.") from error
    return arrays


def check_arrays(place: Path, arrays: Mapping[str, Any]) -> list[str]:
    """The splits that are there. Raises DataError if one is incomplete, or there are none."""
    splits = [split for split, suffix in SUFFIXES.items() if f"x{suffix}" in arrays and f"y{suffix}" in arrays]
    known = {f"{kind}{SUFFIXES[split]}" for split in splits for kind in KINDS} | {"classes", *NAMES}
    if not splits or not set(arrays) <= known:
        rule = "A data set of signals holds x and y, or x_train and y_train, and so on for val and test."
        raise DataError(rule, received=", ".join(sorted(arrays)) or "none of them", where=str(place))
    if "all" in splits and len(splits) > 1:
        raise DataError(f"{place} can be read in two ways: x and y, or by split.", fix="Remove one of them.")
    return splits


def cut(where: str, x: NDArray[Any], lengths: NDArray[Any]) -> list[Signal]:
    """(sum of lengths, C) or (sum of lengths,) as N signals (C, length)."""
    rows = x[:, None] if x.ndim == 1 else x
    if rows.ndim != 2:
        raise DataError("With lengths, x is (sum of lengths, channels).", received=str(x.shape), where=where)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths.size and int(lengths.min()) < 1):
        rule = "lengths must be whole numbers of at least 1, one for each signal."
        raise DataError(rule, received=f"{lengths.dtype} {lengths.shape}", where=where)
    whole = lengths.tolist()
    if sum(whole) != len(rows):
        received = f"{sum(whole):,} and {len(rows):,}"
        raise DataError("lengths must add up to the rows of x.", received=received, where=where)
    return [part.T for part in np.split(rows, np.cumsum(lengths, dtype=np.int64)[:-1])] if whole else []


def channels_first(where: str, x: NDArray[Any], notices: list[str], num_names: int = 0) -> Signal:
    """(N, L) as (N, 1, L); (N, C, L) as it is; (N, L, C) transposed.

    It is transposed if the number of names tells that the last axis is that of the channels, or if there would be more
    channels than samples.
    """
    if x.ndim not in (2, 3):
        raise DataError("Signals are (N, length) or (N, channels, length).", received=str(x.shape), where=where)
    signals = x[:, None, :] if x.ndim == 2 else x
    _, first, second = signals.shape
    named = [num_names == first, num_names == second]
    if first > second if named in ([False, False], [True, True]) else named[1]:
        signals = signals.swapaxes(1, 2)
        notices.append(f"signals of {first} x {second} are read as {second} channels of {first} samples")
    return signals
