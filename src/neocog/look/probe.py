"""Ridge regression on a kernel, cross-validated in closed form, and intervals of what it finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "Interval", "Probe", "assign_folds", "fit_classes", "paired_loss", "probe_accuracy", "recognises", "share",
]  # fmt: skip

NUM_FOLDS = 5
PENALTIES = (0.01, 0.1, 1.0)
"""Tried for each probe, times the mean of the kernel's diagonal."""
Z = 1.959964
"""The normal quantile of a two-sided 95% interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95% interval.

    >>> Interval(0.5, 0.4, 0.6).percent()
    '50.0% [40.0%, 60.0%]'
    """

    value: float
    low: float
    high: float

    def percent(self) -> str:
        return f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}]"


def share(hits: float, num: int) -> Interval:
    """The share of hits among `num` trials. Source: Wilson 1927.

    >>> share(90, 100).percent()
    '90.0% [82.6%, 94.5%]'
    """
    value = hits / num
    middle = (value + Z**2 / (2 * num)) / (1 + Z**2 / num)
    half = Z / (1 + Z**2 / num) * float(np.sqrt(value * (1 - value) / num + Z**2 / (4 * num**2)))
    return Interval(value, max(0.0, middle - half), min(1.0, middle + half))


def paired_loss(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Interval:
    """How much of a share of hits is lost between two outcomes of the same trials. Source: Bonett & Price 2012.

    >>> paired_loss(np.array([True] * 90 + [False] * 10), np.array([True] * 80 + [False] * 20)).percent()
    '10.0% [3.4%, 16.2%]'
    """
    num = len(before)
    lost, gained = (int(before[~after].sum()) + 1) / (num + 2), (int(after[~before].sum()) + 1) / (num + 2)
    half = Z * float(np.sqrt((lost + gained - (lost - gained) ** 2) / (num + 2)))
    return Interval(float(before.mean() - after.mean()), lost - gained - half, lost - gained + half)


def assign_folds(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fold of each sample, each class spread over all folds; (N,) -> (N,).

    >>> assign_folds(np.array([0, 0, 0, 1, 1, 1])).tolist()
    [0, 1, 2, 3, 4, 0]
    """
    folds = np.empty(len(labels), np.int64)
    folds[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % NUM_FOLDS
    return folds


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """The coefficients of a ridge regression for each fold, fitted without the samples of that fold."""

    folds: NDArray[np.int64]
    coefficients: tuple[Tensor, ...]
    """(N, K) for each fold; zero for the fold's own samples."""
    penalty: float
    """Relative to the mean of the kernel's diagonal."""

    def predict(self, kernel: Tensor) -> Tensor:
        """Predictions for N samples, each by the fit that has not seen it; (N, N) of them with the fitted -> (N, K)."""
        predicted = kernel.new_zeros(len(kernel), self.coefficients[0].shape[1])
        for fold, coefficients in enumerate(self.coefficients):
            rows = torch.from_numpy(self.folds == fold)
            predicted[rows] = kernel[rows] @ coefficients
        return predicted

    @classmethod
    def fit(
        cls, kernel: Tensor, targets: Tensor, folds: NDArray[np.int64], penalties: Sequence[float] = PENALTIES
    ) -> "Probe":
        """Fit with the penalty whose squared error in cross-validation is smallest; (N, N), (N, K) float64.

        The fits without each fold follow from one inverse, as leave-one-out residuals do from the hat matrix.
        """
        scale = float(kernel.diagonal().mean()) or 1.0
        found: list[tuple[float, int, Probe]] = []
        for number, penalty in enumerate(penalties):
            identity = torch.eye(len(kernel), dtype=kernel.dtype)
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(kernel + (penalty * scale) * identity))
            whole = inverse @ targets
            parts: list[Tensor] = []
            for fold in range(NUM_FOLDS):
                rows = torch.from_numpy(np.flatnonzero(folds == fold))
                parts.append(whole - inverse[:, rows] @ torch.linalg.solve(inverse[rows][:, rows], whole[rows]))
            probe = cls(folds, tuple(parts), penalty)
            found.append((float((probe.predict(kernel) - targets).square().mean()), number, probe))
        return min(found, key=lambda each: each[:2])[2]


def with_intercept(kernel: Tensor, like: Tensor) -> Tensor:
    """A kernel plus a constant, so that a regression on it has an intercept."""
    return kernel + like.diagonal().mean()


def class_numbers(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The classes that occur, numbered from 0; (N,) -> (N,).

    >>> class_numbers(np.array([7, 3, 7])).tolist()
    [1, 0, 1]
    """
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def fit_classes(
    kernel: Tensor, labels: NDArray[np.int64], folds: NDArray[np.int64], penalties: Sequence[float] = PENALTIES
) -> Probe:
    """A probe that names classes, fitted to 1 for a sample's class and 0 for the others; (N, N), (N,)."""
    numbers = class_numbers(labels)
    targets = torch.eye(int(numbers.max()) + 1, dtype=kernel.dtype)[torch.from_numpy(numbers)]
    return Probe.fit(with_intercept(kernel, kernel), targets, folds, penalties)


def recognises(probe: Probe, kernel: Tensor, like: Tensor, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the probe names each sample's class; `kernel` (N, N) of samples with the fitted, `like` of these."""
    named = probe.predict(with_intercept(kernel, like)).argmax(dim=1).numpy()
    return np.asarray(named == class_numbers(labels))


def probe_accuracy(kernel: Tensor, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each sample's class is named by the fit that hasn't seen it; (N, N) float64, (N,) -> (N,)."""
    return recognises(fit_classes(kernel, labels, assign_folds(labels)), kernel, kernel, labels)
