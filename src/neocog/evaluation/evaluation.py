"""The measure of a classifier on a data set: every sample once, every headline with its interval."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.calibration import ReliabilityBin, expected_calibration_error, reliability
from neocog.evaluation.classification import (
    ClassFigures,
    class_figures,
    confusion_matrix,
    macro_f1,
    top_k_hits,
)
from neocog.evaluation.intervals import Estimate, bootstrap, wilson

__all__ = ["Evaluation", "Mistake", "evaluate_logits"]

NUM_MISTAKES = 24


@dataclass(frozen=True, slots=True)
class Mistake:
    """A record that was taken for another class: the surer the network was, the worse."""

    key: str
    truth: str
    prediction: str
    probability: float
    truth_probability: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one network on one split."""

    data: str
    split: str
    count: int
    classes: tuple[str, ...]
    top1: Estimate
    top5: Estimate | None
    loss: Estimate
    macro_f1: Estimate
    ece: Estimate
    per_class: list[ClassFigures]
    confusion: list[list[int]]
    """Counts by truth (rows) and prediction (columns)."""
    reliability: list[ReliabilityBin]
    mistakes: list[Mistake]
    """The worst first."""

    @property
    def headlines(self) -> dict[str, Estimate]:
        """The figures that stand for the whole, by name, in the order in which they are shown."""
        top5 = {"top-5 accuracy": self.top5} if self.top5 else {}
        rest = {"loss": self.loss, "macro F1": self.macro_f1, "calibration error (ECE)": self.ece}
        return {"accuracy": self.top1, **top5, **rest}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def evaluate_logits(
    logits: NDArray[np.floating],
    targets: NDArray[np.int64],
    classes: tuple[str, ...],
    keys: Sequence[str],
    *,
    data: str,
    split: str,
) -> Evaluation:
    """Measure logits (N, K) against targets (N,) of records with these names.

    Top-5 is given where there are more than five classes. Intervals of shares are Wilson's, all others are bootstrapped
    over records.
    """
    assert len(logits) == len(targets) == len(keys), "samples in = samples scored"
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    predictions = scores.argmax(axis=1)
    confidence = np.exp(log_probs.max(axis=1))
    correct = predictions == targets
    losses = -log_probs[np.arange(len(targets)), targets]
    confusion = confusion_matrix(targets, predictions, len(classes))
    num = len(targets)
    return Evaluation(
        data=data,
        split=split,
        count=num,
        classes=classes,
        top1=wilson(int(correct.sum()), num),
        top5=wilson(int(top_k_hits(scores, targets, 5).sum()), num) if len(classes) > 5 else None,
        loss=bootstrap(lambda values: float(values.mean()), losses),
        macro_f1=bootstrap(lambda truth, guess: macro_f1(truth, guess, len(classes)), targets, predictions),
        ece=bootstrap(expected_calibration_error, confidence, correct, method="basic"),
        per_class=class_figures(confusion, classes),
        confusion=confusion.tolist(),
        reliability=reliability(confidence, correct),
        mistakes=worst_mistakes(log_probs, targets, classes, keys),
    )


def worst_mistakes(
    log_probs: NDArray[np.float64], targets: NDArray[np.int64], classes: tuple[str, ...], keys: Sequence[str]
) -> list[Mistake]:
    """The wrong predictions with the least probability for the truth."""
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
