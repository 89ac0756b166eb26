"""The evaluation of a class for each sample of a signal: samples counted in a confusion matrix, and events matched."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.evaluation import Evaluation, Exhibit, Row
from neocog.evaluation.intervals import Estimate
from neocog.evaluation.segmentation import BACKGROUND, class_dices, list_shares, mean_known
from neocog.evaluation.weighted import bootstrap_counts

__all__ = [
    "EventFigures", "PerEvent", "SignalErrors", "SignalSegmented", "evaluate_segments", "event_counts", "find_events",
]  # fmt: skip

OVERLAP = 0.5  # of a predicted event and a true one, from which on they are the same; Lea et al. 2017, F1@50
MOST_ROWS = 50
NUM_WORST = 12
Event = tuple[int, int, int]
"""First sample, the one behind the last, and class."""


@dataclass(frozen=True, slots=True)
class EventFigures:
    """The figures of one class, over all signals of the split."""

    name: str
    f1: float
    precision: float
    recall: float
    event_f1: float
    samples: int
    """Of the class, by the true labels."""
    events: int
    """Of the class, by the true labels."""


@dataclass(frozen=True, slots=True)
class PerEvent(Exhibit):
    """The figures of each class."""

    figures: list[EventFigures]

    anchor = "classes"
    title = "Per-class metrics"

    def rows(self) -> list[Row]:
        head = ("class", "F1", "precision", "recall", "event F1", "samples", "events")
        shares = [
            (x.name, *(f"{value:.4f}" for value in (x.f1, x.precision, x.recall, x.event_f1))) for x in self.figures
        ]
        counts = [(f"{x.samples:,}", f"{x.events:,}") for x in self.figures]
        return [head, *(one + other for one, other in zip(shares[:MOST_ROWS], counts, strict=False))]


@dataclass(frozen=True, slots=True)
class SignalErrors:
    """A signal whose classes are far off; the texts say by how much."""

    key: str
    target_text: str
    prediction_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSegmented(Evaluation):
    """All metrics of a network that gives each sample of a signal its class."""

    classes: tuple[str, ...]
    f1: Estimate
    event_f1: Estimate
    sample_accuracy: Estimate
    per_class: list[EventFigures]
    confusion: list[list[int]]
    """Samples by true class (rows) and predicted class (columns)."""
    worst: list[SignalErrors]

    @property
    def metrics(self) -> dict[str, Estimate]:
        return {"F1": self.f1, "event F1": self.event_f1, "sample accuracy": self.sample_accuracy}

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return (PerEvent(self.per_class),)

    @property
    def worst_errors(self) -> list[SignalErrors]:
        return self.worst


def find_events(labels: NDArray[np.integer], num_classes: int) -> list[Event]:
    """The runs of one class, in order; samples that are not known end a run.

    >>> find_events(np.array([0, 0, 1, 255, 1]), 2)
    [(0, 2, 0), (2, 3, 1), (4, 5, 1)]
    """
    edges = np.flatnonzero(np.diff(labels)) + 1
    starts, ends = [0, *edges.tolist()], [*edges.tolist(), len(labels)]
    return [(a, b, int(labels[a])) for a, b in zip(starts, ends, strict=True) if labels[a] < num_classes]


def event_counts(found: NDArray[np.integer], truth: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """Events of each class that were found, predicted, and true; (L,), (L,) -> (K, 3).

    An event is a run of samples of one class. A predicted one is found if it overlaps a true one of its class by at
    least half of their union, each matched once, those that overlap most first. Samples whose truth is not known don't
    count. Source: Lea et al. 2017, "Temporal convolutional networks for action segmentation and detection", section 4,
    the segmental F1 score at 50%.

    >>> event_counts(np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), 2).tolist()
    [[1, 2, 1], [0, 1, 1]]
    """
    found = np.where(truth < num_classes, found, num_classes)
    predicted, real = find_events(found, num_classes), find_events(truth, num_classes)
    counts = np.zeros((num_classes, 3), np.int64)
    for k, events in ((1, predicted), (2, real)):
        np.add.at(counts[:, k], [label for _, _, label in events], 1)
    pairs, first = [], 0
    for i, (a, b, label) in enumerate(predicted):
        while first < len(real) and real[first][1] <= a:
            first += 1
        for j in range(first, len(real)):
            start, end, other = real[j]
            if start >= b:
                break
            overlap = (min(b, end) - max(a, start)) / (max(b, end) - min(a, start))
            if other == label and overlap >= OVERLAP:
                pairs.append((-overlap, i, j))
    taken: tuple[set[int], set[int]] = (set(), set())
    for _, i, j in sorted(pairs):
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            counts[predicted[i][2], 0] += 1
    return counts


def events_f1(counts: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    """2 found / (predicted + true); NaN where there is neither; (..., 3) -> (...)."""
    found, predicted, real = np.moveaxis(counts.astype(np.float64), -1, 0)
    total = predicted + real
    return np.asarray(np.divide(2 * found, total, out=np.full_like(found, np.nan), where=total > 0))


def share(part: NDArray[np.integer], whole: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))


def evaluate_segments(
    confusions: NDArray[np.int64],
    events: NDArray[np.int64],
    classes: tuple[str, ...],
    keys: Sequence[str],
    *,
    data: str,
    split: str,
) -> SignalSegmented:
    """Metrics of N signals from their confusion matrices (N, K, K) and event counts (N, K, 3).

    F1 is that of the samples of all signals together, class by class, averaged over the classes that occur (macro).
    Event F1 is that of the events of all classes together but one called background. Intervals are bootstrapped over
    signals.
    """
    num, count = len(confusions), len(classes)
    flat = confusions.reshape(num, -1).astype(np.float64)
    foreground = np.array([name.lower() not in BACKGROUND for name in classes])
    foreground = foreground if foreground.any() else np.ones(count, bool)
    own = events[:, foreground].sum(axis=1).astype(np.float64)

    def pooled(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((counts @ flat).reshape(count, count))

    def accuracy(counts: NDArray[np.float64]) -> float:
        total = pooled(counts)
        return float(np.trace(total) / max(1.0, total.sum()))

    total, all_events = confusions.sum(axis=0), events.sum(axis=0)
    hits = np.diagonal(total)
    figures = zip(
        classes, np.nan_to_num(class_dices(total)).tolist(), share(hits, total.sum(axis=0)).tolist(),
        share(hits, total.sum(axis=1)).tolist(), np.nan_to_num(events_f1(all_events)).tolist(),
        total.sum(axis=1).tolist(), all_events[:, 2].tolist(), strict=True,
    )  # fmt: skip
    return SignalSegmented(
        data=data,
        split=split,
        count=num,
        classes=classes,
        f1=bootstrap_counts(lambda counts: mean_known(class_dices(pooled(counts))), num, flat.size),
        event_f1=bootstrap_counts(lambda counts: float(np.nan_to_num(events_f1(counts @ own))), num, own.size),
        sample_accuracy=bootstrap_counts(accuracy, num, flat.size, is_share=True),
        per_class=[EventFigures(*row) for row in figures],
        confusion=total.tolist(),
        worst=worst_signals(confusions, classes, keys),
    )


def worst_signals(confusions: NDArray[np.int64], classes: tuple[str, ...], keys: Sequence[str]) -> list[SignalErrors]:
    """The signals with the smallest share of samples whose class is right."""
    totals = confusions.sum(axis=(1, 2))
    right = np.trace(confusions, axis1=1, axis2=2) / np.maximum(1, totals)
    found: list[SignalErrors] = []
    for i in np.argsort(right, kind="stable").tolist():
        if right[i] == 1 or len(found) == NUM_WORST:
            break
        if totals[i]:
            truth = list_shares(confusions[i].sum(axis=1), classes)
            found.append(SignalErrors(keys[i], truth, f"{right[i]:.1%} of the samples are right"))
    return found
