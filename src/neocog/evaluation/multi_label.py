"""The evaluation of several labels for each sample: every label on its own, then their means."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.evaluation import Evaluation, Exhibit, Row
from neocog.evaluation.intervals import Estimate, bootstrap
from neocog.evaluation.weighted import Statistic, bootstrap_counts

__all__ = [
    "LabelErrors", "LabelFigures", "MultiLabelled", "average_precisions", "best_thresholds", "evaluate_labels",
    "mean_average_precision",
]  # fmt: skip

NUM_WORST = 24
MOST_ROWS = 50  # labels that a terminal shows
FEW = 10  # positives of a label below which its own threshold would be chance


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Average precision, and precision, recall and F1 at the threshold."""

    name: str
    average_precision: float | None
    """None for a label that no sample has."""
    precision: float
    recall: float
    f1: float
    support: int
    """Samples that have the label."""
    threshold: float


@dataclass(frozen=True, slots=True)
class PerLabel(Exhibit):
    """The figures of each label."""

    figures: list[LabelFigures]

    anchor = "labels"
    title = "Labels"

    def rows(self) -> list[Row]:
        head = ("label", "average precision", "precision", "recall", "F1", "threshold", "samples")
        shown = self.figures[:MOST_ROWS]
        rows = [
            (
                each.name,
                "-" if each.average_precision is None else f"{each.average_precision:.4f}",
                *(f"{x:.4f}" for x in (each.precision, each.recall, each.f1)),
                f"{each.threshold:.3f}",
                f"{each.support:,}",
            )
            for each in shown
        ]
        return [head, *rows]


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """A sample whose labels are far from the predicted ones."""

    key: str
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    loss: float

    @property
    def target_text(self) -> str:
        return ", ".join(self.labels) or "none"

    @property
    def prediction_text(self) -> str:
        return ", ".join(self.predicted) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLabelled(Evaluation):
    """All metrics of a network that gives several labels."""

    classes: tuple[str, ...]
    mean_average_precision: Estimate
    micro_f1: Estimate
    macro_f1: Estimate
    loss: Estimate
    per_label: list[LabelFigures]
    worst: list[LabelErrors]

    @property
    def metrics(self) -> dict[str, Estimate]:
        return {
            "mAP": self.mean_average_precision,
            "micro F1": self.micro_f1,
            "macro F1": self.macro_f1,
            "loss": self.loss,
        }

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return (PerLabel(self.per_label),)

    @property
    def worst_errors(self) -> list[LabelErrors]:
        return self.worst


class Ranking:
    """One label's scores, sorted once, so that its average precision under any weights of the samples is cheap."""

    def __init__(self, scores: NDArray[np.float64], present: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.present = present[self.order]
        # Samples of equal score can't be told apart by a threshold: only the last of them ends a step of the curve.
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.empty(0, int)

    def average_precision(self, weights: NDArray[np.float64]) -> float:
        """The sum over thresholds of precision times the step of recall; NaN without a positive sample."""
        drawn = weights[self.order]
        hits, seen = np.cumsum(drawn * self.present)[self.ends], np.cumsum(drawn)[self.ends]
        if not len(hits) or hits[-1] == 0:
            return float("nan")
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        return float((np.diff(hits, prepend=0.0) * precision).sum() / hits[-1])


def rankings(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> list[tuple[NDArray[np.int64], Ranking]]:
    """For each label the samples for which it is known, and their ranking."""
    found = []
    for k in range(scores.shape[1]):
        known = np.flatnonzero(~np.isnan(targets[:, k]))
        found.append((known, Ranking(scores[known, k], targets[known, k] > 0.5)))
    return found


def average_precisions(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The average precision of each label; NaN for one without a positive sample; (N, K), (N, K) -> (K,).

    A target is 1, 0, or NaN where it isn't known. Equal to scikit-learn's average_precision_score.

    >>> scores, targets = np.array([[0.9], [0.8], [0.1]]), np.array([[1.0], [0.0], [1.0]])
    >>> average_precisions(scores, targets).round(4).tolist()
    [0.8333]
    """
    return np.array([ranks.average_precision(np.ones(len(known))) for known, ranks in rankings(scores, targets)])


def mean_average_precision(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> Statistic:
    """The mean of `average_precisions` as a function of how often each sample counts, (N,); 0 without a positive one.

    >>> scores, targets = np.array([[0.9], [0.8], [0.1]]), np.array([[1.0], [0.0], [1.0]])
    >>> statistic = mean_average_precision(scores, targets)
    >>> round(statistic(np.ones(3)), 4), statistic(np.array([1.0, 0.0, 1.0]))
    (0.8333, 1.0)
    """
    ranked = rankings(scores, targets)

    def value(counts: NDArray[np.float64]) -> float:
        found = np.array([ranks.average_precision(counts[rows]) for rows, ranks in ranked])
        there = ~np.isnan(found)
        return float(found[there].mean()) if there.any() else 0.0

    return value


def best_thresholds(probs: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The threshold of each label with the highest F1; (N, K), (N, K) -> (K,).

    A label with fewer than ten positive samples gets the threshold that is best for all labels together: its own would
    be chance.

    >>> probs, targets = np.repeat([[0.9], [0.7], [0.2]], 10, axis=0), np.repeat([[1.0], [1.0], [0.0]], 10, axis=0)
    >>> best_thresholds(probs, targets).round(2).tolist()
    [0.45]
    """
    known = ~np.isnan(targets)
    common = best_threshold(probs[known], targets[known] > 0.5)
    own = []
    for k in range(probs.shape[1]):
        rows = known[:, k]
        present = targets[rows, k] > 0.5
        own.append(best_threshold(probs[rows, k], present) if present.sum() >= FEW else common)
    return np.array(own)


def best_threshold(probs: NDArray[np.float64], present: NDArray[np.bool_]) -> float:
    """The threshold with the highest F1, halfway between two probabilities; 0.5 without a positive sample."""
    if not present.any():
        return 0.5
    order = np.argsort(-probs, kind="stable")
    ranked, hits = probs[order], np.cumsum(present[order])
    taken = np.arange(1, len(ranked) + 1)
    f1 = 2 * hits / (taken + present.sum())
    f1[np.append(ranked[1:] == ranked[:-1], False)] = -1  # no threshold parts equal probabilities
    best = int(f1.argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    middle = (ranked[best] + below) / 2
    return float(middle if middle > below else ranked[best])  # neighbouring floats have nothing between them


def label_figures(
    present: NDArray[np.bool_], given: NDArray[np.bool_], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1 of each label, 0 if nothing is there to divide by; (N, K) each -> (K,) each."""
    hits = (present & given & known).sum(axis=0).astype(float)
    taken, real = (given & known).sum(axis=0), (present & known).sum(axis=0)
    return share(hits, taken), share(hits, real), share(2 * hits, taken + real)


def share(part: NDArray[np.float64], whole: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return found


def f1_statistics(
    present: NDArray[np.bool_], given: NDArray[np.bool_], known: NDArray[np.bool_]
) -> tuple[Statistic, Statistic]:
    """Micro and macro F1 as functions of how often each sample counts; (N, K) each."""
    hit = (present & given & known).astype(float)
    total = (given & known).astype(float) + (present & known)

    def micro(counts: NDArray[np.float64]) -> float:
        whole = (counts @ total).sum()
        return float(2 * (counts @ hit).sum() / whole) if whole else 0.0

    def macro(counts: NDArray[np.float64]) -> float:
        return float(share(2 * (counts @ hit), counts @ total).mean())

    return micro, macro


def evaluate_labels(
    logits: NDArray[np.floating],
    targets: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    classes: tuple[str, ...],
    keys: Sequence[str],
    *,
    data: str,
    split: str,
) -> MultiLabelled:
    """Score logits (N, K) against targets (N, K) of 1, 0 and NaN (not known), at these thresholds (K,).

    mAP is the mean over labels that a sample of the split has; F1 counts a label that nothing has and nothing is given
    as 0, as scikit-learn does. All intervals are bootstrapped over samples.
    """
    assert len(logits) == len(targets) == len(keys), "samples in = samples scored"
    values = logits.astype(np.float64)
    known, present = ~np.isnan(targets), targets > 0.5
    probs = 1 / (1 + np.exp(-values.clip(-700, 700)))
    given = probs >= thresholds
    losses = np.where(known, np.logaddexp(0, np.where(present, -values, values)), 0.0)
    per_sample = losses.sum(axis=1) / np.maximum(1, known.sum(axis=1))
    num = len(targets)
    micro, macro = f1_statistics(present, given, known)
    precision, recall, f1 = label_figures(present, given, known)
    precisions = average_precisions(values, targets)
    worst = np.argsort(-per_sample, kind="stable")[:NUM_WORST]
    wrong = [i for i in worst.tolist() if ((present[i] != given[i]) & known[i]).any()]
    named = np.array(classes, dtype=object)
    return MultiLabelled(
        data=data,
        split=split,
        count=num,
        classes=classes,
        mean_average_precision=bootstrap_counts(
            mean_average_precision(values, targets), num, logits.size, is_share=True
        ),
        micro_f1=bootstrap_counts(micro, num, logits.size),
        macro_f1=bootstrap_counts(macro, num, logits.size),
        loss=bootstrap(lambda values: float(values.mean()), per_sample),
        per_label=[
            LabelFigures(
                name, None if np.isnan(precisions[k]) else float(precisions[k]), float(precision[k]),
                float(recall[k]), float(f1[k]), int((present & known)[:, k].sum()), float(thresholds[k]),
            )
            for k, name in enumerate(classes)
        ],
        worst=[
            LabelErrors(keys[i], tuple(named[present[i] & known[i]]), tuple(named[given[i]]), float(per_sample[i]))
            for i in wrong
        ],
    )  # fmt: skip
