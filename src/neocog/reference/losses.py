"""Losses, each with its gradient: how wrong probabilities are, and in which direction to fix it.

With t the wanted distribution over K classes and q the network's, means being over the N samples:

    entropy         H(t)    = -sum_k t_k log t_k
    cross-entropy   H(t, q) = -sum_k t_k log q_k
    KL divergence   D(t, q) =  sum_k t_k log(t_k / q_k) = H(t, q) - H(t)

H(t) does not depend on the network, so cross-entropy and KL divergence differ by a constant: they have the same
gradient and the same minimiser, q = t. For one-hot targets H(t) = 0 and they are equal.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from neocog.errors import DataError, GeometryError
from neocog.reference.activations import sigmoid
from neocog.reference.axes import Array, floats
from neocog.reference.softmax import log_softmax, softmax

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "entropy",
    "kl_divergence",
    "one_hot",
    "softmax_cross_entropy",
]


def one_hot(labels: ArrayLike, num_classes: int) -> Array:
    """1 at the label's place, 0 elsewhere; (N,) of 0..K-1 -> (N, K).

    Raises DataError for a label out of range.

    >>> one_hot([2, 0], num_classes=3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    found = np.asarray(labels)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise DataError("Labels are whole numbers (N,), one for each sample.", received=f"{found.dtype} {found.shape}")
    bad = np.flatnonzero((found < 0) | (found >= num_classes))
    if bad.size:
        raise DataError(
            f"Labels must be in 0..{num_classes - 1}.", received=f"{found[bad[0]]} at {bad[0]}; {bad.size} out of range"
        )
    return floats(np.eye(num_classes)[found])


def entropy(targets: ArrayLike) -> float:
    """H(t), the mean over the rows; 0 log 0 is 0. Shapes: (N, K) -> one number.

    >>> entropy([[1.0, 0.0]]), round(entropy([[0.5, 0.5]]), 4)
    (0.0, 0.6931)
    """
    wanted = distributions(targets, floats(targets))
    return -float(xlogy(wanted, wanted).sum(1).mean()) + 0.0


def cross_entropy(probs: ArrayLike, targets: ArrayLike) -> tuple[float, Array]:
    """H(t, q) and its gradient -t/q / N with respect to the probabilities.

    Shapes: probs (N, K), targets (N,) labels or (N, K) distributions -> the mean over the rows, and (N, K).
    A wanted class of probability 0 makes both infinite; `softmax_cross_entropy` does not go through probabilities.
    """
    found = floats(probs)
    wanted = distributions(targets, found)
    with np.errstate(divide="ignore"):
        slopes = np.divide(wanted, found, where=wanted > 0, out=np.zeros_like(found))
    return -float(xlogy(wanted, found).sum(1).mean()), -slopes / len(found)


def kl_divergence(probs: ArrayLike, targets: ArrayLike) -> tuple[float, Array]:
    """D(t, q) = H(t, q) - H(t), and its gradient with respect to the probabilities: that of the cross-entropy.

    Shapes as `cross_entropy`. Never negative, and 0 just where q = t.

    >>> kl_divergence([[0.5, 0.5]], [[0.5, 0.5]])[0]
    0.0
    """
    found = floats(probs)
    wanted = distributions(targets, found)
    loss, gradient = cross_entropy(found, wanted)
    return loss - entropy(wanted), gradient


def softmax_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> tuple[float, Array]:
    """The cross-entropy of softmax(logits) and its gradient with respect to the logits.

        E = -1/N sum_n sum_k t_k log p_k,   dE/dx_k = (p_k - t_k) / N

    From d(log p_j)/dx_k = 1[j = k] - p_k: -sum_j t_j (1[j = k] - p_k) = p_k sum_j t_j - t_k, and the t_j sum to 1. The
    logarithm is taken before anything is exponentiated, so no logits are too large.
    Shapes: logits (N, K), targets (N,) labels or (N, K) distributions -> one number, and (N, K).

    >>> loss, gradient = softmax_cross_entropy([[0.0, 0.0]], [1])
    >>> round(loss, 4), gradient.tolist()
    (0.6931, [[0.5, -0.5]])
    """
    scores = floats(logits)
    wanted = distributions(targets, scores)
    loss = -float((wanted * log_softmax(scores)).sum(1).mean())
    return loss, (softmax(scores) - wanted) / len(scores)


def binary_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> tuple[float, Array]:
    """For independent yes-or-no questions: the mean over all M values, with p = sigmoid(x), and its gradient.

        E = -1/M sum [t log p + (1 - t) log(1 - p)] = 1/M sum [log(1 + e^x) - t x],   dE/dx = (p - t) / M

    The second form follows from log p = x - log(1 + e^x) and log(1 - p) = -log(1 + e^x), and overflows nowhere.
    Shapes: logits and targets alike, targets in 0..1 -> one number, and like logits.

    >>> round(binary_cross_entropy([1000.0, 0.0], [1.0, 1.0])[0], 4)
    0.3466
    """
    scores, wanted = floats(logits), floats(targets)
    if scores.shape != wanted.shape:
        raise GeometryError("Each logit has one target.", received=f"logits {scores.shape}, targets {wanted.shape}")
    if wanted.size and not 0 <= wanted.min() <= wanted.max() <= 1:
        raise DataError("Targets are probabilities, 0..1.", received=f"{wanted.min():g}..{wanted.max():g}")
    return float((np.logaddexp(0.0, scores) - wanted * scores).mean()), (sigmoid(scores) - wanted) / scores.size


def distributions(targets: ArrayLike, like: Array) -> Array:
    """Targets as distributions (N, K): labels made one-hot, distributions checked."""
    found = np.asarray(targets)
    if like.ndim != 2:
        raise GeometryError("Scores are (N, K), a row for each sample.", received=f"{like.shape}")
    if found.ndim == 1 and len(found) == len(like):
        return one_hot(found, like.shape[1])
    if found.shape != like.shape:
        raise GeometryError(
            f"Targets are labels ({len(like)},) or distributions {like.shape}.", received=f"{found.shape}"
        )
    wanted = floats(found)
    if wanted.min(initial=0) < 0 or not np.allclose(wanted.sum(1), 1):
        raise DataError(
            "Each row of targets is a distribution: no value below 0, and a sum of 1.",
            received=f"values from {wanted.min():g}, sums {wanted.sum(1).min():g}..{wanted.sum(1).max():g}",
        )
    return wanted
