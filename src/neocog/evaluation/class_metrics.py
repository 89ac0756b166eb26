"""Metrics of a classifier: pure functions of targets and predictions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClassFigures", "class_figures", "confusion_matrix", "macro_f1", "top_k_hits"]

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Metrics of one class; 0 / 0 is 0, as in scikit-learn."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def confusion_matrix(targets: Labels, predictions: Labels, num_classes: int) -> NDArray[np.int64]:
    """Counts by true class (rows) and predicted class (columns); (N,), (N,) -> (K, K).

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(targets * num_classes + predictions, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def shares(
    confusion: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1 of each class; (K, K) -> three of (K,)."""
    hits, predicted, actual = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(actual, 1)
    return precision, recall, 2 * hits / np.maximum(predicted + actual, 1)


def class_figures(confusion: NDArray[np.int64], classes: tuple[str, ...]) -> list[ClassFigures]:
    """One row for each class, in order."""
    support = confusion.sum(axis=1).tolist()
    rows = zip(classes, *(values.tolist() for values in shares(confusion)), support, strict=True)
    return [ClassFigures(*row) for row in rows]


def macro_f1(targets: Labels, predictions: Labels, num_classes: int) -> float:
    """The mean of the classes' F1, over the classes that occur in either."""
    confusion = confusion_matrix(targets, predictions, num_classes)
    occurs = confusion.sum(axis=0) + confusion.sum(axis=1) > 0
    return float(shares(confusion)[2][occurs].mean())


def top_k_hits(logits: NDArray[np.floating], targets: Labels, k: int) -> NDArray[np.bool_]:
    """Whether fewer than k classes have a higher logit than the target; ties count for the target.

    Shapes: (N, K), (N,) -> (N,).
    """
    own = logits[np.arange(len(targets)), targets]
    return np.asarray((logits > own[:, None]).sum(axis=1) < k)
