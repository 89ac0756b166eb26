"""Logistic regression of several labels on features, each on its own, with its penalty chosen on a held-out fifth.

    minimise over w, b:  mean over known targets of softplus(z) - t z, z = w x + b,  +  penalty / 2 * |w|^2

on features standardised to mean 0 and standard deviation 1 and turned to the axes of their variance, where the
curvature of each problem is nearly diagonal.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from neocog.evaluation import average_precisions, mean_known
from neocog.transfer.folds import assign_folds
from neocog.transfer.lbfgs import minimise

__all__ = ["LabelHead", "fit_labels"]

PENALTIES = tuple(10 ** (-i / 2) for i in range(-1, 7))
"""From strong to weak: 3.2 to 1e-3."""
PATIENCE = 2  # weaker penalties that make every label worse, after which the path ends
LOOSE, TIGHT = 3e-5, 1e-6  # of the mean loss: to compare penalties, and for the result
MOST_STEPS = 100
FOLDS = 5  # one of which is held out


@dataclass(frozen=True, slots=True, eq=False)
class LabelHead:
    """A fitted dense layer for several labels."""

    weight: Tensor
    """(K, D) float32, for features as they are."""
    bias: Tensor
    """(K,) float32."""
    penalties: tuple[float, ...]
    """Of each label."""
    mean_average_precision: float
    """On the fifth of the samples that was held out; NaN if no label is present there."""

    def __call__(self, features: Tensor) -> Tensor:
        """Features (N, D) -> logits (N, K)."""
        return F.linear(features, self.weight, self.bias)


def fit_labels(features: Tensor, targets: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0) -> LabelHead:
    """Fit a dense layer to features (N, D), or (A, N, D): A augmentations of the same N samples; targets (N, K).

    A target is 1, 0, or NaN if it isn't known. Samples of a group are held out together. A label that all or none of
    the known samples have gets a constant logit.

    >>> features = torch.eye(2).repeat(20, 1)
    >>> head = fit_labels(features, features.numpy())
    >>> (head(torch.eye(2)) > 0).tolist()
    [[True, False], [False, True]]
    """
    copies = features if features.ndim == 3 else features[None]
    labels = torch.as_tensor(np.asarray(targets, np.float32))
    held = torch.from_numpy(assign_folds(np.zeros(len(labels), np.int64), FOLDS, groups=groups, seed=seed) == 0)
    data = Turned.of(copies)
    known = ~labels.isnan()
    there = labels.nan_to_num(0.0)
    chosen, scores = choose_penalties(data, there, known & ~held[:, None], held, known)
    solution = data.solve(there, known, chosen, torch.zeros(labels.shape[1], data.rows.shape[1] + 1), TIGHT)
    weight, bias = data.turn_back(solution)
    precisions = average_precisions(scores[held].double().numpy(), labels[held].double().numpy())
    return LabelHead(weight, bias, tuple(chosen.tolist()), mean_known(precisions))


def choose_penalties(
    data: "Turned", labels: Tensor, trains: Tensor, held: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    """The penalty of each label (K,) with the least loss on held-out samples, and the logits (N, K) that it gives."""
    num, count = labels.shape
    x = torch.zeros(count, data.rows.shape[1] + 1)
    best, chosen = torch.full((count,), torch.inf), torch.full((count,), PENALTIES[0])
    scores, since = torch.zeros(num, count), 0
    measured = (known & held[:, None]).float()
    for penalty in PENALTIES:
        x = data.solve(labels, trains, torch.full((count,), penalty), x, LOOSE)
        logits = data.rows[:num] @ x[:, :-1].T + x[:, -1]
        losses = F.softplus(logits) - labels * logits
        mean = (losses * measured).sum(0) / measured.sum(0).clamp(min=1)
        better = mean < best
        best, chosen = torch.where(better, mean, best), torch.where(better, penalty, chosen)
        scores = torch.where(better, logits, scores)
        since = 0 if bool(better.any()) else since + 1
        if since == PATIENCE:
            break
    return chosen, scores


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """Standardised features along the axes of their variance, one row for each augmentation of each sample."""

    rows: Tensor
    """(A * N, D)."""
    axes: Tensor
    """(D, D): an orthonormal basis, an axis in each column."""
    curvature: Tensor
    """(D,): the variance along each axis."""
    mean: Tensor
    std: Tensor
    num_copies: int

    @classmethod
    def of(cls, copies: Tensor) -> "Turned":
        rows = copies.flatten(0, 1).float()
        std, mean = torch.std_mean(rows, 0, correction=0)
        std = torch.where(std > 1e-6 * std.max().clamp_min(1e-30), std, torch.ones_like(std))
        rows = (rows - mean) / std
        curvature, axes = torch.linalg.eigh(rows.T @ rows / len(rows))
        return cls(rows @ axes, axes, curvature.clamp(min=0), mean, std, len(copies))

    def solve(self, labels: Tensor, counts: Tensor, penalties: Tensor, start: Tensor, tolerance: float) -> Tensor:
        """The minimisers (K, D + 1), bias last, over the targets (N, K) that count; penalties are (K,)."""
        targets, weights = (each.repeat(self.num_copies, 1) for each in (labels, counts.float()))
        total = weights.sum(0).clamp(min=1)
        share = ((targets * weights).sum(0) / total).clamp(1e-4, 1 - 1e-4)
        spread = share * (1 - share)
        scale = torch.cat([1 / (spread[:, None] * self.curvature + penalties[:, None]), 1 / spread[:, None]], dim=1)

        def objective(x: Tensor) -> tuple[Tensor, Tensor]:
            weight = x[:, :-1]
            logits = torch.addmm(x[:, -1], self.rows, weight.T)
            values = ((F.softplus(logits) - targets * logits) * weights).sum(0) / total
            errors = (logits.sigmoid() - targets) * weights / total
            gradient = torch.cat([errors.T @ self.rows + penalties[:, None] * weight, errors.sum(0)[:, None]], dim=1)
            return values + penalties / 2 * weight.square().sum(1), gradient

        return minimise(objective, start, lambda gradient: gradient * scale, tolerance=tolerance, max_steps=MOST_STEPS)

    def turn_back(self, solution: Tensor) -> tuple[Tensor, Tensor]:
        """Weight (K, D) and bias (K,) for features as they were."""
        weight = (solution[:, :-1] @ self.axes.T) / self.std
        return weight, solution[:, -1] - weight @ self.mean
