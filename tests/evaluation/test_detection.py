import json

import numpy as np
import pytest

from neocog.dataset.record import CROWD
from neocog.evaluation.box_matching import FoundBoxes, TrueBoxes, match_boxes
from neocog.evaluation.detection import Ranked, best_score, evaluate_boxes, mean_precision, most_of
from tests.evaluation.test_match_boxes import draw_set


def boxes_at(*places, side=10.0):
    return np.array([[x, y, x + side, y + side] for x, y in places], float).reshape(-1, 4)


def found_set(images, places, labels, scores):
    return FoundBoxes(
        np.array(images, np.int64), boxes_at(*places), np.array(labels, np.int64), np.array(scores, float)
    )


def true_set(images, places, labels, ignored=None):
    flags = np.zeros(len(images), np.uint8) if ignored is None else np.array(ignored, np.uint8)
    return TrueBoxes(np.array(images, np.int64), boxes_at(*places), np.array(labels, np.int64), flags)


FOUND = found_set(
    [0, 0, 0, 1, 1, 2], [(0, 0), (50, 0), (90, 90), (0, 0), (30, 30), (5, 5)], [0, 0, 0, 0, 1, 0],
    [0.9, 0.8, 0.3, 0.7, 0.6, 0.4],
)  # fmt: skip
TRUTH = true_set([0, 0, 1, 1, 1], [(0, 0), (50, 0), (0, 0), (30, 30), (60, 60)], [0, 0, 0, 1, 0])


def evaluated(threshold=0.5, found=FOUND, truth=TRUTH):
    return evaluate_boxes(found, truth, ("cat", "dog"), threshold, ["a", "b", "c"], data="pets", split="test")


def test_figures_of_a_small_set_by_hand():
    """Cats: 4 objects, found 3 of them before any mistake; dogs: 1 of 1."""
    result = evaluated()
    assert (result.objects, result.count) == (5, 3)
    assert result.per_class[0].average_precision == pytest.approx(76 / 101)  # recalls 0, 0.01, .. 0.75
    assert result.per_class[1].average_precision == pytest.approx(1)
    assert result.metrics["mAP"].value == pytest.approx((76 / 101 + 1) / 2)
    assert result.metrics["average recall"].value == pytest.approx((3 / 4 + 1) / 2)
    assert result.metrics["count error"].value == pytest.approx(1 / 5)  # image b has 3 objects and 2 boxes
    assert "mAP small" in result.metrics and "mAP large" not in result.metrics
    assert (result.per_class[0].precision, result.per_class[0].recall) == (1, 0.75)
    assert result.curves.curves["cat"][:76] == [1.0] * 76 and not any(result.curves.curves["cat"][76:])
    assert [error.key for error in result.worst] == ["b"]
    assert result.worst[0].target_text == "3 objects"
    assert result.worst[0].prediction_text == "1 missed, 0 wrong boxes"
    assert result.metrics["count error"].text(0.2) == "20.00%"


def test_lower_threshold_shows_and_counts_more_boxes_but_ranks_the_same():
    low = evaluated(threshold=0.1)
    assert low.metrics["mAP"].value == evaluated().metrics["mAP"].value
    assert low.metrics["count error"].value == pytest.approx(3 / 5)  # one too many in a and c, one too few in b
    assert {error.key: error.prediction_text for error in low.worst} == {
        "a": "0 missed, 1 wrong boxes", "b": "1 missed, 0 wrong boxes", "c": "0 missed, 1 wrong boxes",
    }  # fmt: skip


def test_boxes_on_ignored_objects_are_not_counted():
    truth = true_set([0, 0, 1, 1, 1, 2], [(0, 0), (50, 0), (0, 0), (30, 30), (60, 60), (0, 0)], [0, 0, 0, 1, 0, 0],
                     [0, 0, 0, 0, 0, CROWD])  # fmt: skip
    found = evaluated(threshold=0.35, truth=truth)  # the box in c lies on the crowd by (10 - 5)^2 / 100 < half
    assert found.metrics["count error"].value == pytest.approx(2 / 5)
    moved = FoundBoxes(FOUND.images, np.where(FOUND.images[:, None] == 2, boxes_at((1, 1)), FOUND.boxes), FOUND.labels,
                       FOUND.scores)  # fmt: skip
    assert evaluated(threshold=0.35, truth=truth, found=moved).metrics["count error"].value == pytest.approx(1 / 5)


def test_evaluation_is_json_and_its_tables_are_whole():
    result = evaluated()
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["threshold"] == 0.5
    table, curves = (exhibit.rows() for exhibit in result.exhibits)
    assert [row[0] for row in table] == ["class", "cat", "dog"] and {len(row) for row in table} == {7}
    assert curves == []


def test_split_without_objects_has_no_figures():
    nothing = true_set([], [], [])
    result = evaluated(truth=nothing)
    assert list(result.metrics) == ["objects"]
    json.dumps(result.to_json(), allow_nan=False)
    assert mean_precision(FOUND, nothing, 2) == (0, 0)


def test_weights_of_images_are_copies_of_them():
    """The figures of resamples: an image drawn twice counts as two images with the same boxes."""
    rng = np.random.default_rng(5)
    found, truth = draw_set(rng, 6, 2, 7, ties=False)
    weights = np.array([2, 0, 1, 3, 1, 0])
    copies = np.repeat(np.arange(6), weights)

    def copied(boxes):
        rows = [np.flatnonzero(boxes.images == image) for image in copies]
        order, images = np.concatenate(rows), np.repeat(np.arange(len(copies)), [len(each) for each in rows])
        return type(boxes)(images, *(getattr(boxes, name)[order] for name in list(boxes.__slots__)[1:]))

    weighted = Ranked(match_boxes(found, truth), 2).averages(0, weights.astype(float))
    expected = Ranked(match_boxes(copied(found), copied(truth)), 2).averages(0)
    for mine, theirs in zip(weighted, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_intervals_hold_the_figures_and_shrink_with_more_images():
    rng = np.random.default_rng(1)
    widths = []
    for num in (10, 80):
        found, truth = draw_set(rng, num, 1, 6, ties=False)
        keys = [str(i) for i in range(num)]
        metric = evaluate_boxes(found, truth, ("a",), 0.3, keys, data="d", split="test").metrics["mAP50"]
        assert metric.low <= metric.value <= metric.high
        widths.append(metric.high - metric.low)
    assert widths[1] < widths[0]


def test_best_score_counts_right():
    """Right boxes from 0.6 on, wrong ones below; the threshold lies between."""
    assert 0.4 < best_score(FOUND, TRUTH, 3) < 0.6
    nothing = found_set([], [], [], [])
    assert best_score(nothing, TRUTH, 3) == 0.5


def test_best_score_prefers_right_counts_among_nearly_equal_f1():
    """400 objects, all found at 0.9; 3 wrong boxes of another image at 0.95: leaving them out is impossible, but of the
    scores below 0.9 the highest counts best."""
    places = [(12.0 * (i % 20), 12.0 * (i // 20)) for i in range(400)]
    truth = true_set([0] * 400, places, [0] * 400)
    found = found_set(
        [0] * 400 + [0] * 3, [*places, (500, 500), (520, 520), (540, 540)], [0] * 403, [0.9] * 400 + [0.3, 0.2, 0.1]
    )
    assert most_of(truth) == 4000 and most_of(TRUTH) == 100
    assert 0.3 < best_score(found, truth, 1) < 0.9


def test_best_score_by_trying_all():
    rng = np.random.default_rng(9)
    found, truth = draw_set(rng, 4, 1, 8, ties=False, crowds=0.0)
    threshold = best_score(found, truth, 4)
    scores = np.sort(found.scores)

    def f1(at):
        result = evaluate_boxes(found, truth, ("a",), at, [str(i) for i in range(4)], data="d", split="s")
        figures = result.per_class[0]
        total = figures.precision + figures.recall
        return 2 * figures.precision * figures.recall / total if total else 0, result.metrics["count error"].value

    tried = [f1(at) for at in (scores[:-1] + scores[1:]) / 2]
    best = max(f for f, _ in tried)
    mine = f1(threshold)
    assert mine[0] >= 0.99 * best
    assert mine[1] == pytest.approx(min(error for f, error in tried if f >= 0.99 * best))
