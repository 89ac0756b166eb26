"""How much features tell about targets: k-nearest neighbours and a linear probe, fitted to some samples, scored on
others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.errors import ConfigError, DataError
from neocog.evaluation import Evaluation, evaluate_classifier, evaluate_labels, evaluate_values
from neocog.transfer.knn import neighbour_means
from neocog.transfer.labels import fit_labels
from neocog.transfer.logistic import fit_logistic
from neocog.transfer.ridge import fit_ridge

__all__ = ["SCORED", "LabelledFeatures", "score_knn", "score_probe"]

SCORED = ("classification", "next move", "multi-label", "regression")
"""Tasks with one target for each sample, which features can be scored by."""
LEAST = 1e-6  # share of a class that has no vote, so that its logarithm is finite


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFeatures:
    """Features and targets of the samples of one split."""

    features: NDArray[np.float32]
    """(N, D)."""
    targets: NDArray[Any]
    """(N,) classes; (N, K) of 1, 0 and NaN for several labels; (N,) or (N, K) numbers."""
    keys: Sequence[str]
    """The names of the samples, (N,)."""

    def __len__(self) -> int:
        return len(self.features)

    @property
    def tensor(self) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.features))

    @property
    def rows(self) -> NDArray[np.float64]:
        """The targets as (N, K) float64."""
        values = np.asarray(self.targets, np.float64)
        return values[:, None] if values.ndim == 1 else values


Predict = Callable[[LabelledFeatures, LabelledFeatures, str, int], NDArray[np.float64]]
"""From training and test features, the task and the number of classes, to logits or values (M, K)."""


def score_knn(
    train: LabelledFeatures,
    test: LabelledFeatures,
    *,
    task: str,
    classes: tuple[str, ...],
    k: int = 20,
    data: str = "features",
    split: str = "test",
) -> Evaluation:
    """The metrics of weighted k-nearest neighbours with cosine similarity; see `neighbour_means`.

    A class gets the share of the votes that it has, a label the mean of 1 and 0, a number the mean of the numbers.
    Raises ConfigError for a task without one target for each sample, and a k that isn't in 1..N; DataError without
    samples.

    >>> train = LabelledFeatures(np.eye(2, dtype=np.float32).repeat(5, axis=0), np.arange(10) // 5, ["a"] * 10)
    >>> score_knn(train, train, task="classification", classes=("x", "y"), k=3).metrics["accuracy"].value
    1.0
    """

    def predict(train: LabelledFeatures, test: LabelledFeatures, task: str, num_classes: int) -> NDArray[np.float64]:
        by_class = task in ("classification", "next move")
        values = np.eye(num_classes)[train.targets] if by_class else train.rows
        means = neighbour_means(train.tensor, torch.from_numpy(values), test.tensor, k)
        if task == "regression":
            return means.nan_to_num(float(np.nanmean(values))).numpy()
        shares = means.nan_to_num(0.5).clamp(LEAST, 1 - LEAST)
        return (shares.log() if by_class else shares.logit()).numpy()

    return score(predict, train, test, task, classes, data, split)


def score_probe(
    train: LabelledFeatures,
    test: LabelledFeatures,
    *,
    task: str,
    classes: tuple[str, ...],
    data: str = "features",
    split: str = "test",
) -> Evaluation:
    """The metrics of a linear probe: logistic regression for classes and labels, ridge regression for numbers.

    Penalties are chosen on training samples that are held out (`fit_logistic`, `fit_labels`, `fit_ridge`).
    Raises ConfigError for a task without one target for each sample; DataError without samples, or too few of them.

    >>> train = LabelledFeatures(np.eye(2, dtype=np.float32).repeat(5, axis=0), np.arange(10) // 5, ["a"] * 10)
    >>> score_probe(train, train, task="classification", classes=("x", "y")).metrics["accuracy"].value
    1.0
    """
    predict = {"regression": predict_numbers, "multi-label": predict_labels}.get(task, predict_classes)
    return score(predict, train, test, task, classes, data, split)


def score(
    predict: Predict,
    train: LabelledFeatures,
    test: LabelledFeatures,
    task: str,
    classes: tuple[str, ...],
    data: str,
    split: str,
) -> Evaluation:
    """The metrics of what `predict` makes of the test features. Raises ConfigError and DataError as above."""
    if task not in SCORED:
        raise ConfigError(
            "Features are scored by one target for each sample: a class, labels, or numbers.",
            received=f"data for {task}", fix="Leave k-NN and probe out.",
        )  # fmt: skip
    for part, name in ((train, "fit to"), (test, "score on")):
        if not len(part):
            raise DataError(f"There must be samples to {name}.", received="none", where=data)
    found = predict(train, test, task, len(classes))
    if task == "regression":
        return evaluate_values(found, test.rows, classes, test.keys, data=data, split=split)
    if task == "multi-label":
        half = np.full(len(classes), 0.5)
        return evaluate_labels(found, test.rows, half, classes, test.keys, data=data, split=split)
    targets = np.asarray(test.targets, np.int64)
    return evaluate_classifier(found, targets, classes, test.keys, data=data, split=split)


def predict_numbers(
    train: LabelledFeatures, test: LabelledFeatures, task: str, num_classes: int
) -> NDArray[np.float64]:
    return fit_ridge(train.tensor, train.rows)(test.tensor).numpy()


def predict_classes(
    train: LabelledFeatures, test: LabelledFeatures, task: str, num_classes: int
) -> NDArray[np.float64]:
    head = fit_logistic(train.tensor, train.targets, num_classes)
    return head(test.tensor).double().numpy()


def predict_labels(train: LabelledFeatures, test: LabelledFeatures, task: str, num_classes: int) -> NDArray[np.float64]:
    return fit_labels(train.tensor, train.rows)(test.tensor).double().numpy()
