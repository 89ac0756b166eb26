import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit
from sklearn import metrics

from neocog.evaluation import average_precisions, best_thresholds, evaluate_labels, mean_average_precision

CLASSES = tuple("abcd")


def draw(num=200, seed=0):
    generator = np.random.default_rng(seed)
    targets = (generator.random((num, 4)) < [0.5, 0.3, 0.2, 0.1]).astype(float)
    logits = generator.normal(size=(num, 4)) + 2 * targets - 1
    return logits.astype(np.float32), targets


def evaluate(logits, targets, thresholds=(0.5,) * 4, classes=CLASSES):
    keys = [f"k{i}" for i in range(len(targets))]
    return evaluate_labels(logits, targets, np.array(thresholds), classes, keys, data="d", split="test")


def test_every_metric_agrees_with_scikit_learn():
    logits, targets = draw()
    thresholds = [0.4, 0.5, 0.6, 0.3]
    found, given_ = evaluate(logits, targets, thresholds), expit(logits.astype(float)) >= thresholds
    assert found.mean_average_precision.value == pytest.approx(metrics.average_precision_score(targets, logits))
    assert found.micro_f1.value == pytest.approx(metrics.f1_score(targets, given_, average="micro"))
    assert found.macro_f1.value == pytest.approx(metrics.f1_score(targets, given_, average="macro"))
    expected = np.mean([metrics.log_loss(targets[:, k], expit(logits[:, k].astype(float))) for k in range(4)])
    assert found.loss.value == pytest.approx(expected)
    columns = metrics.precision_recall_fscore_support(targets, given_)
    for k, row in enumerate(found.per_label):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx([column[k] for column in columns])
        assert row.average_precision == pytest.approx(metrics.average_precision_score(targets[:, k], logits[:, k]))
        assert row.threshold == thresholds[k]


@given(
    arrays.arrays(float, (30, 3), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])),
    arrays.arrays(float, (30, 3), elements=st.sampled_from([0.0, 1.0, np.nan])),
)
def test_average_precision_leaves_out_what_is_not_known(scores, targets):
    """Many ties, and labels without a positive sample."""
    for k, found in enumerate(average_precisions(scores, targets)):
        known = ~np.isnan(targets[:, k])
        if (targets[known, k] > 0.5).any():
            assert found == pytest.approx(metrics.average_precision_score(targets[known, k], scores[known, k]))
        else:
            assert np.isnan(found)


def test_metrics_with_missing_labels_are_those_of_the_known_ones():
    logits, targets = draw()
    targets[np.random.default_rng(1).random(targets.shape) < 0.3] = np.nan
    found, known, given_ = evaluate(logits, targets), ~np.isnan(targets), logits > 0
    f1 = [metrics.f1_score(targets[known[:, k], k], given_[known[:, k], k]) for k in range(4)]
    assert found.macro_f1.value == pytest.approx(np.mean(f1))
    assert found.micro_f1.value == pytest.approx(metrics.f1_score(targets[known], given_[known]))
    assert [row.support for row in found.per_label] == np.nansum(targets, axis=0).tolist()


def test_weights_of_samples_are_copies_of_them():
    logits, targets = draw(60)
    counts = np.random.default_rng(2).integers(0, 4, 60)
    statistic, rows = mean_average_precision(logits.astype(float), targets), np.repeat(np.arange(60), counts)
    expected = metrics.average_precision_score(targets[rows], logits[rows])
    assert statistic(counts.astype(float)) == pytest.approx(expected)


def test_thresholds_have_the_highest_f1_of_all():
    logits, targets = draw(400)
    probs = expit(logits.astype(float))
    found = best_thresholds(probs, targets)
    for k in range(4):
        tried = [metrics.f1_score(targets[:, k], probs[:, k] >= t) for t in np.unique(probs[:, k])]
        assert metrics.f1_score(targets[:, k], probs[:, k] >= found[k]) == pytest.approx(max(tried))


def test_rare_label_gets_the_threshold_of_all_labels_together():
    logits, targets = draw(400)
    probs = expit(logits.astype(float))
    targets[:, 3] = 0
    targets[:5, 3] = 1
    targets[5:300, 3] = np.nan
    found, known = best_thresholds(probs, targets), ~np.isnan(targets)
    tried = [metrics.f1_score(targets[known], probs[known] >= t) for t in np.unique(probs[known])]
    assert metrics.f1_score(targets[known], probs[known] >= found[3]) == pytest.approx(max(tried))


def test_threshold_without_positive_samples_is_one_half():
    assert best_thresholds(np.full((20, 2), 0.3), np.zeros((20, 2))).tolist() == [0.5, 0.5]


def test_threshold_between_neighbouring_floats_parts_them():
    high = np.float64(0.7)
    low = np.nextafter(high, 0)
    probs, targets = np.repeat([[high], [low]], 10, axis=0), np.repeat([[1.0], [0.0]], 10, axis=0)
    assert (probs >= best_thresholds(probs, targets)).ravel().tolist() == (targets > 0.5).ravel().tolist()


def test_label_that_no_sample_has_is_shown_without_average_precision():
    logits, targets = draw()
    targets[:, 1] = 0
    found = evaluate(logits, targets)
    assert found.per_label[1].average_precision is None
    assert found.exhibits[0].rows()[2][1] == "-"
    others = [0, 2, 3]
    expected = metrics.average_precision_score(targets[:, others], logits[:, others])
    assert found.mean_average_precision.value == pytest.approx(expected)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["per_label"][1]["average_precision"] is None


def test_worst_samples_are_those_with_a_wrong_label_and_the_highest_loss():
    logits, targets = draw()
    targets[:20] = np.nan
    found = evaluate(logits, targets)
    losses = np.where(np.isnan(targets), 0, np.logaddexp(0, np.where(targets > 0.5, -logits, logits)))
    mean = losses.sum(axis=1) / np.maximum(1, (~np.isnan(targets)).sum(axis=1))
    wrong = (((logits > 0) != (targets > 0.5)) & ~np.isnan(targets)).any(axis=1)
    top = [i for i in np.argsort(-mean, kind="stable")[:24] if wrong[i]]
    assert [one.key for one in found.worst_errors] == [f"k{i}" for i in top]
    first = found.worst_errors[0]
    assert first.target_text == (", ".join(c for c, t in zip(CLASSES, targets[top[0]], strict=True) if t) or "none")
    assert first.prediction_text == (
        ", ".join(c for c, x in zip(CLASSES, logits[top[0]], strict=True) if x > 0) or "none"
    )


def test_intervals_hold_their_values():
    for estimate in evaluate(*draw()).metrics.values():
        assert estimate.low < estimate.value < estimate.high and "bootstrap" in estimate.method


def test_threshold_does_not_count_on_parting_equal_probabilities():
    """Ten present at 0.9; at 0.8 five present before fifty absent, which would look best between them."""
    probs = np.array([0.9] * 10 + [0.8] * 55)[:, None]
    targets = np.array([1.0] * 15 + [0.0] * 50)[:, None]
    assert best_thresholds(probs, targets)[0] == pytest.approx(0.85)
