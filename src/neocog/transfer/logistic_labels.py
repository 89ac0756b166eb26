"""Logistic regression of several labels at once, with one penalty chosen on samples that are held out.

    minimise over w, b of each label:  mean over n of crossentropy(sigmoid(w x_n + b), y_n)  +  penalty / 2 * |w|^2

on features standardised to mean 0 and standard deviation 1. A label that is not known (NaN) is left out of its mean.
All labels share the matrix products.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.rng import derive_seed
from neocog.transfer.lbfgs import minimise
from neocog.transfer.logistic import LOOSE, PENALTIES, TIGHT, Standardised

__all__ = ["LabelsHead", "fit_labels"]

HELD_OUT = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class LabelsHead:
    """A fitted dense layer for several labels."""

    weight: Tensor
    """(K, D) float32, for features as they are."""
    bias: Tensor
    """(K,) float32."""
    penalty: float

    def __call__(self, features: Tensor) -> Tensor:
        """Features (N, D) -> logits (N, K)."""
        return F.linear(features, self.weight, self.bias)


def fit_labels(features: Tensor, labels: NDArray[np.float64], *, seed: int = 0) -> LabelsHead:
    """Fit a dense layer to features (N, D) and labels (N, K) of 1, 0 and NaN.

    The penalty is the one with the least cross-entropy on a fifth of the samples, over all labels. A label that all
    or no samples have gets a constant logit, the logarithm of its odds with half a sample added to each side.

    >>> features = torch.eye(2).repeat(10, 1)
    >>> head = fit_labels(features, np.array([[1.0, 0.0], [0.0, 0.0]] * 10))
    >>> (head(torch.eye(2)) > 0).tolist()
    [[True, False], [False, False]]
    """
    known = ~np.isnan(labels)
    present, absent = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    odds = torch.from_numpy(np.log((present + 0.5) / (absent + 0.5))).float()
    varies = np.flatnonzero((present > 0) & (absent > 0))
    weight, bias = torch.zeros(labels.shape[1], features.shape[1]), odds
    if not len(varies):
        return LabelsHead(weight, bias, PENALTIES[0])
    data = Standardised.of(features[None], torch.zeros(len(features), dtype=torch.int64), len(varies), None)
    targets = torch.from_numpy(np.nan_to_num(labels[:, varies])).to(data.rows)
    weights = torch.from_numpy(known[:, varies]).to(data.rows)
    problem = Problem(data.rows, targets, *torch.linalg.eigh(data.curvature))
    order = np.random.default_rng(derive_seed(seed, "labels")).permutation(len(features))
    held = torch.zeros(len(features), 1, dtype=torch.bool)
    held[order[: round(HELD_OUT * len(order))]] = True
    penalty = search_penalty(problem, weights * ~held, weights * held)
    start = torch.zeros(len(varies), data.rows.shape[1] + 1).to(data.rows)
    solution = problem.solve(weights, penalty, start, TIGHT[data.rows.dtype])
    weight[varies], bias[varies] = data.unscale(solution)
    return LabelsHead(weight, bias, penalty)


def search_penalty(problem: "Problem", train: Tensor, held: Tensor) -> float:
    """The penalty, from strong to weak, after which held-out cross-entropy rises; weights (N, K) of both parts."""
    x = torch.zeros(train.shape[1], problem.rows.shape[1] + 1).to(problem.rows)
    best, chosen = torch.inf, PENALTIES[0]
    for penalty in PENALTIES:
        x = problem.solve(train, penalty, x, LOOSE)
        loss = float(problem.losses(x, held / held.sum(dim=0).clamp_min(1)).sum())
        if loss > best:
            break
        best, chosen = loss, penalty
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Standardised rows (N, R), targets (N, K), and the eigenvalues (R,) and vectors (R, R) of the rows' curvature."""

    rows: Tensor
    targets: Tensor
    curvature: Tensor
    basis: Tensor

    def logits(self, x: Tensor) -> Tensor:
        return torch.addmm(x[:, -1], self.rows, x[:, :-1].T)

    def losses(self, x: Tensor, weights: Tensor) -> Tensor:
        """The weighted cross-entropy of each label; weights (N, K) -> (K,)."""
        logits = self.logits(x)
        return ((F.softplus(logits) - logits * self.targets) * weights).sum(dim=0)

    def solve(self, weights: Tensor, penalty: float, start: Tensor, tolerance: float) -> Tensor:
        """The minimisers (K, R + 1), bias last, of the samples by their weights (N, K)."""
        shares = weights / weights.sum(dim=0).clamp_min(1)

        def objective(x: Tensor) -> tuple[Tensor, Tensor]:
            logits, w = self.logits(x), x[:, :-1]
            values = ((F.softplus(logits) - logits * self.targets) * shares).sum(dim=0)
            errors = (logits.sigmoid() - self.targets) * shares
            gradient = torch.cat([errors.T @ self.rows + penalty * w, errors.sum(dim=0)[:, None]], dim=1)
            return values + penalty / 2 * w.square().sum(dim=1), gradient

        probs = self.logits(start).sigmoid()
        rates = (self.targets * shares).sum(dim=0)
        spread = torch.minimum((probs * (1 - probs) * shares).sum(dim=0), rates * (1 - rates)).clamp_min(1e-4)[:, None]

        def precondition(gradient: Tensor) -> Tensor:
            turned = gradient[:, :-1] @ self.basis / (spread * self.curvature.clamp_min(0) + penalty)
            return torch.cat([turned @ self.basis.T, gradient[:, -1:] / spread], dim=1)

        return minimise(objective, start, precondition, tolerance=tolerance)
