"""Calibration: whether predictions made with a confidence of 80% are right in 80 of 100 cases."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReliabilityBin", "expected_calibration_error", "fit_temperature", "reliability"]

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0  # temperatures


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Predictions whose confidence is in (low, high]."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS) -> list[ReliabilityBin]:
    """Mean confidence and accuracy in bins of equal width; empty bins are left out. (N,), (N,) -> rows."""
    places = bin_of(confidence, bins)
    rows = []
    for place in np.unique(places).tolist():
        here = places == place
        rows.append(
            ReliabilityBin(
                place / bins,
                (place + 1) / bins,
                int(here.sum()),
                float(confidence[here].mean()),
                float(correct[here].mean()),
            )
        )
    return rows


def expected_calibration_error(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS) -> float:
    """The mean gap between confidence and accuracy over bins of equal width, weighted by their counts.

        ECE = sum_b n_b / n |accuracy_b - confidence_b|

    Source: Guo et al. 2017, "On calibration of modern neural networks", equation 3.

    >>> expected_calibration_error(np.array([0.8] * 5), np.array([True] * 4 + [False]))
    0.0
    """
    gaps = np.bincount(bin_of(confidence, bins), weights=correct - confidence, minlength=bins)
    return float(np.round(np.abs(gaps).sum() / len(confidence), 15))


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """The temperature T with the least cross-entropy of softmax(logits / T); (N, K), (N,) -> a number.

    Above 1 the network was too sure, below 1 not sure enough. Which class is the most probable does not change. 1 if
    all samples are classified correctly, since nothing then tells how sure the network may be.
    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.

    >>> logits = np.array([[4.0, 0.0]] * 4)  # a probability of 98%, and right in three of four cases
    >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 3)  # 4 / log 3
    3.641
    """
    from scipy.optimize import minimize_scalar  # takes a while to import, and predictions do not need it

    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(targets)), targets]
    if (scores.argmax(axis=1) == targets).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        return float((np.log(np.exp(scale * scores).sum(axis=1)) - scale * own).mean())

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return math.exp(found.x)
