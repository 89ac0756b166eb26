"""Ridge regression on features, with the penalty of each output chosen by leave-one-out in closed form.

    minimise over w, b:  |X w + b - y|^2 + penalty * |w|^2

on features standardised to mean 0 and standard deviation 1. With X = U S V', the fit is U shrink U' y for
shrink = S^2 / (S^2 + penalty), and the error of sample i, if it is left out, is its residual / (1 - leverage i).
Source: Hastie, Tibshirani & Friedman 2009, "The elements of statistical learning", sections 3.4.1 and 7.10.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from neocog.errors import DataError

__all__ = ["PENALTIES", "RidgeHead", "fit_ridge"]

PENALTIES = tuple(10.0**power for power in np.arange(-6, 2.5, 0.5).tolist())
"""Tried for each output, times the number of samples."""
FLAT = 1e-6  # a standard deviation below this share of the largest is rounding
NOTHING = 1e-12  # a squared singular value below this share of the largest is rounding


@dataclass(frozen=True, slots=True, eq=False)
class RidgeHead:
    """A fitted dense layer for numbers."""

    weight: Tensor
    """(K, D) float64, for features as they are."""
    bias: Tensor
    """(K,) float64."""
    penalties: tuple[float, ...]
    """Of each output."""

    def __call__(self, features: Tensor) -> Tensor:
        """Features (N, D) -> values (N, K), in the unit of the targets."""
        return features.double() @ self.weight.T + self.bias


def fit_ridge(features: Tensor, values: ArrayLike) -> RidgeHead:
    """Fit a dense layer from features (N, D) to values (N, K) or (N,); NaN values, which aren't known, are left out.

    Raises DataError for an output with fewer than three known values.

    >>> features = torch.arange(20.0).view(10, 2)
    >>> head = fit_ridge(features, (3 * features[:, 0] + 1).numpy())
    >>> head(torch.tensor([[4.0, 5.0]])).round(decimals=2).tolist()
    [[13.0]]
    """
    targets = torch.from_numpy(np.array(values, np.float64).reshape(len(features), -1))
    weights, biases, penalties = list[Tensor](), list[Tensor](), list[float]()
    for column in targets.T:
        known = ~column.isnan()
        if int(known.sum()) < 3:
            raise DataError(
                "A linear probe needs at least three known values of each output.", received=str(int(known.sum())),
                fix="Add samples, or leave this output out.",
            )  # fmt: skip
        weight, bias, penalty = fit_one(features[known].double(), column[known])
        weights.append(weight)
        biases.append(bias)
        penalties.append(penalty)
    return RidgeHead(torch.stack(weights), torch.stack(biases), tuple(penalties))


def fit_one(features: Tensor, values: Tensor) -> tuple[Tensor, Tensor, float]:
    """Weight (D,), bias () and penalty of one output; (N, D), (N,) float64."""
    std, mean = torch.std_mean(features, 0, correction=0)
    std = torch.where(std > FLAT * std.max().clamp_min(1e-30), std, torch.ones_like(std))
    rows = (features - mean) / std
    left, squares, right = decompose(rows)
    middle = values.mean()
    along, spread = left.T @ (values - middle), left**2
    best: tuple[float, float] | None = None
    for penalty in PENALTIES:
        shrink = squares / (squares + penalty * len(rows))
        residuals = values - middle - left @ (shrink * along)
        errors = residuals / (1 - 1 / len(rows) - spread @ shrink).clamp_min(1e-12)
        loss = float((errors**2).mean())
        if best is None or loss < best[0]:
            best = loss, penalty
    assert best is not None
    weight = right @ (squares.sqrt() / (squares + best[1] * len(rows)) * along) / std
    return weight, middle - weight @ mean, best[1]


def decompose(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U (N, R), S^2 (R,) and V (D, R) of rows (N, D), from the eigenvectors of the smaller of X'X and XX'."""
    wide = len(rows) < rows.shape[1]
    squares, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = squares > NOTHING * squares.max().clamp_min(1e-300)
    squares, vectors = squares[kept], vectors[:, kept]
    other = (rows.T @ vectors if wide else rows @ vectors) / squares.sqrt()
    return (vectors, squares, other) if wide else (other, squares, vectors)
