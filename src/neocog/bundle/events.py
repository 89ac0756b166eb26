"""A time line of events along a recording, from a network that gives each sample of a signal its class.

The recording is read in pieces and cut into windows that overlap. Their probabilities are blended where they overlap.
Only the samples that the next window may share are held, so a recording may be longer than memory.

    windows -> probabilities of each -> samples, blended -> runs of one class -> events

These are streams; None in one of the last three is a place where samples are missing, over which no event reaches.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.bundle.dense_pass import dense_batch
from neocog.bundle.predictor import Predictor
from neocog.bundle.windows import (
    Cutter,
    Recording,
    Span,
    Window,
    WindowFailure,
    chain_first,
    chain_last,
    check_network,
    read_recording,
    sample_step,
    window_samples,
)
from neocog.errors import ConfigError, DataError
from neocog.evaluation.signal_segmentation import find_events
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.views import OVERLAP
from neocog.progress import note
from neocog.tasks.stitch import edge_weights

__all__ = ["EventPrediction", "Run", "merge_runs", "predict_events"]


@dataclass(frozen=True, slots=True)
class EventPrediction:
    """Samples of one class that follow each other."""

    span: Span
    class_name: str
    probability: float
    """Of the class, the mean over the samples."""

    def to_json(self) -> dict[str, Any]:
        about = {"class": self.class_name, "probability": self.probability}
        return {"start": self.span.start, "end": self.span.end, **about}


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples that follow each other, and their class."""

    start: float
    """The time of the first sample."""
    last: float
    """The time of the last one."""
    label: int
    count: int
    sums: NDArray[np.float64]
    """Of the probabilities of the samples, (K,)."""

    def join(self, other: "Run") -> "Run":
        """With the samples of the next run; the class stays."""
        return replace(self, last=other.last, count=self.count + other.count, sums=self.sums + other.sums)


@dataclass(frozen=True, slots=True)
class PlacedWindow(Window):
    """A window, the times of its samples, and its place in the recording."""

    times: NDArray[np.float64]
    at: int
    """The number of its first sample. A gap in time counts as one sample."""


Samples = tuple[NDArray[np.float64], Tensor]
"""Times (n,) and probabilities (K, n) of samples that follow each other."""


def predict_events(
    predictor: Predictor,
    recording: Recording,
    window: str | int | None = None,
    hop: str | int | None = None,
    *,
    rate: float | None = None,
    shortest: str | int | None = None,
    merge: bool = False,
) -> Iterator[EventPrediction | WindowFailure]:
    """The events of a recording in their order: the runs of samples of one class, with their times.

    `window`, `hop` and `rate` are as for `predict_windows`; by default a window is as long as the network's input, and
    shares a quarter with the next. The last window of a stretch ends with it. Events shorter than `shortest` are left
    out, or with `merge` belong to those beside them (`merge_runs`). A window that the network can't take is a failure;
    samples that no other window holds have no class.

    Raises ConfigError for a network of another task, a hop that leaves samples out, and `merge` without `shortest`;
    DataError if the recording can't be read.
    """
    spec = check_network(predictor, each_sample=True)
    if merge and shortest is None:
        raise ConfigError(
            "--merge joins short events with those beside them, and --shortest says which are short.",
            received="--merge alone", fix="Add --shortest 200ms, or in samples: --shortest 10.",
        )  # fmt: skip
    name = "the recording" if isinstance(recording, np.ndarray) else str(recording)
    pieces = read_recording(recording, spec, name)
    first = next(pieces, None)
    if first is None:
        raise DataError("A recording has at least one sample.", received="none", where=name)
    step = sample_step(first, rate, name)
    size, stride = window_and_hop(spec, window, hop, step, name)
    least = 1 if shortest is None else window_samples(shortest, step, "shortest", name)
    cutter = CoveringCutter(size, stride, step, name)
    windows = chain_last((each for piece in chain_first(first, pieces) for each in cutter.add(piece)), cutter)
    runs = find_runs(blend(predict_probs(predictor, windows, name)))
    for run in merge_runs(runs, least) if merge else runs:
        if isinstance(run, WindowFailure):
            yield run
        elif run is not None and (merge or run.count >= least):
            span = Span(run.start, run.last + (step or 1.0), step is not None)
            yield EventPrediction(span, predictor.classes[run.label], float(run.sums[run.label] / run.count))


def window_and_hop(
    spec: SignalPreprocess, window: str | int | None, hop: str | int | None, step: float | None, name: str
) -> tuple[int, int]:
    """The samples of a window and of a hop."""
    size = spec.length if window is None else window_samples(window, step, "window", name)
    if size > spec.length and not spec.resamples(size):
        note(f"Windows of {size:,} samples are longer than the network's input, so windows have {spec.length:,}.")
        size = spec.length
    stride = max(1, int(size * (1 - OVERLAP))) if hop is None else window_samples(hop, step, "hop", name)
    if stride > size:
        raise ConfigError(
            "Each sample needs a window, so a hop is at most a window.",
            received=f"a hop of {stride:,} samples, and windows of {size:,}", where=name, fix="Leave --hop out.",
        )  # fmt: skip
    return size, stride


class CoveringCutter(Cutter):
    """Cuts pieces of a recording into windows that cover all of it: the last of a stretch ends with the stretch."""

    at = 0  # the number of the first sample that is held

    def extend(self, signal: NDArray[Any], times: NDArray[np.float64]) -> Iterator[Window]:
        held = signal if self.signal is None else np.concatenate([self.signal, signal], axis=1)
        times = times if self.signal is None else np.concatenate([self.times, times])
        start = self.skip
        while start + self.size <= held.shape[1]:
            yield self.window(held, times, start, start + self.size)
            self.cut_any = True
            start += self.stride
        gone = max(0, min(start, held.shape[1] - self.size))  # the last window may need what is held
        self.signal, self.times, self.skip = held[:, gone:], times[gone:], start - gone
        self.at += gone

    def end_stretch(self) -> Iterator[Window]:
        """The window that ends with the stretch, if samples are left."""
        if self.signal is not None:
            length = self.signal.shape[1]
            if not self.cut_any or self.skip - self.stride + self.size < length:
                yield self.window(self.signal, self.times, max(0, length - self.size), length)
            self.at += length + 1
        self.signal, self.skip, self.cut_any = None, 0, False

    def window(self, signal: NDArray[Any], times: NDArray[np.float64], start: int, stop: int) -> Window:
        found = super().window(signal, times, start, stop)
        return PlacedWindow(found.span, found.signal, times[start:stop], self.at + start)


def predict_probs(
    predictor: Predictor, windows: Iterator[Window], name: str
) -> Iterator[tuple[PlacedWindow, Tensor] | WindowFailure]:
    """Each window with the probabilities of its samples, (K, n), a batch at a time."""
    spec = predictor.preprocess
    assert isinstance(spec, SignalPreprocess)
    while batch := list(islice(windows, dense_batch(spec.shape))):
        decoded: list[Tensor | WindowFailure] = []
        for each in batch:
            try:
                decoded.append(spec.decode(each.signal, f"{name}, from {each.span.start:g}"))
            except DataError as error:
                decoded.append(WindowFailure(each.span, str(error)))
        read = [one for one in decoded if isinstance(one, Tensor)]
        found: Iterator[Tensor] = iter(predictor.logits(torch.stack(read)) if read else [])
        for each, one in zip(batch, decoded, strict=True):
            assert isinstance(each, PlacedWindow)
            yield one if isinstance(one, WindowFailure) else (each, at_samples(next(found), each.signal.shape[1], spec))


def at_samples(logits: Tensor, length: int, spec: SignalPreprocess) -> Tensor:
    """The probabilities of the samples of a window of this length, from logits (K, L) of an input; (K, length)."""
    probs = logits.float().softmax(dim=0)
    if not spec.resamples(length):
        return probs[:, :length]
    return F.interpolate(probs[None], length, mode="linear", align_corners=True)[0]  # as `stretch` does


def blend(
    found: Iterable[tuple[PlacedWindow, Tensor] | WindowFailure],
) -> Iterator[Samples | WindowFailure | None]:
    """The mean probabilities of each sample over its windows, with weights that fall towards a window's edges.

    Samples before the next window are final, and given out.
    """
    times, sums, at = np.empty(0), torch.empty(0), 0  # of the samples held: (n,), (K + 1, n) with the weights last
    for each in found:
        if isinstance(each, WindowFailure):
            yield each
            continue
        window, probs = each
        final = window.at - at
        if len(times):
            yield times[:final], (sums[:-1] / sums[-1])[:, :final]
        if final > len(times):  # a gap in time, or a window that failed
            yield None
        times, sums, at = times[final:], sums[..., final:], window.at
        more = len(window.times) - len(times)
        fresh = torch.zeros(len(probs) + 1, more)
        sums = torch.cat([sums, fresh], dim=1) if len(times) else fresh
        times = np.concatenate([times, window.times[len(times) :]])
        weights = edge_weights((probs.shape[1],))
        sums[:-1, : probs.shape[1]] += probs * weights
        sums[-1, : probs.shape[1]] += weights
    if len(times):
        yield times, sums[:-1] / sums[-1]


def find_runs(found: Iterable[Samples | WindowFailure | None]) -> Iterator[Run | WindowFailure | None]:
    """The runs of samples with the same most probable class."""
    held: Run | None = None
    for each in found:
        if isinstance(each, WindowFailure):
            yield each
            continue
        if each is None:
            if held is not None:
                yield held
            held = None
            yield None
            continue
        times, probs = each
        values = probs.double().numpy()
        for first, end, label in find_events(values.argmax(axis=0), len(values)):
            sums = values[:, first:end].sum(axis=1)
            run = Run(float(times[first]), float(times[end - 1]), label, end - first, sums)
            if held is not None and held.label == label:
                held = held.join(run)
                continue
            if held is not None:
                yield held
            held = run
    if held is not None:
        yield held


def merge_runs(runs: Iterable[Run | WindowFailure | None], least: int) -> Iterator[Run | WindowFailure]:
    """Runs of `least` samples or more: shorter ones become part of those beside them, the shortest first.

    If a short run lies between two of one class, all three are joined; else it goes to the longer of its neighbours, or
    the first of equal ones. A run without neighbours stays. Once a run is long enough, all before it is decided.
    """
    group: list[Run] = []
    for run in runs:
        if isinstance(run, WindowFailure):
            yield run
        elif run is None:
            yield from settle(group, least)
            group = []
        else:
            group.append(run)
            if run.count >= least:
                *settled, last = settle(group, least)
                yield from settled
                group = [last]
    yield from settle(group, least)


def settle(given: list[Run], least: int) -> list[Run]:
    """As `merge_runs`, for runs that follow each other without a gap."""
    num = len(given)
    runs = dict(enumerate(given))
    before, after = [num, *range(num)], [*range(1, num + 1), 0]  # `num` stands for no run, at both ends
    waiting = [(run.count, i) for i, run in runs.items() if run.count < least]
    heapq.heapify(waiting)

    def drop(i: int) -> None:
        after[before[i]], before[after[i]] = after[i], before[i]
        del runs[i]

    while waiting and len(runs) > 1:
        count, i = heapq.heappop(waiting)
        if i not in runs or runs[i].count != count:
            continue
        left, right = before[i], after[i]
        if left in runs and right in runs and runs[left].label == runs[right].label:
            kept, joined = left, runs[left].join(runs[i]).join(runs[right])
            drop(right)
        elif right not in runs or (left in runs and runs[left].count >= runs[right].count):
            kept, joined = left, runs[left].join(runs[i])
        else:
            kept, joined = right, replace(runs[i].join(runs[right]), label=runs[right].label)
        drop(i)
        runs[kept] = joined
        if joined.count < least:
            heapq.heappush(waiting, (joined.count, kept))
    return list(runs.values())
