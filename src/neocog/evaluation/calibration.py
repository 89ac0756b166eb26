"""Calibration: whether predictions made with a confidence of 80% are right in 80 of 100 cases."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReliabilityBin", "expected_calibration_error", "reliability"]

BINS = 15


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
