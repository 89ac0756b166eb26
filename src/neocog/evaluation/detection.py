"""The evaluation of boxes: COCO's average precision, recall, and the error of counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.box_matching import AREAS, FoundBoxes, Matches, TrueBoxes, match_boxes
from neocog.evaluation.evaluation import Evaluation, Exhibit, Row
from neocog.evaluation.intervals import Estimate
from neocog.evaluation.weighted import bootstrap_all

__all__ = [
    "BoxErrors", "BoxFigures", "Detected", "PerBoxClass", "PrecisionRecall", "Ranked", "best_score", "evaluate_boxes",
    "mean_precision", "most_of",
]  # fmt: skip

RECALLS = np.linspace(0, 1, 101)  # at which precision is averaged
MOST, TIMES = 100, 10  # boxes of an image and class that are scored; of each object, if an image has more of them
MOST_ROWS, MOST_CURVES, NUM_WORST = 50, 8, 12
NEAR_BEST = 0.99  # of the highest F1: among these scores, the one with the best counts is taken
HALF, THREE_QUARTERS = 0, 5  # places in OVERLAPS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BoxFigures:
    """The figures of one class; precision and recall are those at the score from which boxes are shown."""

    name: str
    average_precision: float
    average_precision_50: float
    precision: float
    recall: float
    objects: int
    images: int
    """With the class."""


@dataclass(frozen=True, slots=True)
class PerBoxClass(Exhibit):
    """The figures of each class."""

    figures: list[BoxFigures]

    anchor = "classes"
    title = "Per-class metrics"

    def rows(self) -> list[Row]:
        head = ("class", "mAP", "mAP50", "precision", "recall", "objects", "images")
        return [
            head,
            *(
                (
                    x.name,
                    *(f"{value:.4f}" for value in (x.average_precision, x.average_precision_50, x.precision, x.recall)),
                    f"{x.objects:,}",
                    f"{x.images:,}",
                )
                for x in self.figures[:MOST_ROWS]
            ),
        ]


@dataclass(frozen=True, slots=True)
class PrecisionRecall(Exhibit):
    """Precision at each recall, of boxes that overlap by half, for the classes with most objects."""

    curves: dict[str, list[float]]
    """By class: precision at recall 0, 0.01, .. 1."""

    kind = "precision_recall"
    anchor = "precision-recall"
    title = "Precision and recall"

    def rows(self) -> list[Row]:
        return []


@dataclass(frozen=True, slots=True)
class BoxErrors:
    """An image with missed objects and wrong boxes; the texts say how many."""

    key: str
    target_text: str
    prediction_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected(Evaluation):
    """All metrics of a network that finds objects. A metric is left out if no object of the split belongs to it."""

    classes: tuple[str, ...]
    figures: dict[str, Estimate]
    threshold: float
    """The score from which boxes are shown and counted."""
    objects: int
    """To be found."""
    per_class: list[BoxFigures]
    curves: PrecisionRecall
    worst: list[BoxErrors]

    @property
    def metrics(self) -> dict[str, Estimate]:
        return self.figures

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return (PerBoxClass(self.per_class), self.curves)

    @property
    def worst_errors(self) -> list[BoxErrors]:
        return self.worst


class Ranked:
    """Matched boxes of each class, sorted once by their scores, so that figures under any weights of images are cheap.

    An image of weight 2 counts as two images with the same boxes.
    """

    def __init__(self, matches: Matches, num_classes: int) -> None:
        self.matches, self.num_classes = matches, num_classes
        found, truth = matches.found, matches.truth
        order = np.lexsort((-found.scores, found.labels))  # equal scores stay in the order of images
        labels = np.arange(num_classes)
        bounds = np.searchsorted(found.labels[order], np.append(labels, num_classes))
        self.rows = [order[start:end] for start, end in pairwise(bounds.tolist())]
        self.truths = [np.flatnonzero(truth.labels == k) for k in labels.tolist()]

    def curve(self, k: int, area: int, weights: Floats | None = None) -> tuple[Floats, Floats] | None:
        """Precision at each of 101 recalls (overlaps, 101), and the highest recall (overlaps,), of one class.

        None for a class without an object to find.
        """
        matches, rows = self.matches, self.rows[k]
        true = self.truths[k][matches.counted[area, self.truths[k]]]
        total = float(len(true) if weights is None else weights[matches.truth.images[true]].sum())
        if not total:
            return None
        hit, used = matches.hit[area][:, rows], ~matches.ignored[area][:, rows]
        right, wrong = hit & used, ~hit & used
        if weights is None:
            hits, misses = np.cumsum(right, axis=1, dtype=float), np.cumsum(wrong, axis=1, dtype=float)
        else:
            each = weights[matches.found.images[rows]]
            hits, misses = np.cumsum(right * each, axis=1), np.cumsum(wrong * each, axis=1)
        recall, precision = hits / total, hits / (hits + misses + np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        at = np.zeros((len(hit), len(RECALLS)))
        for t in range(len(hit)):
            place = np.searchsorted(recall[t], RECALLS, side="left")
            reached = place < len(rows)
            at[t, reached] = precision[t, place[reached]]
        return at, recall[:, -1] if len(rows) else np.zeros(len(hit))

    def averages(self, area: int = 0, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """Average precision and highest recall of each class, NaN for one without objects; (classes, overlaps) twice.

        Equal to the means over recalls of pycocotools' `precision`, and to its `recall`.
        """
        shape = (self.num_classes, self.matches.hit.shape[1])
        precision, recall = np.full(shape, np.nan), np.full(shape, np.nan)
        for k in range(self.num_classes):
            if curve := self.curve(k, area, weights):
                precision[k], recall[k] = curve[0].mean(axis=1), curve[1]
        return precision, recall


class Counted:
    """Boxes from a score on, counted for each image: all of them, the right ones, and the objects."""

    def __init__(self, matches: Matches, num_images: int) -> None:
        self.matches, self.num_images = matches, num_images

    @cached_property
    def objects(self) -> NDArray[np.int64]:
        """To be found in each image; (images,)."""
        return self.count(self.matches.truth.images[self.matches.counted[0]])

    def boxes(self, threshold: float) -> NDArray[np.int64]:
        """Of this score or more, without those on ignored objects; (images,)."""
        return self.count(self.matches.found.images[self.shown(threshold)])

    def right(self, threshold: float) -> NDArray[np.int64]:
        """Those that found an object, by half or more; (images,)."""
        return self.count(self.matches.found.images[self.shown(threshold) & self.matches.hit[0, HALF]])

    def shown(self, threshold: float) -> NDArray[np.bool_]:
        return np.asarray((self.matches.found.scores >= threshold) & ~self.matches.ignored[0, HALF])

    def count(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(images, minlength=self.num_images)


def most_of(truth: TrueBoxes) -> int:
    """How many boxes of an image and class are scored: 100 as for COCO, more if an image has more objects than that."""
    objects = int(np.unique(truth.images, return_counts=True)[1].max()) if len(truth.images) else 0
    return MOST if objects <= MOST else TIMES * objects


def known_mean(values: Floats) -> float:
    """The mean of what is not NaN; NaN if all is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def mean_precision(found: FoundBoxes, truth: TrueBoxes, num_classes: int) -> tuple[float, float]:
    """mAP over overlaps from 0.5 to 0.95, and mAP at 0.5; 0 if there is no object to find."""
    matches = match_boxes(found, truth, most=most_of(truth), areas=(AREAS["all"],))
    precision, _ = Ranked(matches, num_classes).averages()
    return tuple(float(np.nan_to_num(known_mean(each))) for each in (precision, precision[:, HALF]))  # type: ignore[return-value]


def best_score(found: FoundBoxes, truth: TrueBoxes, num_images: int) -> float:
    """The score from which boxes are best shown and counted: 0.5 if nothing is found.

    Of all scores whose F1, at an overlap of half, is within 1% of the highest, the one with the least error of counts.
    """
    matches = match_boxes(found, truth, most=most_of(truth), overlaps=np.array([0.5]), areas=(AREAS["all"],))
    used = ~matches.ignored[0, 0]
    order = np.argsort(-matches.found.scores[used], kind="stable")
    scores, hit = matches.found.scores[used][order], matches.hit[0, 0, used][order]
    images, total = matches.found.images[used][order], int(matches.counted[0].sum())
    if not hit.any():
        return 0.5
    f1 = 2 * np.cumsum(hit) / (np.arange(1, len(hit) + 1) + total)
    f1[np.append(scores[1:] == scores[:-1], False)] = -1  # no score parts equal ones
    candidates = np.flatnonzero(f1 >= NEAR_BEST * f1.max())
    objects, last, errors = Counted(matches, num_images).objects, 0, []
    counts = np.zeros(num_images, np.int64)
    for place in candidates.tolist():
        counts += np.bincount(images[last : place + 1], minlength=num_images)
        last = place + 1
        errors.append(int(np.abs(counts - objects).sum()))
    best = int(candidates[int(np.argmin(errors))])
    below = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + below) / 2)


def evaluate_boxes(
    found: FoundBoxes,
    truth: TrueBoxes,
    classes: tuple[str, ...],
    threshold: float,
    keys: Sequence[str],
    *,
    data: str,
    split: str,
) -> Detected:
    """All metrics of boxes in images, numbered 0, 1, .. as `keys` names them, in pixels of the images.

    mAP, mAP50, mAP75, those of small, medium and large objects, and the average recall are COCO's, with up to 100 boxes
    of an image and class, or ten times its objects if it has more than 100. The area of an object is that of its box.
    The count error is the mean error of an image's number of boxes from `threshold` on, over the mean number of
    objects. Intervals are bootstrapped over images.
    """
    num = len(keys)
    matches = match_boxes(found, truth, most=most_of(truth))
    ranked, counted = Ranked(matches, len(classes)), Counted(matches, num)
    gaps = np.abs(counted.boxes(threshold) - counted.objects).astype(np.float64)

    def statistics(weights: Floats | None) -> Floats:
        precision, recall = ranked.averages(0, weights)
        by_area = [ranked.averages(area, weights)[0] for area in range(1, len(AREAS))]
        each = np.ones(num) if weights is None else weights
        objects = float(each @ counted.objects)
        return np.array(
            [
                known_mean(precision), known_mean(precision[:, HALF]), known_mean(precision[:, THREE_QUARTERS]),
                *map(known_mean, by_area), known_mean(recall),
                float(each @ gaps) / objects if objects else math.nan,
            ]
        )  # fmt: skip

    names = ["mAP", "mAP50", "mAP75", *(f"mAP {name}" for name in list(AREAS)[1:]), "average recall", "count error"]
    cost = 8 * matches.hit.size + 50_000 * len(classes)
    estimates = bootstrap_all(statistics, num, cost, shares=[name == "count error" for name in names])
    return Detected(
        data=data,
        split=split,
        count=num,
        classes=classes,
        figures={
            name: found for name, found in zip(names, estimates, strict=True) if not math.isnan(found.value)
        } or {"objects": Estimate(0.0, 0.0, 0.0, "none: no object")},
        threshold=threshold,
        objects=int(matches.counted[0].sum()),
        per_class=class_figures(ranked, classes, threshold),
        curves=precision_recall(ranked, classes),
        worst=worst_images(counted, threshold, keys),
    )  # fmt: skip


def class_figures(ranked: Ranked, classes: tuple[str, ...], threshold: float) -> list[BoxFigures]:
    matches, (precision, _) = ranked.matches, ranked.averages()
    shown, figures = Counted(matches, 0).shown(threshold), []
    for k, name in enumerate(classes):
        rows, true = ranked.rows[k], ranked.truths[k]
        true = true[matches.counted[0, true]]
        boxes = rows[shown[rows]]
        right = int(matches.hit[0, HALF, boxes].sum())
        known = np.nan_to_num(precision[k])
        figures.append(
            BoxFigures(
                name=name,
                average_precision=float(known.mean()),
                average_precision_50=float(known[HALF]),
                precision=right / max(1, len(boxes)),
                recall=right / max(1, len(true)),
                objects=len(true),
                images=len(np.unique(matches.truth.images[true])),
            )
        )
    return figures


def precision_recall(ranked: Ranked, classes: tuple[str, ...]) -> PrecisionRecall:
    """The curves of the classes with most objects."""
    counts = np.array([ranked.matches.counted[0, true].sum() for true in ranked.truths])
    chosen = np.argsort(-counts, kind="stable")[:MOST_CURVES]
    found = {classes[k]: ranked.curve(k, 0) for k in chosen.tolist()}
    return PrecisionRecall({name: curve[0][HALF].tolist() for name, curve in found.items() if curve})


def worst_images(counted: Counted, threshold: float, keys: Sequence[str]) -> list[BoxErrors]:
    """The images with most missed objects and wrong boxes."""
    boxes, right, objects = counted.boxes(threshold), counted.right(threshold), counted.objects
    missed, wrong = objects - right, boxes - right
    errors, found = missed + wrong, []
    for i in np.argsort(-errors, kind="stable")[:NUM_WORST].tolist():
        if not errors[i]:
            break
        found.append(BoxErrors(keys[i], f"{objects[i]:,} objects", f"{missed[i]:,} missed, {wrong[i]:,} wrong boxes"))
    return found
