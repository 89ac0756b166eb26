"""Predictions along a recording: one for each window, with the times at which it begins and ends.

The recording is read in pieces, and as many windows are computed at once as a batch has, so that a recording may be
longer than memory.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle.predictor import BATCH, Predictor
from neocog.bundle.signal_file import by_place, match_roles
from neocog.errors import ConfigError, DataError
from neocog.modalities.signal.on_disk import DiskSignal, open_npy
from neocog.modalities.signal.pieces import LOOK, Piece, read_pieces
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.signal.times import find_gaps, usual_step
from neocog.progress import note
from neocog.tasks import ClassPrediction, LabelPrediction, Prediction

__all__ = ["Span", "WindowFailure", "WindowPrediction", "merge_windows", "predict_windows", "window_samples"]

LENGTH = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>ms|s|sec|min|h)?", re.ASCII)
UNITS = {"ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
PIECE = 2**16  # samples of an array that are read at once

Recording = str | Path | NDArray[Any]
"""A .csv, .tsv or .npy file, or an array (channels, samples)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in seconds; in samples if the sampling rate is not known."""

    start: float
    end: float
    in_seconds: bool


@dataclass(frozen=True, slots=True)
class WindowPrediction:
    """The network's answer for one window."""

    span: Span
    prediction: Prediction

    def to_json(self) -> dict[str, Any]:
        return {"start": self.span.start, "end": self.span.end, **self.prediction.to_json()}


@dataclass(frozen=True, slots=True)
class WindowFailure:
    """A window that the network can't take, and why."""

    span: Span
    error: str


@dataclass(frozen=True, slots=True)
class MergedWindows:
    """Windows of equal class that follow each other."""

    span: Span
    classes: tuple[str, ...]
    """The class; of a network for several labels, those that hold."""
    probability: float | None
    """The mean of the windows'; None for several labels."""
    num_windows: int

    def to_json(self) -> dict[str, Any]:
        about = {"class": self.classes[0], "probability": self.probability}
        labels = {"labels": list(self.classes)}
        found = labels if self.probability is None else about
        return {"start": self.span.start, "end": self.span.end, **found, "windows": self.num_windows}


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a recording, and where it lies in time."""

    span: Span
    signal: NDArray[Any]


def predict_windows(
    predictor: Predictor,
    recording: Recording,
    window: str | int | None = None,
    hop: str | int | None = None,
    *,
    rate: float | None = None,
    top: int = 5,
) -> Iterator[WindowPrediction | WindowFailure]:
    """Predictions for the windows of a recording, in their order.

    `window` and `hop` are samples, or times such as "2s" and "500ms"; the hop is from the start of one window to that
    of the next, by default a window, and a window is by default as long as the network's input. Times come from the
    file's column of times, or else from `rate`, in samples per second; without either they are counted in samples. No
    window reaches over a gap in time: behind it, windows start again. A stretch that is shorter than a window is one
    window; of others, only whole windows are predicted.

    Raises ConfigError for a network whose input is not a signal or whose outputs have places, and for a length that is
    not one or needs a sampling rate; DataError if the recording can't be read.
    """
    spec = check_network(predictor)
    name = "the recording" if isinstance(recording, np.ndarray) else str(recording)
    pieces = read_recording(recording, spec, name)
    first = next(pieces, None)
    if first is None:
        raise DataError("A recording has at least one sample.", received="none", where=name)
    step = sample_step(first, rate, name)
    size = spec.length if window is None else window_samples(window, step, "window", name)
    stride = size if hop is None else window_samples(hop, step, "hop", name)
    if size > spec.length and spec.fit in ("crop", "tile"):
        note(f"Windows of {size:,} samples are cropped to their middle {spec.length:,}, the length of training.")
    cutter = Cutter(size, stride, step, name)
    windows = (each for piece in chain_first(first, pieces) for each in cutter.add(piece))
    yield from predict_batches(predictor, chain_last(windows, cutter), name, top)


def check_network(predictor: Predictor, *, each_sample: bool = False) -> SignalPreprocess:
    """The preprocessing of a network that takes signals, and gives a class to each or to `each_sample`.

    Raises ConfigError for another.
    """
    spec = predictor.preprocess
    if not isinstance(spec, SignalPreprocess):
        raise ConfigError(
            "Windows are cut from signals.", received=f"a network that takes {spec.modality} inputs",
            fix="Leave --window out.",
        )  # fmt: skip
    if predictor.task.dense != each_sample:
        rules = (
            "A network that gives each sample its class has events instead of windows.",
            "Events come from a network that gives each sample its class.",
        )
        raise ConfigError(
            rules[each_sample], received=f"a network for {predictor.task.name}",
            fix=f"Use predict_{'windows' if each_sample else 'events'}.",
        )  # fmt: skip
    return spec


def window_samples(given: str | int, step: float | None, what: str, where: str) -> int:
    """The samples of a length such as 500, "500", "2s" or "500ms"; `step` is the time between samples, in seconds.

    >>> window_samples("2s", 0.02, "window", "a.csv"), window_samples("500", None, "window", "a.csv")
    (100, 500)
    """
    match = LENGTH.fullmatch(str(given).strip())
    if match is None:
        rule = f"A {what} is a number of samples, or a time such as 2s, 500ms or 1min."
        raise ConfigError(rule, received=repr(given))
    number, unit = float(match["number"]), match["unit"]
    if unit is not None and step is None:
        fix = f"Add --rate and the samples per second, or give the {what} in samples: --{what} 100."
        rule = f"A {what} of {given} needs times, and {where} has none."
        raise ConfigError(rule, received="no column of times, and no rate", fix=fix)
    samples = number if unit is None or step is None else number * UNITS[unit] / step
    count = round(samples)
    if (unit is None and count != samples) or count < 1:
        rule, received = f"A {what} has at least one whole sample.", f"{given}, which is {samples:g} samples"
        raise ConfigError(rule, received=received, where=where, fix="Make it longer, or add a unit: 2s.")
    return count


def read_recording(recording: Recording, spec: SignalPreprocess, name: str) -> Iterator[Piece]:
    """A recording in pieces, its channels in the order of the network."""
    if isinstance(recording, np.ndarray):
        return array_pieces(recording, spec, name)
    path = Path(recording)
    if not path.is_file():
        raise DataError(f"{name} can't be read: it is not a file.", fix="Check the path.")
    if path.suffix.lower() == ".npy":
        return array_pieces(read_array(path), spec, name)
    if path.suffix.lower() not in (".csv", ".tsv"):
        rule = "A recording that is cut into windows is a .csv, .tsv or .npy file."
        raise DataError(rule, received=name)
    _, roles, notices = match_roles(path, spec, most=LOOK)
    for notice in notices:
        note(f"{notice} ({name})")
    return read_pieces(path, roles)


def read_array(path: Path) -> Any:
    """An .npy file, which stays on disk if it is large."""
    try:
        found: Any = open_npy(path)
        return np.load(path, allow_pickle=False) if found is None else found
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(f"{path} can't be read as a NumPy array: {error}.") from error


def array_pieces(array: Any, spec: SignalPreprocess, name: str) -> Iterator[Piece]:
    """An array (C, T), (T, C) or (T,), in memory or on disk."""
    signal = array if isinstance(array, DiskSignal) else np.atleast_2d(array)
    if signal.ndim != 2 or (signal.shape[0] != spec.channels and signal.shape[1] != spec.channels):
        rule = f"A recording is an array of {spec.channels} channels x samples."
        raise DataError(rule, received=str(tuple(signal.shape)), where=name)
    signal = signal if signal.shape[0] == spec.channels else signal.T
    for notice in by_place((), spec):
        note(f"{notice} ({name})")
    for start in range(0, signal.shape[1], PIECE):
        stop = min(start + PIECE, signal.shape[1])
        yield Piece(signal.cut(start, stop).read() if isinstance(signal, DiskSignal) else signal[:, start:stop])


def sample_step(first: Piece, rate: float | None, name: str) -> float | None:
    """The time between samples in seconds: by the column of times, else by the rate; None if neither is there."""
    if rate is not None and rate <= 0:
        raise ConfigError("--rate must be above 0.", received=f"{rate:g}")
    if first.times is not None and len(first.times) > 1:
        return usual_step(first.times, rate, name)
    return None if rate is None else 1 / rate


def chain_first(first: Piece, rest: Iterator[Piece]) -> Iterator[Piece]:
    yield first
    yield from rest


def chain_last(windows: Iterable[Window], cutter: "Cutter") -> Iterator[Window]:
    """The windows of the pieces, and the one of a short last stretch."""
    yield from windows
    yield from cutter.end_stretch()


class Cutter:
    """Cuts pieces of a recording into windows, and holds what the next windows need."""

    def __init__(self, size: int, stride: int, step: float | None, where: str) -> None:
        self.size, self.stride, self.step, self.where = size, stride, step, where
        self.signal: NDArray[Any] | None = None
        self.times = np.empty(0)
        self.place = 0  # of the next sample, in the recording
        self.skip = 0  # samples before the next window that have not come yet
        self.cut_any = False  # from this stretch

    def add(self, piece: Piece) -> Iterator[Window]:
        """The windows that are complete with this piece."""
        count = piece.values.shape[1]
        numbers = np.arange(self.place, self.place + count, dtype=np.float64)
        times = piece.times
        if times is None:
            times = numbers if self.step is None else numbers * self.step
            ends: list[int] = []
        else:
            assert self.step is not None or count == 1
            before = np.concatenate([self.times[-1:], times])
            gaps = find_gaps(before, self.step or 1.0, self.where) if len(before) > 1 else np.zeros(0, bool)
            ends = (np.flatnonzero(gaps) + (len(times) - len(gaps))).tolist()
        self.place += count
        for start, stop in zip([0, *ends], [*ends, count], strict=True):
            if start == stop:
                continue
            if start in ends:
                yield from self.end_stretch()
            yield from self.extend(piece.values[:, start:stop], times[start:stop])

    def extend(self, signal: NDArray[Any], times: NDArray[np.float64]) -> Iterator[Window]:
        """The windows that are complete with more samples of the same stretch."""
        held = signal if self.signal is None else np.concatenate([self.signal, signal], axis=1)
        times = times if self.signal is None else np.concatenate([self.times, times])
        start = self.skip
        while start + self.size <= held.shape[1]:
            yield self.window(held, times, start, start + self.size)
            self.cut_any = True
            start += self.stride
        gone = min(start, held.shape[1] - 1)  # the last sample stays, for the next piece's gap
        self.signal, self.times, self.skip = held[:, gone:], times[gone:], start - gone

    def end_stretch(self) -> Iterator[Window]:
        """The only window of a stretch that is shorter than one; nothing is held any more."""
        if self.signal is not None and not self.cut_any:
            yield self.window(self.signal, self.times, 0, self.signal.shape[1])
        self.signal, self.skip, self.cut_any = None, 0, False

    def window(self, signal: NDArray[Any], times: NDArray[np.float64], start: int, stop: int) -> Window:
        last = float(times[stop - 1]) + (self.step or 1.0)
        return Window(Span(float(times[start]), last, self.step is not None), signal[:, start:stop])


def predict_batches(
    predictor: Predictor, windows: Iterator[Window], name: str, top: int
) -> Iterator[WindowPrediction | WindowFailure]:
    """The predictions for windows, a batch at a time."""
    while batch := list(islice(windows, BATCH)):
        decoded: list[Any] = []
        for each in batch:
            try:
                decoded.append(predictor.preprocess.decode(each.signal, f"{name}, from {each.span.start:g}"))
            except DataError as error:
                decoded.append(WindowFailure(each.span, str(error)))
        read = [one for one in decoded if isinstance(one, torch.Tensor)]
        logits = predictor.logits(torch.stack(read)) if read else torch.empty(0)
        found = iter(predictor.task.predictions([name] * len(read), logits, top) if read else [])
        for each, one in zip(batch, decoded, strict=True):
            yield one if isinstance(one, WindowFailure) else WindowPrediction(each.span, next(found))


def merge_windows(found: Iterable[WindowPrediction | WindowFailure]) -> Iterator[MergedWindows | WindowFailure]:
    """Windows of equal class that follow each other as one span; of several labels, windows with the same labels.

    Where two spans meet, the border lies halfway between the centres of their neighbouring windows. Raises ConfigError
    for predictions that are not classes.
    """
    run: list[WindowPrediction] = []
    start = 0.0
    for each in found:
        if isinstance(each, WindowFailure):
            if run:
                yield merged(run, start, run[-1].span.end)
            run = []
            yield each
        elif run and follows(run[-1].span, each.span) and decided(run[-1]) == decided(each):
            run.append(each)
        else:
            border = each.span.start
            if run:
                meet = follows(run[-1].span, each.span)
                border = middle(run[-1].span, each.span) if meet else border
                yield merged(run, start, border if meet else run[-1].span.end)
            run, start = [each], border
            decided(each)
    if run:
        yield merged(run, start, run[-1].span.end)


def follows(one: Span, other: Span) -> bool:
    """Whether two windows overlap or touch; a thousandth of a window is rounding."""
    return other.start <= one.end + 1e-3 * (one.end - one.start)


def middle(one: Span, other: Span) -> float:
    """Halfway between the centres of two windows."""
    return (one.start + one.end + other.start + other.end) / 4


def decided(each: WindowPrediction) -> tuple[str, ...]:
    """The decision of the network for a window."""
    if isinstance(each.prediction, ClassPrediction):
        return (each.prediction.class_name,)
    if isinstance(each.prediction, LabelPrediction):
        return tuple(sorted(each.prediction.labels))
    raise ConfigError("Only windows of equal class can be merged.", received="numbers", fix="Leave --merge out.")


def merged(run: Sequence[WindowPrediction], start: float, end: float) -> MergedWindows:
    shares = [each.prediction.probability for each in run if isinstance(each.prediction, ClassPrediction)]
    mean = sum(shares) / len(shares) if shares else None
    return MergedWindows(Span(start, end, run[0].span.in_seconds), decided(run[0]), mean, len(run))
