import numpy as np
import pytest
import torch

from neocog.dataset.record import CROWD, Objects, Record
from neocog.evaluation.box_matching import overlap
from neocog.evaluation.detection import mean_precision
from neocog.tasks import TASKS, Detection, LossConfig
from neocog.tasks.centre_points import centre_losses
from neocog.tasks.detection import BoxCompared, BoxPrediction, found_boxes, true_boxes
from neocog.tasks.draw_boxes import draw_boxes
from neocog.tasks.seams import Gathered, suppressed
from tests.tasks.test_centre_points import draw_targets
from tests.tasks.test_seams import maps_of

CLASSES = ("cat", "dog")


def perfect(targets, size=(48, 64)):
    """Maps that decode to the objects in targets."""
    rows = []
    for each in targets.tolist():
        objects = [(int(label), 0.9 - 0.01 * k, box) for k, (*box, label, ignored) in enumerate(each) if label >= 0]
        rows.append(maps_of(objects, (0, 0), 2, tile=size))
    return torch.stack(rows)


def spread_targets():
    """Objects of two images, far apart; the second image has one that is ignored."""
    return torch.tensor(
        [
            [[0.0, 0, 12, 12, 0, 0], [24, 8, 44, 24, 1, 0], [4, 28, 20, 44, 0, 0]],
            [[8.0, 8, 28, 28, 1, 0], [40, 4, 60, 20, 0, 2], [0, 0, 0, 0, -1, 0]],
        ]
    )


def test_perfect_maps_score_perfectly():
    task, targets = Detection(CLASSES), spread_targets()
    scored = task.score(perfect(targets), targets)
    assert scored.shape == (2, 2 + 6 * 100)
    figures = task.validation(scored, targets)
    assert figures["mAP"] == pytest.approx(1) and figures["mAP50"] == pytest.approx(1)
    assert figures["boxes found"] == 1
    assert figures["loss"] == pytest.approx(float(centre_losses(perfect(targets), targets, 2).mean()), rel=1e-6)
    assert task.progress_sum(perfect(targets), targets) == 2


def test_validation_is_the_mean_over_images_however_batches_are_cut():
    task = Detection(CLASSES)
    targets = draw_targets(torch.Generator().manual_seed(0), images=4, classes=2)
    logits = torch.randn(4, 6, 12, 16)
    whole = task.score(logits, targets)
    parts = torch.cat([task.score(logits[i : i + 1], targets[i : i + 1]) for i in range(4)])
    assert torch.allclose(whole, parts)
    figures = task.validation(whole, targets)
    assert figures["loss"] == pytest.approx(float(task.logits_loss(logits, targets)), rel=1e-5)
    assert figures["boxes found"] == pytest.approx(task.progress_sum(logits, targets) / 4)
    assert (figures["mAP"], figures["mAP50"]) == mean_precision(found_boxes(whole), true_boxes(targets), 2)


def found_by_hand(task, logits, targets):
    """The share of an image's objects that overlap by half with one of its M surest boxes of their class."""
    from neocog.tasks.centre_points import split_maps
    from neocog.zoo.networks.centernet import peaks

    boxes, _, labels = peaks(split_maps(logits[None], len(task.classes)), 100)
    objects = [row for row in targets.tolist() if row[4] >= 0 and row[5] == 0]
    if not objects:
        return 1.0
    hits = 0
    for x1, y1, x2, y2, label, _ in objects:
        for box, k in list(zip(boxes[0].tolist(), labels[0].tolist(), strict=True))[: len(objects)]:
            w, h = min(x2, box[2]) - max(x1, box[0]), min(y2, box[3]) - max(y1, box[1])
            shared = max(w, 0) * max(h, 0)
            union = (x2 - x1) * (y2 - y1) + (box[2] - box[0]) * (box[3] - box[1]) - shared
            if k == label and shared >= 0.5 * union:
                hits += 1
                break
    return hits / len(objects)


def test_boxes_found_by_hand():
    task = Detection(CLASSES)
    targets = draw_targets(torch.Generator().manual_seed(4), images=6, classes=2)
    logits = perfect(targets)
    logits[:, :2] += torch.randn(6, 2, 12, 16) * 3
    expected = [found_by_hand(task, *pair) for pair in zip(logits, targets, strict=True)]
    assert task.shares_found(logits, targets).tolist() == pytest.approx(expected)
    assert 0 < sum(expected) < 6


def test_threshold_is_learned_stored_and_restored():
    task, targets = Detection(CLASSES), spread_targets()
    task.learn_decisions(task.score(perfect(targets), targets), targets)
    assert 0 < task.threshold < 0.88
    again = Detection.restore(CLASSES, task.learned)
    assert (again.threshold, again.most) == (task.threshold, 100)
    valid = task.learned
    for changed in ({"threshold": 2.0}, {"most": 0}, {"threshold": "x"}, {"overlap": None}):
        with pytest.raises(ValueError, match="what it learned about boxes is not valid"):
            Detection.restore(CLASSES, valid | changed)


def test_overlap_of_boxes_that_stay_is_learned_by_validation_data():
    """Two peaks on each object, of which the less sure is left out; nothing is if objects themselves overlap."""
    targets = torch.tensor([[[8.0, 8, 40, 40, 0, 0], [44, 4, 60, 40, 0, 0]]])
    doubled = torch.cat([targets, targets + torch.tensor([8.0, 4, 8, 4, 0, 0])], dim=1)
    logits = maps_of(
        [(0, score, row[:4]) for score, row in zip((0.9, 0.7, 0.8, 0.6), doubled[0].tolist(), strict=True)],
        (0, 0),
        2,
        tile=(48, 72),
    )
    for truth, expected in ((targets, 0.4), (doubled, 1.0)):
        task = Detection(CLASSES)
        task.learn_decisions(task.score(logits[None], truth), truth)
        assert task.overlap == expected
        assert task.learned["overlap"] == expected
    boxes = found_boxes(task.score(logits[None], targets), 0.4)
    assert (boxes.scores > 0.5).sum() == 3  # boxes of the second pair overlap by 0.29


def test_suppressed_boxes_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 60, (80, 2))
    found = Gathered(np.concatenate([start, start + rng.uniform(5, 40, (80, 2))], axis=1), rng.random(80),
                     rng.integers(0, 2, 80))  # fmt: skip
    left: list[int] = []
    for i in np.argsort(-found.scores):
        near = [
            overlap(found.boxes[i][None], found.boxes[j][None], np.array([False]))[0]
            for j in left
            if found.labels[i] == found.labels[j]
        ]
        if max(near, default=0) <= 0.4:
            left.append(int(i))
    assert sorted(left) == np.flatnonzero(suppressed(found, 0.4)).tolist()
    assert len(left) < 80


def test_images_with_more_than_100_objects_get_as_many_boxes():
    targets = torch.zeros(1, 150, 6)
    task = Detection.for_training(CLASSES, LossConfig(), targets)
    assert task.most == 150 and task.learned["most"] == 150
    assert Detection.for_training(CLASSES, LossConfig(), targets[:, :9]).most == 100
    assert Detection(CLASSES).score(torch.randn(1, 6, 12, 16), targets).shape == (1, 2 + 6 * 150)


def prediction(threshold=0.5):
    boxes = np.array([[1.0, 2, 11, 12], [30, 5, 50, 25], [3, 3, 9, 9]])
    return BoxPrediction("a.png", CLASSES, (40, 60), boxes, np.array([0.9, 0.6, 0.2]), np.array([1, 1, 0]), threshold)


def test_prediction_shows_what_is_sure_enough():
    shown = prediction()
    assert [(x.label, x.box) for x in shown.objects] == [("dog", (1, 2, 11, 12)), ("dog", (30, 5, 50, 25))]
    assert shown.to_json() == {
        "width": 60, "height": 40, "count": 2,
        "objects": [
            {"label": "dog", "score": 0.9, "box": [1, 2, 11, 12]},
            {"label": "dog", "score": 0.6, "box": [30, 5, 50, 25]},
        ],
    }  # fmt: skip
    assert shown.cells() == {"size": "60 x 40", "objects": "dog 2", "surest": "0.90"}
    assert prediction(0.95).cells() == {"size": "60 x 40", "objects": "none", "surest": ""}
    assert prediction(0.1).cells()["objects"] == "dog 2, cat 1"
    assert set(Detection.columns) <= shown.to_json().keys()


def test_evaluation_of_compared_images():
    task = Detection(CLASSES)
    truth = Objects(
        np.array([[1, 2, 11, 12], [30, 5, 50, 25], [20, 20, 30, 30]], np.float32), np.array([1, 1, 0]), None,
        np.array([0, 0, CROWD], np.uint8),
    )  # fmt: skip
    record = Record("a.png", np.zeros((40, 60, 3), np.uint8), truth)
    compared = task.compare(prediction(), record)
    assert isinstance(compared, BoxCompared) and compared.truth.ignored.tolist() == [0, 0, CROWD]
    result = task.evaluate([compared], np.array([-1]), ["a.png"], data="pets", split="test")
    assert result.metrics["mAP"].value == pytest.approx(1) and result.objects == 2
    assert task.draw(record, prediction()).address.startswith("data:image/png")
    assert task.legend[0][0] == "cat"


def test_classes_of_another_set_are_matched_by_name():
    task = Detection(CLASSES)
    task.numbers = np.array([1, 0])  # of a set whose classes are dog, cat
    record = Record("a", np.zeros((4, 4), np.uint8), Objects(np.zeros((2, 4), np.float32), np.array([0, 1])))
    assert task.truth(record).labels.tolist() == [1, 0]


def test_shapes_are_those_of_the_networks_and_logits_decode_to_scores():
    assert Detection.output_shapes(3, (3, 75, 100)) == ((3, 24, 32), (2, 24, 32), (2, 24, 32))
    task = Detection(CLASSES)
    logits = torch.randn(1, 6, 4, 4)
    task.check_logits(logits)
    decoded = task.decode(logits)
    torch.testing.assert_close(decoded[:, :2], logits[:, :2].double().sigmoid())
    assert torch.equal(decoded[:, 2:], logits[:, 2:].double())
    assert TASKS["detection"] is Detection


def test_drawn_boxes_have_the_colours_of_their_classes_and_ignored_ones_gaps():
    pixels = np.zeros((60, 80), np.uint16)
    drawn = draw_boxes(pixels, np.array([[10.0, 10, 30, 40], [40, 10, 70, 50]]), np.array([0, 1]), 2,
                       ignored=np.array([0, 1]))  # fmt: skip
    assert drawn.shape == (60, 80, 3)
    first, second = drawn[10, 10], drawn[10, 40]
    assert first.any() and second.any() and (first != second).any()
    assert drawn[10, 10:30].any(axis=1).all() and not drawn[10, 40:70].any(axis=1).all()
    assert not drawn[20:30, 15:25].any()
    assert max(draw_boxes(pixels, np.empty((0, 4)), np.empty(0, int), 2, side=40).shape[:2]) == 40
