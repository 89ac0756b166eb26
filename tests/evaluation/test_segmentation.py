"""Metrics of masks against scikit-learn, and outlines against a loop over all pairs of pixels."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score

from neocog.evaluation import evaluate_masks
from neocog.evaluation.segmentation import boundary_counts, boundary_f, class_dices, class_ious, count_pixels

NUM = 4
CLASSES = ("background", "a", "b", "c")


def blobs(seed, size=(40, 30), unknown=True):
    """Two masks of blocks that mostly agree, the true one with unlabelled pixels."""
    generator = np.random.default_rng(seed)
    truth = np.kron(generator.integers(0, NUM, (5, 5)), np.ones((size[0] // 5, size[1] // 5))).astype(np.uint8)
    mask = np.roll(truth, generator.integers(-2, 3, 2), (0, 1))
    mask[generator.random(size) < 0.05] = generator.integers(NUM)
    if unknown:
        truth[5:9] = 255
    return mask, truth


@pytest.fixture(scope="module")
def pairs():
    return [blobs(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def evaluated(pairs):
    confusions = np.stack([count_pixels(mask, truth, NUM) for mask, truth in pairs])
    boundaries = np.stack([boundary_counts(mask, truth, NUM) for mask, truth in pairs])
    keys = [f"{i}.png" for i in range(len(pairs))]
    return evaluate_masks(confusions, boundaries, CLASSES, keys, data="blobs", split="test")


def flat(pairs):
    masks, truths = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    known = truths != 255
    return truths[known], masks[known]


def test_metrics_equal_scikit_learns(pairs, evaluated):
    truth, mask = flat(pairs)
    assert evaluated.mean_iou.value == pytest.approx(jaccard_score(truth, mask, average="macro"))
    dices = f1_score(truth, mask, average=None)
    assert evaluated.mean_dice.value == pytest.approx(dices[1:].mean())  # without the background
    assert [x.dice for x in evaluated.per_class] == pytest.approx(dices)
    assert [x.iou for x in evaluated.per_class] == pytest.approx(jaccard_score(truth, mask, average=None))
    assert evaluated.pixel_accuracy.value == pytest.approx(accuracy_score(truth, mask))
    np.testing.assert_array_equal(evaluated.confusion, confusion_matrix(truth, mask))


def test_metrics_have_intervals_around_them(evaluated):
    assert list(evaluated.metrics) == ["mIoU", "mean Dice", "pixel accuracy", "boundary F"]
    for estimate in evaluated.metrics.values():
        assert estimate.low <= estimate.value <= estimate.high and "bootstrap" in estimate.method
    assert evaluated.pixel_accuracy.is_share and not evaluated.mean_iou.is_share


def test_unlabelled_pixels_do_not_count():
    mask, truth = blobs(0)
    other = mask.copy()
    other[truth == 255] = 3
    np.testing.assert_array_equal(count_pixels(mask, truth, NUM), count_pixels(other, truth, NUM))
    np.testing.assert_array_equal(boundary_counts(mask, truth, NUM), boundary_counts(other, truth, NUM))


def test_a_class_that_neither_has_is_left_out():
    truth, mask = np.array([[0, 0, 1]]), np.array([[0, 1, 1]])
    confusion = count_pixels(mask, truth, NUM)
    assert np.isnan(class_ious(confusion)[2:]).all() and np.isnan(class_dices(confusion)[2:]).all()
    found = evaluate_masks(confusion[None], None, CLASSES, ["x"], data="d", split="test")
    assert found.mean_iou.value == pytest.approx(0.5) and found.boundary_f is None
    assert list(found.metrics) == ["mIoU", "mean Dice", "pixel accuracy"]


def test_a_class_that_is_predicted_and_not_there_counts_as_zero():
    confusion = count_pixels(np.array([0, 2]), np.array([0, 0]), NUM)
    assert class_ious(confusion)[2] == 0


def outline_by_loops(plane, known):
    """Known pixels of a class with a known neighbour of another, above, below, left or right."""
    found = []
    height, width = plane.shape
    for y in range(height):
        for x in range(width):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [(v, u) for v, u in around if 0 <= v < height and 0 <= u < width]
            if plane[y, x] and known[y, x] and any(known[p] and not plane[p] for p in inside):
                found.append((y, x))
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("unknown", [True, False])
def test_outline_counts_equal_loops(seed, unknown):
    mask, truth = blobs(seed, (20, 25), unknown)
    known, near = truth != 255, max(1.0, 0.0075 * math.hypot(20, 25))
    found = boundary_counts(mask, truth, NUM)
    for k in range(NUM):
        own, real = outline_by_loops(mask == k, known), outline_by_loops(truth == k, known)
        close = [sum(any(math.dist(p, q) <= near for q in b) for p in a) for a, b in ((own, real), (real, own))]
        assert found[k].tolist() == [close[0], len(own), close[1], len(real)]


def test_distance_grows_with_the_image():
    """A line that is off by three pixels is near in an image whose diagonal is 566, and far in one of 141."""
    for side, expected in ((400, 1.0), (100, 0.0)):
        truth, mask = np.zeros((side, side), int), np.zeros((side, side), int)
        truth[:, side // 2 :], mask[:, side // 2 + 3 :] = 1, 1
        f = boundary_f(boundary_counts(mask, truth, 2))
        assert f.tolist() == [expected, expected]


def test_boundary_f_is_the_harmonic_mean_of_pooled_counts():
    counts = np.array([[8, 10, 6, 12], [0, 5, 0, 5], [0, 0, 0, 4], [0, 0, 0, 0]])
    precision, recall = 0.8, 0.5
    expected = [2 * precision * recall / (precision + recall), 0, 0]
    assert boundary_f(counts)[:3].tolist() == pytest.approx(expected) and np.isnan(boundary_f(counts)[3])


def test_perfect_masks_have_perfect_metrics():
    _, truth = blobs(0)
    confusion, boundary = count_pixels(truth % 255, truth, NUM), boundary_counts(truth, truth, NUM)
    found = evaluate_masks(confusion[None], boundary[None], CLASSES, ["x"], data="d", split="test")
    assert [estimate.value for estimate in found.metrics.values()] == [1, 1, 1, 1]
    assert found.worst_errors == []


def test_worst_images_come_first_and_say_what_is_wrong(pairs, evaluated):
    means = {}
    for i, (mask, truth) in enumerate(pairs):
        means[f"{i}.png"] = np.nanmean(class_ious(count_pixels(mask, truth, NUM)))
    assert [error.key for error in evaluated.worst] == sorted(means, key=means.get)
    first = evaluated.worst[0]
    assert first.prediction_text.startswith(f"mean IoU {means[first.key]:.3f}, lowest ")
    assert "%" in first.target_text


def test_per_class_table(evaluated):
    (table,) = evaluated.exhibits
    head, *rows = table.rows()
    assert head == ("class", "IoU", "Dice", "boundary F", "pixels", "images")
    assert [row[0] for row in rows] == list(CLASSES)
    assert sum(int(row[4].replace(",", "")) for row in rows) == 6 * (40 - 4) * 30


def test_only_a_class_named_background_is_left_out_of_the_mean_dice():
    confusion = np.array([[[5, 1], [2, 3]]])
    both = evaluate_masks(confusion, None, ("sky", "road"), ["x"], data="d", split="test")
    one = evaluate_masks(confusion, None, ("Background", "road"), ["x"], data="d", split="test")
    assert both.mean_dice.value == pytest.approx(class_dices(confusion[0]).mean())
    assert one.mean_dice.value == pytest.approx(class_dices(confusion[0])[1])
