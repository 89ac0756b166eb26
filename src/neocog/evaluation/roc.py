"""The area under the ROC curve: how often a sample of one side scores higher than a sample of the other."""

import math

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.intervals import NORMAL, Estimate

__all__ = ["auroc", "macro_auroc"]

METHOD = "DeLong, on the logit scale"


def auroc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> Estimate:
    """The share of pairs of a positive and a negative sample in which the positive one scores higher; ties count half.

    (N,), (N,) -> an area from 0 to 1. Both sides need a sample. Equal to scikit-learn's roc_auc_score.
    Source: DeLong et al. 1988; Sun & Xu 2014 for the ranks; Pepe 2003, section 5.2, for the logit scale.

    >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])).value
    0.75
    """
    area, influence = area_and_influence(scores, positive)
    return with_interval(area, float((influence**2).sum()))


def macro_auroc(scores: NDArray[np.floating], targets: NDArray[np.int64]) -> Estimate | None:
    """The mean over classes of the area for one class against the rest; (N, K), (N,) -> an area, or None.

    Classes without a sample are left out; there is no area if all samples are of one class. Equal to scikit-learn's
    roc_auc_score with multi_class="ovr", if every class has a sample. The interval comes from the influence of each
    sample on the mean, and for two classes it is DeLong's.

    >>> scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])
    >>> macro_auroc(scores, np.array([0, 0, 1, 1])).value
    0.75
    """
    found = np.unique(targets).tolist()
    if len(found) < 2:
        return None
    areas, total = [], np.zeros(len(targets))
    for k in found:
        area, influence = area_and_influence(scores[:, k], targets == k)
        areas.append(area)
        total += influence
    return with_interval(float(np.mean(areas)), float((total**2).sum()) / len(found) ** 2)


def area_and_influence(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """The area, and the influence of each sample on it, whose squares sum up to its variance; (N,), (N,) -> (N,)."""
    from scipy.stats import rankdata  # takes half a second to import, and predictions do not need it

    num, ranks = int(positive.sum()), rankdata(scores)
    others = len(scores) - num
    ahead = np.empty(len(scores))  # samples of the other side that each sample scores higher than
    for side in (positive, ~positive):
        ahead[side] = ranks[side] - rankdata(scores[side])
    right = np.where(positive, ahead / others, 1 - ahead / num)
    area = float(right[positive].mean())
    of_own = np.where(positive, num * max(1, num - 1), others * max(1, others - 1))
    return area, (right - area) / np.sqrt(of_own)


def with_interval(area: float, variance: float) -> Estimate:
    """The area with its interval; none if no sample is out of order, as the data then don't tell of any spread."""
    if not 0 < area < 1 or variance == 0:
        return Estimate(area, area, area, METHOD)
    centre, half = math.log(area / (1 - area)), NORMAL * math.sqrt(variance) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-min(700.0, max(-700.0, centre + side * half)))) for side in (-1, 1))
    return Estimate(area, low, high, METHOD)
