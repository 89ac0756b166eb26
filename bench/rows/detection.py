"""Detection: scoring boxes beside pycocotools, and a training step beside a plain loop.

Scoring: 100 images with 1,000 objects of 80 classes, a tenth of them crowds, and 2,000 predicted boxes; mAP of all of
COCO's areas, which is compared. pycocotools gets its own lists of dictionaries before the clock starts.

Step: forward, loss, backward and update of a batch of four images of 416x416 with 20 objects each, in the precision and
memory format that Neocog chooses, and by a plain eager float32 loop over the same network and the same loss.
"""

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import Row, Sides, seconds_of
from harness.steps import beside_plain_loop
from neocog.cpus import num_threads
from neocog.dataset.record import CROWD
from neocog.evaluation.box_matching import AREAS, FoundBoxes, TrueBoxes, match_boxes
from neocog.evaluation.detection import Ranked
from neocog.tasks import Detection
from neocog.zoo import create_model

__all__ = ["ROWS"]

IMAGES, OBJECTS, CLASSES = 100, 1_000, 80
NETWORK, SIDE, BATCH = "centernet_lite0", 416, 4


def draw_boxes() -> tuple[FoundBoxes, TrueBoxes]:
    """Objects, each found once more or less exactly, and as many wrong boxes."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, IMAGES, OBJECTS), rng.integers(0, CLASSES, OBJECTS)
    start, side = rng.uniform(0, 500, (OBJECTS, 2)), np.exp(rng.uniform(2, 5.5, (OBJECTS, 2)))
    true = np.concatenate([start, start + side], axis=1)
    ignored = np.where(rng.random(OBJECTS) < 0.1, CROWD, 0).astype(np.uint8)
    near = true + rng.normal(0, 0.08, (OBJECTS, 4)) * np.tile(side, 2)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    wrong = rng.permutation(OBJECTS)
    found = FoundBoxes(
        np.concatenate([images, images[wrong]]),
        np.concatenate([near, true]),
        np.concatenate([labels, labels[wrong]]),
        rng.random(2 * OBJECTS).round(3),
    )
    return found, TrueBoxes(images, true, labels, ignored)


def ours(found: FoundBoxes, truth: TrueBoxes) -> NDArray[np.float64]:
    """mAP of each area, from arrays."""
    ranked = Ranked(match_boxes(found, truth), CLASSES)
    return np.array([np.nanmean(ranked.averages(area)[0]) for area in range(len(AREAS))])


class Theirs:
    """The same by pycocotools."""

    def __init__(self, found: FoundBoxes, truth: TrueBoxes) -> None:
        from pycocotools.coco import COCO

        truths, results = COCO(), dictionaries(found)
        for row, score in zip(results, found.scores.tolist(), strict=True):
            row["score"] = score
        objects = zip(dictionaries(truth), truth.ignored, strict=True)
        truths.dataset = {
            "images": [{"id": i} for i in range(IMAGES)],
            "categories": [{"id": k} for k in range(CLASSES)],
            "annotations": [{**row, "iscrowd": int(ignored == CROWD)} for row, ignored in objects],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            truths.createIndex()
            self.truths, self.results = truths, truths.loadRes(results)

    def __call__(self) -> NDArray[np.float64]:
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            judge = COCOeval(self.truths, self.results, "bbox")
            judge.evaluate()
            judge.accumulate()
        precision = judge.eval["precision"][..., -1]
        return np.array([precision[..., area][precision[..., area] > -1].mean() for area in range(len(AREAS))])


def dictionaries(boxes: FoundBoxes | TrueBoxes) -> list[dict[str, object]]:
    return [
        {
            "id": n + 1, "image_id": int(image), "category_id": int(label), "iscrowd": 0,
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "area": (box[2] - box[0]) * (box[3] - box[1]),
        }
        for n, (image, box, label) in enumerate(zip(boxes.images, boxes.boxes.tolist(), boxes.labels, strict=True))
    ]  # fmt: skip


def scoring(folder: Path) -> Iterator[Sides]:
    found, truth = draw_boxes()
    turns, absent, note = {"Neocog": seconds_of(lambda: ours(found, truth))}, {}, ""
    if importlib.util.find_spec("pycocotools"):
        theirs = Theirs(found, truth)
        gap = float(np.abs(ours(found, truth) - theirs()).max())
        assert gap < 1e-9, f"the figures differ by {gap:.1g}"
        turns["pycocotools"], note = seconds_of(theirs), f"largest difference of a figure {gap:.1g}"
    else:
        absent["pycocotools"] = "not installed"
    yield Sides(turns, note=note, absent=absent)


def draw_batch() -> tuple[Tensor, Tensor]:
    """Normalised images and 20 objects in each."""
    torch.manual_seed(0)
    start, side = torch.rand(BATCH, 20, 2) * (SIDE - 60), 8 + 50 * torch.rand(BATCH, 20, 2)
    targets = torch.cat([start, start + side, torch.zeros(BATCH, 20, 2)], dim=2)
    return torch.randn(BATCH, 3, SIDE, SIDE), targets


def training_step(folder: Path) -> Iterator[Sides]:
    torch.set_num_threads(num_threads())
    images, targets = draw_batch()
    yield beside_plain_loop(create_model(NETWORK, num_classes=1).train(), Detection(("object",)), images, targets)


ROWS = (
    Row(
        "detection-step", "tasks", f"training step of `{NETWORK}`, {BATCH} images of {SIDE}x{SIDE}", "images/s", "more",
        training_step, target=1.8,
    ),
    Row(
        "detection-scores", "tasks", f"COCO's mAP of {IMAGES} images, {OBJECTS:,} objects, {2 * OBJECTS:,} boxes", "s",
        "less", scoring, target=1.0,
    ),
)  # fmt: skip
