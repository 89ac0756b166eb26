"""The evaluation of masks: pixels counted in a confusion matrix for each image, and the distance of outlines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.evaluation import Evaluation, Exhibit, Row
from neocog.evaluation.intervals import Estimate
from neocog.evaluation.weighted import bootstrap_counts

__all__ = [
    "MaskErrors", "MaskFigures", "PerMask", "Segmented", "boundary_counts", "class_ious", "count_pixels",
    "evaluate_masks",
]  # fmt: skip

MOST_ROWS = 50
NUM_WORST = 12
TOLERANCE = 0.0075  # of the image's diagonal, by which outlines may differ; Csurka et al. 2013, section 3
BACKGROUND = frozenset({"background", "_background_", "bg"})
"""Names of a class that is everything else, which the mean Dice leaves out, as is usual in medicine."""


@dataclass(frozen=True, slots=True)
class MaskFigures:
    """The figures of one class, over all pixels of the split."""

    name: str
    iou: float
    dice: float
    boundary_f: float
    pixels: int
    """Of the class, by the true masks."""
    images: int
    """With the class, by the true masks."""


@dataclass(frozen=True, slots=True)
class PerMask(Exhibit):
    """The figures of each class."""

    figures: list[MaskFigures]

    anchor = "classes"
    title = "Per-class metrics"

    def rows(self) -> list[Row]:
        head = ("class", "IoU", "Dice", "boundary F", "pixels", "images")
        shown = self.figures[:MOST_ROWS]
        rows = [
            (x.name, *(f"{value:.4f}" for value in (x.iou, x.dice, x.boundary_f)), f"{x.pixels:,}", f"{x.images:,}")
            for x in shown
        ]
        return [head, *rows]


@dataclass(frozen=True, slots=True)
class MaskErrors:
    """An image whose mask is far off; the texts say by how much."""

    key: str
    target_text: str
    prediction_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmented(Evaluation):
    """All metrics of a network that gives each pixel, or each sample of a signal, its class."""

    classes: tuple[str, ...]
    mean_iou: Estimate
    mean_dice: Estimate
    pixel_accuracy: Estimate
    boundary_f: Estimate | None
    per_class: list[MaskFigures]
    confusion: list[list[int]]
    """Pixels by true class (rows) and predicted class (columns)."""
    worst: list[MaskErrors]

    @property
    def metrics(self) -> dict[str, Estimate]:
        outlines = {"boundary F": self.boundary_f} if self.boundary_f else {}
        return {"mIoU": self.mean_iou, "mean Dice": self.mean_dice, "pixel accuracy": self.pixel_accuracy, **outlines}

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return (PerMask(self.per_class),)

    @property
    def worst_errors(self) -> list[MaskErrors]:
        return self.worst


def count_pixels(mask: NDArray[np.integer], truth: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """Pixels by true class (rows) and predicted class; those whose truth is 255 don't count; (...), (...) -> (K, K).

    >>> count_pixels(np.array([0, 1, 1]), np.array([0, 0, 255]), 2).tolist()
    [[1, 1], [0, 0]]
    """
    known = truth < num_classes
    pairs = truth[known].astype(np.int64) * num_classes + mask[known]
    return np.asarray(np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes))


def class_ious(confusion: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    """Intersection over union of each class; NaN for one that neither has; (..., K, K) -> (..., K).

    >>> class_ious(np.array([[3, 1], [0, 4]])).tolist()
    [0.75, 0.8]
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    union = confusion.sum(axis=-1) + confusion.sum(axis=-2) - hits
    return np.asarray(np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0))


def class_dices(confusion: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    """Twice the intersection over the sum of both; NaN for a class that neither has; (..., K, K) -> (..., K)."""
    iou = class_ious(confusion)
    return np.asarray(2 * iou / (1 + iou))


def boundary_counts(mask: NDArray[np.integer], truth: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """Outline pixels of each class: predicted ones near a true one, predicted, true ones near a predicted one, true.

    (H, W), (H, W) -> (K, 4). An outline pixel has a neighbour above, below, left or right that is known to be of
    another class. Near is within 0.75% of the diagonal. Pixels whose truth is 255 don't count.
    Source: Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?", section 3.
    """
    near = max(1.0, TOLERANCE * math.hypot(*mask.shape))
    known, counts = truth < num_classes, np.zeros((num_classes, 4), np.int64)
    for k in np.union1d(np.unique(mask[known]), np.unique(truth[known])).tolist():
        outlines = [outline(each, known) for each in (mask == k, truth == k)]
        counts[k, 1::2] = [own.sum() for own in outlines]
        if counts[k, 1] and counts[k, 3]:
            place = extent(outlines[0] | outlines[1])
            found, real = (own[place] for own in outlines)
            counts[k, 0] = near_counts(found, real, near)
            counts[k, 2] = near_counts(real, found, near)
    return counts


def outline(inside: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The known pixels of a region beside a known pixel outside of it; (H, W) twice -> (H, W)."""
    from scipy.ndimage import binary_erosion  # slow to import; only evaluation needs it

    return np.asarray(inside & known & ~binary_erosion(inside | ~known, border_value=1))


def extent(chosen: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns that hold all that is true in (H, W), so that distances are computed for few pixels."""
    rows, columns = (np.flatnonzero(chosen.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def near_counts(own: NDArray[np.bool_], other: NDArray[np.bool_], near: float) -> int:
    """How many of the true pixels of `own` are within this distance of one of `other`."""
    from scipy.ndimage import distance_transform_edt

    return int((distance_transform_edt(~other)[own] <= near).sum())


def boundary_f(counts: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    """The harmonic mean of precision and recall of outlines; NaN for a class without any; (..., K, 4) -> (..., K)."""
    near, taken, found, real = np.moveaxis(counts.astype(np.float64), -1, 0)
    precision = np.divide(near, taken, out=np.zeros_like(near), where=taken > 0)
    recall = np.divide(found, real, out=np.zeros_like(near), where=real > 0)
    total = precision + recall
    f = np.divide(2 * precision * recall, total, out=np.zeros_like(near), where=total > 0)
    return np.where(taken + real > 0, f, np.nan)


def mean_known(values: NDArray[np.float64]) -> float:
    """The mean of what is not NaN; 0 if all is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0


def evaluate_masks(
    confusions: NDArray[np.int64],
    boundaries: NDArray[np.int64] | None,
    classes: tuple[str, ...],
    keys: Sequence[str],
    *,
    data: str,
    split: str,
) -> Segmented:
    """Metrics of N masks from their confusion matrices (N, K, K) and outline counts (N, K, 4).

    IoU, Dice and boundary F are those of all pixels of the split together, class by class, and then averaged over the
    classes that occur. The mean Dice leaves out a class called background. Intervals are bootstrapped over images.
    """
    num, count = len(confusions), len(classes)
    flat = confusions.reshape(num, -1).astype(np.float64)
    foreground = np.array([name.lower() not in BACKGROUND for name in classes])
    foreground = foreground if foreground.any() else np.ones(count, bool)

    def pooled(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((counts @ flat).reshape(count, count))

    def accuracy(counts: NDArray[np.float64]) -> float:
        total = pooled(counts)
        return float(np.trace(total) / max(1.0, total.sum()))

    cost = flat.size
    outlines = None
    if boundaries is not None:
        edges = boundaries.reshape(num, -1).astype(np.float64)
        outlines = bootstrap_counts(
            lambda counts: mean_known(boundary_f((counts @ edges).reshape(count, 4))), num, edges.size
        )
    total = confusions.sum(axis=0)
    ious, dices = class_ious(total), class_dices(total)
    lines = np.full(count, np.nan) if boundaries is None else boundary_f(boundaries.sum(axis=0))
    return Segmented(
        data=data,
        split=split,
        count=num,
        classes=classes,
        mean_iou=bootstrap_counts(lambda counts: mean_known(class_ious(pooled(counts))), num, cost),
        mean_dice=bootstrap_counts(lambda counts: mean_known(class_dices(pooled(counts))[foreground]), num, cost),
        pixel_accuracy=bootstrap_counts(accuracy, num, cost, is_share=True),
        boundary_f=outlines,
        per_class=[
            MaskFigures(
                name=name,
                iou=float(np.nan_to_num(ious[k])),
                dice=float(np.nan_to_num(dices[k])),
                boundary_f=float(np.nan_to_num(lines[k])),
                pixels=int(total[k].sum()),
                images=int((confusions[:, k].sum(axis=1) > 0).sum()),
            )
            for k, name in enumerate(classes)
        ],
        confusion=total.tolist(),
        worst=worst_masks(confusions, classes, keys),
    )


def worst_masks(confusions: NDArray[np.int64], classes: tuple[str, ...], keys: Sequence[str]) -> list[MaskErrors]:
    """The images with the lowest mean IoU over the classes that they have or are given."""
    ious = class_ious(confusions)
    means = np.array([mean_known(row) for row in ious])
    found = []
    for i in np.argsort(means, kind="stable")[:NUM_WORST].tolist():
        if means[i] == 1:
            break
        lowest = int(np.nanargmin(ious[i]))
        found.append(
            MaskErrors(
                keys[i], list_shares(confusions[i].sum(axis=1), classes),
                f"mean IoU {means[i]:.3f}, lowest {classes[lowest]} {ious[i, lowest]:.3f}",
            )
        )  # fmt: skip
    return found


def list_shares(pixels: NDArray[np.int64], classes: tuple[str, ...], most: int = 4) -> str:
    """The largest classes and their shares of an image."""
    order = [k for k in np.argsort(-pixels, kind="stable")[:most].tolist() if pixels[k]]
    shares = [(classes[k], pixels[k] / pixels.sum()) for k in order]
    shown = [f"{name} {share:.{0 if share >= 0.01 else 1}%}" for name, share in shares]
    return ", ".join(shown) or "nothing is labelled"
