"""The headline metric under any weights of the samples, as resampling needs it."""

import numpy as np
import pytest

from neocog.evaluation.segmentation import class_ious
from neocog.tasks import Classification, MultiLabel, Regression, Segmentation, Task
from neocog.tasks.segmentation import MaskCompared

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(30, 3)).astype(np.float32)
KEYS = [str(i) for i in range(30)]
CASES = {
    "classes": (Classification(("a", "b", "c")), GENERATOR.integers(0, 3, 30)),
    "labels": (MultiLabel(("a", "b", "c")), (GENERATOR.random((30, 3)) < 0.4).astype(float)),
    "numbers": (Regression(("a", "b", "c")), np.where(GENERATOR.random((30, 3)) < 0.1, np.nan, LOGITS + 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_statistic_equals_the_evaluation_of_copies(name):
    task, targets = CASES[name]
    quick, slow = task.statistic(LOGITS, targets, KEYS), Task.statistic(task, LOGITS, targets, KEYS)
    for seed in range(5):
        counts = np.random.default_rng(seed).integers(0, 3, 30).astype(float)
        assert quick(counts) == pytest.approx(slow(counts), abs=1e-9)


@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_scores_of_samples_are_the_metric_of_each_alone(name):
    task, targets = CASES[name]
    alone = Task.sample_scores(task, LOGITS, targets, KEYS)
    np.testing.assert_allclose(task.sample_scores(LOGITS, targets, KEYS), alone, atol=1e-9)


def test_masks_are_weighed_by_image():
    confusions = GENERATOR.integers(0, 50, (6, 3, 3))
    compared = [MaskCompared(str(i), each, np.ones((3, 4), np.int64)) for i, each in enumerate(confusions)]
    task, counts = Segmentation(("a", "b", "c")), np.array([2.0, 0, 1, 0, 0, 3])
    found = task.statistic(compared, np.zeros(6), KEYS[:6])(counts)
    assert found == pytest.approx(class_ious(np.tensordot(counts, confusions, 1)).mean())
    alone = task.sample_scores(compared, np.zeros(6), KEYS[:6])
    assert alone == pytest.approx([class_ious(each).mean() for each in confusions])
