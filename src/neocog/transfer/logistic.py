"""Multinomial logistic regression on features, with its penalty chosen by cross-validation.

    minimise over W, b:  sum_n w_n * crossentropy(W x_n + b, y_n) / sum_n w_n  +  penalty / 2 * |W|^2

on features standardised to mean 0 and standard deviation 1. A path of penalties is followed from strong to weak, each
problem starting from the last one's solution, for all folds at once. scikit-learn's C is 1 / (penalty * N).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neocog.errors import DataError
from neocog.evaluation.intervals import Estimate, wilson
from neocog.transfer.folds import ALWAYS_TRAIN, assign_folds
from neocog.transfer.lbfgs import minimise

__all__ = ["LogisticHead", "fit_at", "fit_logistic"]

PENALTIES = tuple(10 ** (-i / 2) for i in range(-1, 11))
"""From strong to weak: 3.2 to 1e-5."""
PATIENCE = 1  # weaker penalties in a row that make it worse, after which the path ends
LOOSE = 3e-5  # of the mean loss: enough to compare penalties
TIGHT = {torch.float64: 1e-10, torch.float32: 1e-7}  # for the result: as far as rounding allows
DOUBLE = 2_000_000  # values times classes up to which double precision costs nothing to speak of
COLUMNS = 1000  # classes times folds at once: with more, some folds are never held out
ROWS = 16_000_000  # logits at once
PRECONDITIONER_ROWS = 6_000  # samples from which the curvature is estimated


@dataclass(frozen=True, slots=True, eq=False)
class LogisticHead:
    """A fitted dense layer, and how well it does on samples that it was not fitted to."""

    weight: Tensor
    """(K, D) float32, for features as they are."""
    bias: Tensor
    """(K,) float32."""
    penalty: float
    cv_accuracy: Estimate
    """Share of held-out samples whose class is predicted, with its 95% interval."""
    cv_logits: Tensor
    """(N, K) float32: of each sample by a head that was not fitted to it; NaN for samples that were never held out."""
    folds: NDArray[np.int64]
    """(N,): the fold in which each sample was held out, or -1."""
    path: tuple[tuple[float, float], ...]
    """Penalties, and the cross-entropy of held-out samples at each."""
    seconds: float

    def __call__(self, features: Tensor) -> Tensor:
        """Features (N, D) -> logits (N, K)."""
        return F.linear(features, self.weight, self.bias)


def fit_logistic(
    features: Tensor,
    labels: ArrayLike,
    num_classes: int,
    *,
    folds: int = 5,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> LogisticHead:
    """Fit a dense layer to features (N, D), or to (A, N, D): A augmentations of the same N samples.

    The penalty with the least cross-entropy on held-out samples is taken. A sample's augmentations, and the samples of
    a group, are held out together; accuracy is that of the first augmentation. With more than 200 classes not every
    fold is held out, as each costs as much as the fit. `weights` (N,) weigh the samples in training. The result is
    deterministic on one machine with the same number of threads.
    Raises DataError if no class has two samples or groups, so that nothing could be held out.

    >>> head = fit_logistic(torch.eye(2).repeat(10, 1), [0, 1] * 10, num_classes=2)
    >>> head(torch.eye(2)).argmax(1).tolist(), head.cv_accuracy.value
    ([0, 1], 1.0)
    """
    began = time.perf_counter()
    copies = features if features.ndim == 3 else features[None]
    targets = torch.as_tensor(np.asarray(labels), dtype=torch.int64)
    held_out = assign_folds(targets.numpy(), folds, groups=groups, seed=seed)
    num_held = max(1, min(folds, COLUMNS // num_classes))
    held_out[held_out >= num_held] = ALWAYS_TRAIN
    if held_out.max(initial=-1) < 0:
        raise DataError(
            "Cross-validation needs a class with at least two samples, in different groups.",
            received=f"{len(targets):,} samples of {len(np.unique(targets.numpy())):,} classes",
            fix="Add samples.",
        )
    data = Standardised.of(copies, targets, num_classes, weights)
    path, logits = search_path(data, torch.from_numpy(held_out), num_held)
    penalty = min(path, key=lambda point: point[1])[0]
    weight, bias = data.unscale(fit_standardised(data, penalty))
    scored = held_out >= 0
    hits = int((logits[scored].argmax(1) == targets[scored]).sum())
    return LogisticHead(
        weight, bias, penalty, wilson(hits, int(scored.sum())), logits, held_out, tuple(path),
        time.perf_counter() - began,
    )  # fmt: skip


def fit_at(
    features: Tensor, labels: ArrayLike, num_classes: int, penalty: float, *, weights: ArrayLike | None = None
) -> tuple[Tensor, Tensor]:
    """Weight (K, D) and bias (K,) at one penalty, without cross-validation; features as in `fit_logistic`."""
    copies = features if features.ndim == 3 else features[None]
    targets = torch.as_tensor(np.asarray(labels), dtype=torch.int64)
    data = Standardised.of(copies, targets, num_classes, weights)
    return data.unscale(fit_standardised(data, penalty))


@dataclass(frozen=True, slots=True, eq=False)
class Standardised:
    """Features of mean 0 and standard deviation 1, one row for each augmentation of each sample."""

    rows: Tensor
    """(A * N, R): in the basis, if there is one, else R = D."""
    labels: Tensor
    """(A * N,)."""
    weights: Tensor
    """(A * N,), mean 1."""
    num_classes: int
    num_copies: int
    mean: Tensor
    std: Tensor
    curvature: Tensor
    """(R, R): second moments of rows, from a part of them."""
    basis: Tensor | None
    """(R, D): an orthonormal basis of the rows, if there are fewer of them than features. The penalty keeps solutions
    within it, so they are the same."""

    @classmethod
    def of(cls, copies: Tensor, labels: Tensor, num_classes: int, weights: ArrayLike | None) -> "Standardised":
        small = copies.numel() * num_classes <= DOUBLE
        rows = copies.flatten(0, 1).to(torch.float64 if small else torch.float32)
        std, mean = torch.std_mean(rows, 0, correction=0)
        std = torch.where(std > 1e-6 * std.max().clamp_min(1e-30), std, torch.ones_like(std))
        rows = (rows - mean).div_(std)
        basis = None
        if len(rows) < rows.shape[1]:
            left, lengths, basis = torch.linalg.svd(rows, full_matrices=False)
            rows = left * lengths
        given = torch.ones(len(labels)) if weights is None else torch.as_tensor(np.asarray(weights))
        weighed = (given / given.mean()).to(rows.dtype).repeat(len(copies))
        some = rows[:: max(1, len(rows) // PRECONDITIONER_ROWS)]
        return cls(
            rows, labels.repeat(len(copies)), weighed, num_classes, len(copies), mean, std,
            some.T @ some / len(some), basis,
        )  # fmt: skip

    def unscale(self, solution: Tensor) -> tuple[Tensor, Tensor]:
        """Weight (K, D) and bias for features as they were, in float32, from a solution (K, R + 1)."""
        weight = solution[:, :-1] if self.basis is None else solution[:, :-1] @ self.basis
        weight = weight / self.std
        bias = solution[:, -1] - weight @ self.mean
        return weight.float(), bias.float()


def search_path(data: Standardised, held_out: Tensor, folds: int) -> tuple[list[tuple[float, float]], Tensor]:
    """The penalties tried with their held-out cross-entropies, and the held-out logits (N, K) at the best of them."""
    num = len(held_out)
    everywhere = held_out.repeat(data.num_copies)
    masks = (everywhere[:, None] != torch.arange(folds)).to(data.rows.dtype)
    x = torch.zeros(folds, data.num_classes, data.rows.shape[1] + 1, dtype=data.rows.dtype)
    path: list[tuple[float, float]] = []
    best = torch.full((num, data.num_classes), torch.nan)
    scored = held_out >= 0
    for penalty in PENALTIES:
        x = solve(data, masks, penalty, x, LOOSE)
        logits = torch.full((num, data.num_classes), torch.nan)
        for fold in range(folds):
            mine = held_out == fold
            logits[mine] = (data.rows[:num][mine] @ x[fold, :, :-1].T + x[fold, :, -1]).float()
        loss = float(F.cross_entropy(logits[scored], data.labels[:num][scored]))
        if not path or loss < min(before for _, before in path):
            best = logits
        path.append((penalty, loss))
        if len(path) > PATIENCE and min(loss for _, loss in path) < min(loss for _, loss in path[-PATIENCE:]):
            break
    return path, best


def fit_standardised(data: Standardised, penalty: float) -> Tensor:
    """The solution (K, R + 1) for all samples."""
    x = torch.zeros(1, data.num_classes, data.rows.shape[1] + 1, dtype=data.rows.dtype)
    return solve(data, torch.ones_like(data.weights)[:, None], penalty, x, TIGHT[x.dtype])[0]


def solve(data: Standardised, masks: Tensor, penalty: float, x: Tensor, tolerance: float) -> Tensor:
    """The minimisers (P, K, R + 1), bias last, for the training samples that each column of masks (N, P) names."""
    weights = data.weights[:, None] * masks
    weights = weights / weights.sum(0)

    def objective(x: Tensor) -> tuple[Tensor, Tensor]:
        values, gradient = loss_and_gradient(data, weights, x)
        weight = x[:, :, :-1]
        gradient[:, :, :-1] += penalty * weight
        return values + penalty / 2 * weight.square().sum((1, 2)), gradient

    return minimise(objective, x, make_preconditioner(data, weights, penalty, x), tolerance=tolerance)


def loss_and_gradient(data: Standardised, weights: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted cross-entropies (P,) and their gradients (P, K, R + 1), in one pass over all rows."""
    num_problems, num_classes = x.shape[:2]
    values, gradient = torch.zeros(num_problems, dtype=x.dtype), torch.zeros_like(x)
    size = max(1, ROWS // (num_problems * num_classes))
    for start in range(0, len(data.rows), size):
        part = slice(start, start + size)
        rows, weight = data.rows[part], weights[part]
        logits = torch.addmm(x[:, :, -1].flatten(), rows, x[:, :, :-1].flatten(0, 1).T)
        log_probs = logits.view(len(rows), num_problems, num_classes).log_softmax(2)
        index = data.labels[part].view(-1, 1, 1).expand(-1, num_problems, 1)
        values -= (log_probs.gather(2, index)[:, :, 0] * weight).sum(0)
        errors = log_probs.exp_().scatter_add_(2, index, torch.full_like(index, -1, dtype=x.dtype))
        errors = errors.mul_(weight[:, :, None])
        gradient[:, :, :-1] += (errors.flatten(1).T @ rows).view(num_problems, num_classes, -1)
        gradient[:, :, -1] += errors.sum(0)
    return values, gradient


def make_preconditioner(data: Standardised, weights: Tensor, penalty: float, x: Tensor) -> Callable[[Tensor], Tensor]:
    """An approximate inverse Hessian: of c * curvature + penalty, the same for each class, c the mean of p (1 - p)."""
    some = slice(None, None, max(1, len(data.rows) // PRECONDITIONER_ROWS))
    logits = data.rows[some] @ x[0, :, :-1].T + x[0, :, -1]
    probs = logits.softmax(1)
    spread = float((probs * (1 - probs)).mean().clamp_min(1e-4))
    matrix = spread * data.curvature
    matrix.diagonal().add_(penalty)
    factor = torch.linalg.cholesky(matrix)

    def precondition(gradient: Tensor) -> Tensor:
        flat = gradient.flatten(0, 1)
        weight = torch.cholesky_solve(flat[:, :-1].T, factor).T
        return torch.cat([weight, flat[:, -1:] / spread], 1).view_as(gradient)

    return precondition
