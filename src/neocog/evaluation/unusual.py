"""Inputs that are unlike the training data: how many of them a threshold flags, and how well scores tell them apart."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.evaluation import Exhibit, Row
from neocog.evaluation.intervals import Estimate, wilson
from neocog.evaluation.roc import auroc

__all__ = ["Flagged", "Unusual", "compare_unusual", "flag_unusual", "least_usual"]

FLAGGED = 0.05  # of inputs like the validation data, at most


@dataclass(frozen=True, slots=True)
class Flagged:
    """The share of some inputs that is flagged as unusual."""

    name: str
    count: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Unusual(Exhibit):
    """How many inputs are flagged as unlike the training data."""

    own: Flagged
    """Of the split that is evaluated."""
    other: Flagged | None = None
    """Of other data that was given to compare."""
    auroc: Estimate | None = None
    """How often an input of the split looks more usual than one of the other data."""

    anchor = "unusual"
    title = "Inputs unlike the training data"

    def rows(self) -> list[Row]:
        rows: list[Row] = [("inputs", "samples", "flagged", "95% interval")]
        for each in (self.own, self.other):
            if each is not None:
                share = each.share
                rows.append((each.name, f"{each.count:,}", share.text(share.value), interval_text(share)))
        if self.auroc is not None:
            rows.append(("AUROC", "", self.auroc.text(self.auroc.value), interval_text(self.auroc)))
        return rows


def interval_text(estimate: Estimate) -> str:
    return f"{estimate.text(estimate.low)} to {estimate.text(estimate.high)}"


def least_usual(scores: NDArray[np.float64]) -> float | None:
    """The score below which an input counts as unusual, by those of validation data; (N,) -> a number, or None.

    At most 5% of inputs like the validation data score lower, whatever their distribution. That needs 19 of them.
    Source: conformal prediction, Vovk et al. 2005; Bates et al. 2023, "Testing for outliers with conformal p-values".

    >>> least_usual(np.arange(100.0)), least_usual(np.arange(18.0))
    (4.0, None)
    """
    rank = math.floor(FLAGGED * (len(scores) + 1) + 1e-9)
    if rank < 1 or not np.isfinite(scores).all():
        return None
    return float(np.sort(scores)[rank - 1])


def flag_unusual(name: str, scores: NDArray[np.float64], least: float) -> Flagged:
    """The share of scores (N,) below the least usual one."""
    return Flagged(name, len(scores), wilson(int((scores < least).sum()), len(scores)))


def compare_unusual(
    own: NDArray[np.float64], other: NDArray[np.float64], least: float, names: tuple[str, str]
) -> Unusual:
    """Scores of a split (N,) beside those of other data (M,); higher is more usual."""
    flagged = [flag_unusual(name, scores, least) for name, scores in zip(names, (own, other), strict=True)]
    known = np.arange(len(own) + len(other)) < len(own)
    return Unusual(flagged[0], flagged[1], auroc(np.concatenate([own, other]), known))
