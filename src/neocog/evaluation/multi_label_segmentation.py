"""The evaluation of a binary mask for each class: its pixels are counted on their own, as masks may overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.evaluation import Evaluation, Exhibit
from neocog.evaluation.intervals import Estimate
from neocog.evaluation.segmentation import (
    NUM_WORST,
    MaskErrors,
    MaskFigures,
    PerMask,
    boundary_f,
    class_dices,
    class_ious,
    list_shares,
    mean_known,
)
from neocog.evaluation.weighted import bootstrap_counts

__all__ = ["MultiSegmented", "evaluate_binary_masks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiSegmented(Evaluation):
    """All metrics of a network that says of each class at which pixels it is."""

    classes: tuple[str, ...]
    mean_iou: Estimate
    mean_dice: Estimate
    pixel_accuracy: Estimate
    boundary_f: Estimate
    per_class: list[MaskFigures]
    confusion: list[list[list[int]]]
    """For each class its pixels by truth (rows) and prediction: not there, there."""
    worst: list[MaskErrors]

    @property
    def metrics(self) -> dict[str, Estimate]:
        return {
            "mIoU": self.mean_iou, "mean Dice": self.mean_dice, "pixel accuracy": self.pixel_accuracy,
            "boundary F": self.boundary_f,
        }  # fmt: skip

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return (PerMask(self.per_class),)

    @property
    def worst_errors(self) -> list[MaskErrors]:
        return self.worst


def evaluate_binary_masks(
    confusions: NDArray[np.int64],
    boundaries: NDArray[np.int64],
    classes: tuple[str, ...],
    keys: Sequence[str],
    *,
    data: str,
    split: str,
) -> MultiSegmented:
    """Metrics of N images from the pixels of each class (N, K, 2, 2) and its outlines (N, K, 4).

    IoU, Dice and boundary F of a class are those of its pixels in all images of the split together, and the means are
    over the classes that occur. Pixel accuracy is the share of pixels that are right, over all classes. Intervals are
    bootstrapped over images.
    """
    num, count = len(confusions), len(classes)
    flat, edges = (each.reshape(num, -1).astype(np.float64) for each in (confusions, boundaries))

    def pooled(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((counts @ flat).reshape(count, 2, 2))

    def accuracy(counts: NDArray[np.float64]) -> float:
        total = pooled(counts)
        return float(np.trace(total, axis1=1, axis2=2).sum() / max(1.0, total.sum()))

    total = confusions.sum(axis=0)
    ious, dices, lines = class_ious(total)[:, 1], class_dices(total)[:, 1], boundary_f(boundaries.sum(axis=0))
    return MultiSegmented(
        data=data,
        split=split,
        count=num,
        classes=classes,
        mean_iou=bootstrap_counts(lambda counts: mean_known(class_ious(pooled(counts))[:, 1]), num, flat.size),
        mean_dice=bootstrap_counts(lambda counts: mean_known(class_dices(pooled(counts))[:, 1]), num, flat.size),
        pixel_accuracy=bootstrap_counts(accuracy, num, flat.size, is_share=True),
        boundary_f=bootstrap_counts(
            lambda counts: mean_known(boundary_f((counts @ edges).reshape(count, 4))), num, edges.size
        ),
        per_class=[
            MaskFigures(
                name=name,
                iou=float(np.nan_to_num(ious[k])),
                dice=float(np.nan_to_num(dices[k])),
                boundary_f=float(np.nan_to_num(lines[k])),
                pixels=int(total[k, 1].sum()),
                images=int((confusions[:, k, 1].sum(axis=1) > 0).sum()),
            )
            for k, name in enumerate(classes)
        ],
        confusion=total.tolist(),
        worst=worst_masks(confusions, classes, keys),
    )


def worst_masks(confusions: NDArray[np.int64], classes: tuple[str, ...], keys: Sequence[str]) -> list[MaskErrors]:
    """The images with the lowest mean IoU over the classes that they have or are given."""
    ious = class_ious(confusions)[..., 1]
    means = np.array([mean_known(row) if not np.isnan(row).all() else 1.0 for row in ious])
    found = []
    for i in np.argsort(means, kind="stable")[:NUM_WORST].tolist():
        if means[i] == 1:
            break
        lowest = int(np.nanargmin(ious[i]))
        found.append(
            MaskErrors(
                keys[i], list_shares(confusions[i, :, 1].sum(axis=1), classes),
                f"mean IoU {means[i]:.3f}, lowest {classes[lowest]} {ious[i, lowest]:.3f}",
            )
        )  # fmt: skip
    return found
