"""Detection, side by side in one process: scoring boxes beside pycocotools, and a training step beside a plain loop.

    python bench/tasks_detection.py
    python bench/tasks_detection.py --only scoring
    python bench/tasks_detection.py --only step --network centernet

Scoring: 5,000 images with 50,000 objects of 80 classes, a tenth of them crowds, and 100,000 predicted boxes; all of
COCO's figures, which are compared. Target: at least as fast as pycocotools.

Step: forward, loss, backward and update of one batch, by Neocog's executor as it chooses to run on this machine, and by
a plain eager float32 loop over the same network and the same loss. Both take turns; the fastest of several steps
counts, in seconds of the processor, so that other programs matter less. Target: 1.8 times as fast.
"""

import argparse
import contextlib
import io
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neocog.dataset.record import CROWD
from neocog.evaluation.box_matching import AREAS, FoundBoxes, TrueBoxes, match_boxes
from neocog.evaluation.detection import Ranked
from neocog.progress import quiet
from neocog.tasks import Detection
from neocog.training import OptimizerConfig, Training
from neocog.training.executor import StepExecutor
from neocog.training.speed import Candidate
from neocog.zoo import create_model

IMAGES, OBJECTS, CLASSES = 5_000, 50_000, 80


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


def ours(found: FoundBoxes, truth: TrueBoxes) -> np.ndarray:
    """mAP of each area, from arrays."""
    ranked = Ranked(match_boxes(found, truth), CLASSES)
    return np.array([np.nanmean(ranked.averages(area)[0]) for area in range(len(AREAS))])


def theirs(found: FoundBoxes, truth: TrueBoxes) -> np.ndarray:
    """The same by pycocotools; its own lists of dictionaries are made before the clock starts."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(boxes: FoundBoxes | TrueBoxes) -> list[dict[str, object]]:
        return [
            {
                "id": n + 1, "image_id": int(image), "category_id": int(label), "iscrowd": 0,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": (box[2] - box[0]) * (box[3] - box[1]),
            }
            for n, (image, box, label) in enumerate(zip(boxes.images, boxes.boxes.tolist(), boxes.labels, strict=True))
        ]  # fmt: skip

    truths, results = COCO(), rows(found)
    for row, score in zip(results, found.scores.tolist(), strict=True):
        row["score"] = score
    truths.dataset = {
        "images": [{"id": i} for i in range(IMAGES)],
        "categories": [{"id": k} for k in range(CLASSES)],
        "annotations": [{**row, "iscrowd": int(x == CROWD)} for row, x in zip(rows(truth), truth.ignored, strict=True)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truths.createIndex()
        judge = COCOeval(truths, truths.loadRes(results), "bbox")
        began = time.perf_counter()
        judge.evaluate()
        judge.accumulate()
        theirs.seconds = time.perf_counter() - began  # type: ignore[attr-defined]
    precision = judge.eval["precision"][..., -1]
    return np.array([precision[..., area][precision[..., area] > -1].mean() for area in range(len(AREAS))])


def score() -> None:
    found, truth = draw_boxes()
    times = []
    for _ in range(3):
        began = time.perf_counter()
        figures = ours(found, truth)
        times.append(time.perf_counter() - began)
    expected = theirs(found, truth)
    seconds = theirs.seconds  # type: ignore[attr-defined]
    gap = np.abs(figures - expected).max()
    print(f"mAP of {IMAGES:,} images, {OBJECTS:,} objects, {2 * OBJECTS:,} boxes: {min(times):.2f} s; pycocotools")
    print(f"  {seconds:.2f} s: {seconds / min(times):.1f} times as fast (target 1); largest difference {gap:.1g}")


def draw_batch(size: int, count: int) -> tuple[Tensor, Tensor]:
    """Normalised images and 20 objects in each."""
    torch.manual_seed(0)
    start, side = torch.rand(count, 20, 2) * (size - 60), 8 + 50 * torch.rand(count, 20, 2)
    targets = torch.cat([start, start + side, torch.zeros(count, 20, 2)], dim=2)
    return torch.randn(count, 3, size, size), targets


def step(network: str, size: int, count: int, rounds: int, *, compiles: bool) -> None:
    """Neocog's step in each way that may be chosen on this machine, beside the plain loop."""
    images, targets = draw_batch(size, count)
    task = Detection(("object",))
    ways = {
        "float32, channels last": Candidate("fp32", channels_last=True),
        "bfloat16": Candidate("bf16"),
        "bfloat16, channels last": Candidate("bf16", channels_last=True),
    }
    if compiles:
        ways["bfloat16, channels last, compiled"] = Candidate("bf16", channels_last=True, compiled=True)
    steps: dict[str, Callable[[], None]] = {"plain": plain_step(network, images, targets, task)}
    for name, way in ways.items():
        steps[name] = own_step(network, images, targets, task, way)
    for take in steps.values():
        take()
    seconds = {name: float("inf") for name in steps}
    for _ in range(rounds):
        for name, take in steps.items():
            began = time.process_time()
            take()
            seconds[name] = min(seconds[name], time.process_time() - began)
    print(f"{network}, training step of {count} images of {size}x{size}, {torch.get_num_threads()} threads:")
    for name, value in seconds.items():
        print(f"  {name}: {value:.2f} s, {seconds['plain'] / value:.2f} times as fast")
    best = min(value for name, value in seconds.items() if name != "plain")
    print(f"  the fastest way: {seconds['plain'] / best:.2f} times as fast as the plain loop (target 1.8)")


def plain_step(network: str, images: Tensor, targets: Tensor, task: Detection) -> Callable[[], None]:
    model = create_model(network, num_classes=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def take() -> None:
        optimizer.zero_grad()
        task.loss(model(images), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return take


def own_step(network: str, images: Tensor, targets: Tensor, task: Detection, way: Candidate) -> Callable[[], None]:
    model = create_model(network, num_classes=1).train()
    executor = StepExecutor(model, task.loss, way, torch.device("cpu"))
    training = Training(model, OptimizerConfig(name="adamw", lr=1e-3), executor=executor)

    def take() -> None:
        training.optimizer.zero_grad()
        loss, _ = executor.forward(images, targets)
        executor.backward(loss)
        executor.step(training.optimizer)

    return take


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure detection.")
    parser.add_argument("--only", choices=("scoring", "step"))
    parser.add_argument("--network", default="centernet_lite0")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="Also measure a compiled step, which takes minutes.")
    given = parser.parse_args()
    with quiet():
        if given.only != "step":
            score()
        if given.only != "scoring":
            step(given.network, given.size, given.batch, given.rounds, compiles=given.compile)
