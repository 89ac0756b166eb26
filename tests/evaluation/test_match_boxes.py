"""Our matching and figures against pycocotools, to the last bit where it can be."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from neocog.dataset.record import CROWD, DIFFICULT
from neocog.evaluation.box_matching import AREAS, OVERLAPS, FoundBoxes, TrueBoxes, match_boxes, overlap, ranks
from neocog.evaluation.detection import Ranked

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def coco_figures(found, truth, num_images, num_classes, most=100):
    """`precision` as means over recalls and `recall` of pycocotools, (areas, classes, overlaps) each; NaN for none."""
    sets = COCO()
    sets.dataset = {
        "images": [{"id": i} for i in range(num_images)],
        "categories": [{"id": k, "name": str(k)} for k in range(num_classes)],
        "annotations": [
            {
                "id": n + 1, "image_id": int(image), "category_id": int(label), "iscrowd": int(ignored == CROWD),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": (box[2] - box[0]) * (box[3] - box[1]),
            }
            for n, (image, box, label, ignored) in enumerate(
                zip(truth.images, truth.boxes.tolist(), truth.labels, truth.ignored, strict=True)
            )
        ],
    }  # fmt: skip
    rows = [
        {
            "image_id": int(image), "category_id": int(label), "score": float(score),
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        }
        for image, box, label, score in zip(
            found.images, found.boxes.tolist(), found.labels, found.scores, strict=True
        )
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        sets.createIndex()
        results = sets.loadRes(rows) if rows else COCO()
        if not rows:
            results.dataset = {**sets.dataset, "annotations": []}
            results.createIndex()
        judge = COCOeval(sets, results, "bbox")
        judge.params.maxDets = [most] * 3
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"][..., -1], judge.eval["recall"][..., -1]  # (T, R, K, A), (T, K, A)
    averages = precision.mean(axis=1)
    averages[averages < 0] = np.nan
    recall[recall < 0] = np.nan
    return averages.transpose(2, 1, 0), recall.transpose(2, 1, 0)


def ours(found, truth, num_classes, most=100):
    ranked = Ranked(match_boxes(found, truth, most=most), num_classes)
    pairs = [ranked.averages(area) for area in range(len(AREAS))]
    return np.stack([p for p, _ in pairs]), np.stack([r for _, r in pairs])


def draw_set(rng, num_images, num_classes, most_objects, *, crowds=0.1, ties=True, extra=3):
    """Boxes on a grid of whole pixels, so that overlaps are often exactly at a threshold, with scores that repeat."""
    parts = {"true": [], "found": []}
    for image in range(num_images):
        for _ in range(rng.integers(0, most_objects + 1)):
            label = int(rng.integers(num_classes))
            start, side = rng.integers(0, 200, 2), rng.choice([4, 10, 20, 40, 90, 150], 2)
            ignored = CROWD if rng.random() < crowds else 0
            box = [*start, *(start + side)]
            parts["true"].append((image, label, ignored, box))
            for _ in range(rng.integers(0, extra)):
                moved = np.array(box) + rng.integers(-3, 4, 4)
                moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
                seen = label if rng.random() < 0.9 else int(rng.integers(num_classes))
                parts["found"].append((image, seen, score(rng, ties), moved.tolist()))
        for _ in range(rng.integers(0, 3)):
            start, side = rng.integers(0, 200, 2), rng.integers(1, 60, 2)
            parts["found"].append((image, int(rng.integers(num_classes)), score(rng, ties), [*start, *(start + side)]))
    rng.shuffle(parts["found"])
    true, found = ([list(column) for column in zip(*parts[key], strict=True)] or [[]] * 4 for key in ("true", "found"))
    return (
        FoundBoxes(np.array(found[0], np.int64), np.array(found[3], float).reshape(-1, 4),
                   np.array(found[1], np.int64), np.array(found[2], float)),
        TrueBoxes(np.array(true[0], np.int64), np.array(true[3], float).reshape(-1, 4),
                  np.array(true[1], np.int64), np.array(true[2], np.uint8)),
    )  # fmt: skip


def score(rng, ties):
    return float(rng.integers(1, 6)) / 5 if ties else float(rng.random())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    num_images=st.integers(1, 5),
    num_classes=st.integers(1, 4),
    most_objects=st.integers(0, 9),
    crowds=st.sampled_from([0.0, 0.2, 0.8]),
    ties=st.booleans(),
    most=st.sampled_from([1, 3, 100]),
)
def test_figures_are_those_of_pycocotools(seed, num_images, num_classes, most_objects, crowds, ties, most):
    found, truth = draw_set(
        np.random.default_rng(seed), num_images, num_classes, most_objects, crowds=crowds, ties=ties
    )
    expected = coco_figures(found, truth, num_images, num_classes, most)
    for theirs, mine in zip(expected, ours(found, truth, num_classes, most), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


def test_more_boxes_than_count_and_more_objects_than_100():
    """An image with 180 objects and 400 boxes: 100 of them count, or as many as asked for."""
    rng = np.random.default_rng(3)
    places = np.stack(np.meshgrid(np.arange(20), np.arange(9)), axis=-1).reshape(-1, 2) * 15.0
    true = np.concatenate([places, places + 12], axis=1)
    boxes = np.concatenate([true + rng.integers(-2, 3, true.shape), true[:, [0, 1, 2, 3]] + 4.0, true[:40] + 40.0])
    found = FoundBoxes(
        np.zeros(len(boxes), np.int64), boxes, np.zeros(len(boxes), np.int64), rng.integers(1, 30, len(boxes)) / 30
    )
    truth = TrueBoxes(np.zeros(180, np.int64), true, np.zeros(180, np.int64), np.zeros(180, np.uint8))
    for most in (100, 180, 1000):
        for theirs, mine in zip(coco_figures(found, truth, 1, 1, most), ours(found, truth, 1, most), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)
    assert ours(found, truth, 1, 100)[1][0, 0, 0] <= 100 / 180 < ours(found, truth, 1, 1000)[1][0, 0, 0]


def test_nothing_found_and_nothing_to_find():
    empty = FoundBoxes(np.empty(0, np.int64), np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))
    one = TrueBoxes(np.array([0]), np.array([[0.0, 0, 40, 40]]), np.array([1]), np.zeros(1, np.uint8))
    precision, recall = ours(empty, one, 2)
    assert (precision[0, 1] == 0).all() and (recall[0, 1] == 0).all()
    assert np.isnan(precision[0, 0]).all()
    none = TrueBoxes(np.empty(0, np.int64), np.empty((0, 4)), np.empty(0, np.int64), np.empty(0, np.uint8))
    box = FoundBoxes(np.array([0]), np.array([[0.0, 0, 4, 4]]), np.array([0]), np.array([0.5]))
    assert np.isnan(ours(box, none, 1)[0]).all()


def by_hand(found, truth, threshold):
    """The matching as Pascal VOC's words say it, one box after the other: right, ignored, or neither."""
    taken, verdicts = set(), {}
    for i in np.argsort(-found.scores, kind="stable"):
        alike = (truth.images == found.images[i]) & (truth.labels == found.labels[i])
        best, ignored = None, None
        for j in np.flatnonzero(alike):
            crowd = np.array([truth.ignored[j] == CROWD])
            value = overlap(found.boxes[i][None], truth.boxes[j][None], crowd)[0]
            if value < threshold or (j in taken and truth.ignored[j] == 0):
                continue
            if truth.ignored[j]:
                ignored = j
            elif best is None or value >= best[0]:
                best = (value, j)
        verdicts[i] = "right" if best else "ignored" if ignored is not None else "wrong"
        if best:
            taken.add(best[1])
    return verdicts


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), threshold=st.sampled_from([0.5, 0.75, 0.95]))
def test_difficult_objects_are_neither_right_nor_wrong(seed, threshold):
    rng = np.random.default_rng(seed)
    found, truth = draw_set(rng, 3, 2, 6, crowds=0.0)
    truth = TrueBoxes(
        truth.images, truth.boxes, truth.labels, rng.choice([0, DIFFICULT, CROWD], len(truth.images)).astype(np.uint8)
    )
    matches = match_boxes(found, truth, overlaps=np.array([threshold]), areas=(AREAS["all"],))
    expected = by_hand(matches.found, matches.truth, threshold)
    verdicts = [
        "ignored" if ignored else "right" if hit else "wrong"
        for hit, ignored in zip(matches.hit[0, 0], matches.ignored[0, 0], strict=True)
    ]
    assert verdicts == [expected[i] for i in range(len(verdicts))]


def test_overlap_by_counting_pixels():
    rng = np.random.default_rng(0)
    starts, sides = rng.integers(0, 20, (40, 2, 2)), rng.integers(1, 15, (40, 2, 2))
    boxes = np.concatenate([starts, starts + sides], axis=2).astype(float)
    found = overlap(boxes[:, 0], boxes[:, 1], np.arange(40) % 2 == 1)
    for n, (a, b) in enumerate(boxes.astype(int)):
        planes = np.zeros((2, 40, 40), bool)
        for plane, (left, top, right, bottom) in zip(planes, (a, b), strict=True):
            plane[top:bottom, left:right] = True
        whole = planes[0].sum() if n % 2 else planes.any(axis=0).sum()
        assert found[n] == pytest.approx(planes.all(axis=0).sum() / whole)


def test_ranks_of_nothing():
    assert ranks(np.empty(0, np.int64)).tolist() == []
    assert len(OVERLAPS) == 10 and OVERLAPS[5] == pytest.approx(0.75)
