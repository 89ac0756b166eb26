"""Boxes that a network found in an image, and the true ones that they are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Objects
from neocog.evaluation import FoundBoxes, TrueBoxes
from neocog.tasks.box_targets import COLUMNS
from neocog.tasks.dense import Compared
from neocog.tasks.seams import Gathered, suppressed
from neocog.tasks.task import Prediction

__all__ = ["BoxCompared", "BoxPrediction", "FoundObject", "found_boxes", "ignored_of", "numbers_of", "true_boxes"]


class FoundObject(NamedTuple):
    """An object that a network found."""

    label: str
    score: float
    """From 0 to 1."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom, in pixels of the image."""


@dataclass(frozen=True, slots=True)
class BoxPrediction(Prediction):
    """The objects of one image, the surest first, also those that are too unsure to be shown."""

    classes: tuple[str, ...]
    size: tuple[int, int]
    """Height and width of the image."""
    boxes: NDArray[np.float64]
    """Left, top, right, bottom, in pixels of the image; (n, 4)."""
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    threshold: float
    """The score from which an object is shown."""

    @property
    def objects(self) -> list[FoundObject]:
        """Those from the threshold on."""
        shown = self.scores >= self.threshold
        rows = zip(self.labels[shown].tolist(), self.scores[shown].tolist(), self.boxes[shown].tolist(), strict=True)
        return [FoundObject(self.classes[label], score, tuple(box)) for label, score, box in rows]

    def to_json(self) -> dict[str, Any]:
        height, width = self.size
        boxes = [
            {"label": x.label, "score": round(x.score, 6), "box": [round(side, 2) for side in x.box]}
            for x in self.objects
        ]
        return {"width": width, "height": height, "count": len(boxes), "objects": boxes}

    def cells(self) -> dict[str, str]:
        height, width = self.size
        found = self.objects
        names = [x.label for x in found]
        most = sorted({*names}, key=lambda name: (-names.count(name), name))[:5]
        return {
            "size": f"{width} x {height}",
            "objects": ", ".join(f"{name} {names.count(name):,}" for name in most) or "none",
            "surest": f"{found[0].score:.2f}" if found else "",
        }


@dataclass(frozen=True, slots=True)
class BoxCompared(Compared):
    """The predicted boxes and the true ones of one image, in its pixels."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    truth: Objects
    """Labels in the order of the network's outputs."""


def numbers_of(counts: Sequence[int]) -> NDArray[np.int64]:
    """The number of the image of each of its boxes."""
    return np.repeat(np.arange(len(counts)), counts)


def ignored_of(truth: Objects) -> NDArray[np.uint8]:
    return np.zeros(len(truth), np.uint8) if truth.ignored is None else truth.ignored


def found_boxes(scored: Tensor, overlap: float = 1.0) -> FoundBoxes:
    """The boxes that `Detection.score` kept, without those of score 0, without area, or that `suppress` leaves out."""
    rows = scored[:, 2:].double().numpy().reshape(len(scored), -1, COLUMNS)
    images, places = np.nonzero((rows[..., 4] > 0) & np.all(rows[..., 2:4] > rows[..., :2], axis=2))
    kept = rows[images, places]
    if overlap < 1:
        # An image and a class of their own number, so that only boxes of one image meet.
        labels = images * (int(kept[:, 5].max(initial=0)) + 1) + kept[:, 5].astype(np.int64)
        left = suppressed(Gathered(kept[:, :4], kept[:, 4], labels), overlap)
        images, kept = images[left], kept[left]
    return FoundBoxes(images, kept[:, :4], kept[:, 5].astype(np.int64), kept[:, 4])


def true_boxes(targets: Tensor) -> TrueBoxes:
    """The objects in targets (N, M, 6)."""
    rows = targets.double().numpy()
    images, places = np.nonzero(rows[..., 4] >= 0)
    kept = rows[images, places]
    return TrueBoxes(images, kept[:, :4], kept[:, 4].astype(np.int64), kept[:, 5].astype(np.uint8))
