"""The evaluation of a classifier: every sample once, every headline metric with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.calibration import ReliabilityBin, expected_calibration_error, reliability
from neocog.evaluation.class_metrics import ClassFigures, class_figures, confusion_matrix, macro_f1, top_k_hits
from neocog.evaluation.evaluation import Evaluation, Exhibit, Row
from neocog.evaluation.intervals import Estimate, bootstrap, wilson
from neocog.evaluation.roc import macro_auroc
from neocog.evaluation.unusual import Unusual

__all__ = ["Calibration", "Classified", "ConfusionMatrix", "Mistake", "PerClass", "evaluate_classifier"]

NUM_MISTAKES = 24
MOST_ROWS, MOST_COLUMNS = 50, 20  # classes that a terminal shows
BAR = 20  # characters


@dataclass(frozen=True, slots=True)
class Mistake:
    """A misclassified sample: the less probable its true class, the worse."""

    key: str
    truth: str
    prediction: str
    probability: float
    truth_probability: float

    @property
    def target_text(self) -> str:
        return f"{self.truth} ({self.truth_probability:.1%})"

    @property
    def prediction_text(self) -> str:
        return f"{self.prediction} ({self.probability:.1%})"


@dataclass(frozen=True, slots=True)
class PerClass(Exhibit):
    """Precision, recall and F1 of each class."""

    figures: list[ClassFigures]

    kind = "classes"
    anchor = "classes"
    title = "Per-class metrics"

    def rows(self) -> list[Row]:
        shown = self.figures[:MOST_ROWS]
        return [
            ("class", "precision", "recall", "F1", "samples"),
            *(
                (row.name, *(f"{x:.4f}" for x in (row.precision, row.recall, row.f1)), f"{row.support:,}")
                for row in shown
            ),
        ]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix(Exhibit):
    """Counts by true class (rows) and predicted class (columns)."""

    classes: tuple[str, ...]
    counts: list[list[int]]

    kind = "confusion"
    anchor = "confusion"
    title = "Confusion matrix"

    def rows(self) -> list[Row]:
        if len(self.classes) > MOST_COLUMNS:
            return []
        cells = [tuple(str(count) if count else "." for count in row) for row in self.counts]
        named = [(name, *row) for name, row in zip(self.classes, cells, strict=True)]
        return [("true \\ predicted", *self.classes), *named]

    def frequent(self, most: int = 8) -> list[tuple[str, str, int]]:
        """True class, predicted class and count of the most frequent errors."""
        pairs = [
            (self.classes[i], self.classes[j], count)
            for i, row in enumerate(self.counts)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:most]


@dataclass(frozen=True, slots=True)
class Calibration(Exhibit):
    """Accuracy by confidence."""

    bins: list[ReliabilityBin]
    ece: Estimate
    temperature: float | None = None
    """By which logits are divided, if validation data has set it."""
    ece_before: Estimate | None = None
    """With a temperature of one."""

    kind = "calibration"
    anchor = "calibration"
    title = "Calibration"
    left = (3,)

    def rows(self) -> list[Row]:
        """A reliability diagram in characters: bars of accuracy, each with a mark at its confidence."""
        rows: list[Row] = [("confidence", "samples", "accuracy", "| = perfect calibration")]
        for bin in self.bins:
            bar = list(("█" * round(BAR * bin.accuracy)).ljust(BAR + 1))
            bar[round(BAR * bin.confidence)] = "|"
            rows.append((f"{bin.confidence:.1%}", f"{bin.count:,}", f"{bin.accuracy:.1%}", "".join(bar)))
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified(Evaluation):
    """All metrics of a classifier."""

    classes: tuple[str, ...]
    top1: Estimate
    top5: Estimate | None
    loss: Estimate
    macro_f1: Estimate
    ece: Estimate
    per_class: list[ClassFigures]
    confusion: list[list[int]]
    """Counts by true class (rows) and predicted class (columns)."""
    reliability: list[ReliabilityBin]
    mistakes: list[Mistake]
    """The worst first."""
    auroc: Estimate | None = None
    """The mean over classes of the area for one class against the rest; None if the split has one class."""
    temperature: float | None = None
    """By which logits were divided, if validation data had set it."""
    ece_before: Estimate | None = None
    """The calibration error with a temperature of one."""
    unusual: Unusual | None = None

    @property
    def metrics(self) -> dict[str, Estimate]:
        named = {
            "accuracy": self.top1,
            "top-5 accuracy": self.top5,
            "loss": self.loss,
            "macro F1": self.macro_f1,
            "macro AUROC": self.auroc,
            "calibration error (ECE)": self.ece,
            "ECE before calibration": self.ece_before,
        }
        return {name: estimate for name, estimate in named.items() if estimate is not None}

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return (
            PerClass(self.per_class),
            Calibration(self.reliability, self.ece, self.temperature, self.ece_before),
            ConfusionMatrix(self.classes, self.confusion),
            *((self.unusual,) if self.unusual else ()),
        )

    @property
    def worst_errors(self) -> list[Mistake]:
        return self.mistakes


def evaluate_classifier(
    logits: NDArray[np.floating],
    targets: NDArray[np.int64],
    classes: tuple[str, ...],
    keys: Sequence[str],
    *,
    data: str,
    split: str,
    temperature: float | None = None,
) -> Classified:
    """Score logits (N, K) against targets (N,) of records with these keys.

    With a temperature, logits are divided by it first. Top-5 accuracy is given for more than five classes. Intervals of
    shares are Wilson's, that of AUROC is DeLong's, and all others are bootstrapped over samples.
    """
    assert len(logits) == len(targets) == len(keys), "samples in = samples scored"
    scores = logits.astype(np.float64) / (temperature or 1.0)
    scores -= scores.max(axis=1, keepdims=True)
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    predictions = scores.argmax(axis=1)
    confidence = np.exp(log_probs.max(axis=1))
    correct = predictions == targets
    losses = -log_probs[np.arange(len(targets)), targets]
    confusion = confusion_matrix(targets, predictions, len(classes))
    num = len(targets)
    return Classified(
        data=data,
        split=split,
        count=num,
        classes=classes,
        top1=wilson(int(correct.sum()), num),
        top5=wilson(int(top_k_hits(scores, targets, 5).sum()), num) if len(classes) > 5 else None,
        loss=bootstrap(lambda values: float(values.mean()), losses),
        macro_f1=bootstrap(lambda truth, guess: macro_f1(truth, guess, len(classes)), targets, predictions),
        auroc=macro_auroc(log_odds(scores), targets),
        ece=bootstrap(expected_calibration_error, confidence, correct, method="basic"),
        temperature=temperature,
        ece_before=None if temperature is None else calibration_error(logits, targets),
        per_class=class_figures(confusion, classes),
        confusion=confusion.tolist(),
        reliability=reliability(confidence, correct),
        mistakes=worst_mistakes(log_probs, targets, classes, keys),
    )


def log_odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)) of softmax(scores), whose order is kept where p rounds to 1; (N, K) -> (N, K).

    >>> log_odds(np.array([[-50.0, 0.0], [-51.0, 0.0]]))[:, 1].tolist()
    [50.0, 51.0]
    """
    scores = scores - scores.max(axis=1, keepdims=True)
    exps, largest = np.exp(scores), np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
    rest = np.where(largest, 0.0, exps).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        odds: NDArray[np.float64] = scores - np.log(np.where(largest, rest, 1.0 + rest - exps))
    return odds


def calibration_error(logits: NDArray[np.floating], targets: NDArray[np.int64]) -> Estimate:
    """The expected calibration error of softmax(logits); (N, K), (N,) -> an estimate."""
    scores = logits.astype(np.float64)
    confidence = 1 / np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)
    return bootstrap(expected_calibration_error, confidence, scores.argmax(axis=1) == targets, method="basic")


def worst_mistakes(
    log_probs: NDArray[np.float64], targets: NDArray[np.int64], classes: tuple[str, ...], keys: Sequence[str]
) -> list[Mistake]:
    """The wrong predictions with the least probability for the true class."""
    predictions = log_probs.argmax(axis=1)
    own = log_probs[np.arange(len(targets)), targets]
    wrong = np.flatnonzero(predictions != targets)
    worst = wrong[np.argsort(own[wrong], kind="stable")][:NUM_MISTAKES]
    return [
        Mistake(
            keys[i],
            classes[targets[i]],
            classes[predictions[i]],
            float(np.exp(log_probs[i, predictions[i]])),
            float(np.exp(own[i])),
        )
        for i in worst.tolist()
    ]
