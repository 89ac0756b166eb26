import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import log_softmax, softmax
from sklearn import metrics

from neocog.evaluation import (
    bootstrap,
    class_figures,
    confusion_matrix,
    evaluate_classifier,
    expected_calibration_error,
    macro_f1,
    reliability,
    top_k_hits,
    wilson,
)


@pytest.fixture(scope="module")
def measured():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 7, 400)
    logits = generator.normal(size=(400, 7)).astype(np.float32) * 2
    logits[np.arange(400), targets] += 2
    classes = tuple("abcdefg")
    keys = [f"k{i}" for i in range(400)]
    return logits, targets, evaluate_classifier(logits, targets, classes, keys, data="d", split="test")


def test_every_metric_agrees_with_scikit_learn(measured):
    logits, targets, found = measured
    predictions = logits.argmax(axis=1)
    assert found.top1.value == metrics.accuracy_score(targets, predictions)
    assert found.top5.value == pytest.approx(metrics.top_k_accuracy_score(targets, logits, k=5))
    assert found.loss.value == pytest.approx(metrics.log_loss(targets, softmax(logits.astype(float), axis=1)), rel=1e-9)
    assert found.macro_f1.value == pytest.approx(metrics.f1_score(targets, predictions, average="macro"))
    probs = softmax(logits.astype(float), axis=1)
    assert found.auroc.value == pytest.approx(metrics.roc_auc_score(targets, probs, multi_class="ovr"))
    assert found.confusion == metrics.confusion_matrix(targets, predictions).tolist()
    columns = metrics.precision_recall_fscore_support(targets, predictions)
    for k, row in enumerate(found.per_class):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx([column[k] for column in columns])


def test_every_metric_lies_in_its_interval_and_names_its_method(measured):
    found = measured[2]
    names = ["accuracy", "top-5 accuracy", "loss", "macro F1", "macro AUROC", "calibration error (ECE)"]
    assert list(found.metrics) == names
    for estimate in found.metrics.values():
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high
        assert any(method in estimate.method for method in ("Wilson", "bootstrap", "DeLong"))


def test_worst_mistakes_come_first(measured):
    logits, targets, found = measured
    log_probs = log_softmax(logits.astype(float), axis=1)
    wrong = [i for i in range(400) if log_probs[i].argmax() != targets[i]]
    order = sorted(wrong, key=lambda i: log_probs[i, targets[i]])[:24]
    assert [mistake.key for mistake in found.mistakes] == [f"k{i}" for i in order]
    assert found.mistakes[0].truth_probability == pytest.approx(np.exp(log_probs[order[0], targets[order[0]]]))


def test_json_holds_all_metrics(measured):
    tree = json.loads(json.dumps(measured[2].to_json()))
    assert tree["top1"]["low"] < tree["top1"]["value"]
    assert tree["count"] == 400


def test_top5_is_left_out_for_five_classes():
    found = evaluate_classifier(np.eye(5), np.arange(5), tuple("abcde"), list("abcde"), data="d", split="s")
    assert found.top5 is None
    assert found.mistakes == []


def test_infinite_confidence_gives_finite_metrics():
    logits = np.array([[1000.0, -1000.0], [1000.0, -1000.0]])
    found = evaluate_classifier(logits, np.array([0, 1]), ("a", "b"), ["x", "y"], data="d", split="s")
    assert found.loss.value == 1000.0
    assert found.mistakes[0].truth_probability == 0.0


@pytest.mark.parametrize(
    ("hits", "num", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(hits, num, low, high):
    found = wilson(hits, num)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("method", ["percentile", "basic"])
@pytest.mark.parametrize("num", [2, 37, 300])
def test_bootstrap_equals_scipy(method, num):
    generator = np.random.default_rng(num)
    columns = generator.integers(0, 3, (2, num))

    def agreement(truth, guess):
        return float(np.mean(truth == guess))

    found = bootstrap(agreement, *columns, method=method)
    expected = stats.bootstrap(
        columns, agreement, n_resamples=1000, batch=1, vectorized=False, paired=True, confidence_level=0.95,
        method=method, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    least = 0.0 if method == "basic" else -np.inf
    assert (found.low, found.high) == (max(least, expected.low), expected.high)


def test_bootstrap_of_a_mean_is_the_normal_interval():
    values = np.random.default_rng(1).normal(3, 2, 4000)
    found = bootstrap(lambda x: float(x.mean()), values)
    half = 1.96 * values.std() / np.sqrt(4000)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)
    assert bootstrap(lambda x: float(x.mean()), values) == found


def test_one_sample_has_no_interval():
    assert bootstrap(lambda x: float(x.mean()), np.array([2.0])).method == "none: one sample"


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_equals_its_definition(rows):
    confidence = np.array([row[0] for row in rows])
    correct = np.array([row[1] for row in rows])
    expected = 0.0
    for b in range(15):
        here = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if here.any():
            expected += here.mean() * abs(correct[here].mean() - confidence[here].mean())
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected, abs=1e-9)
    bins = reliability(confidence, correct)
    assert sum(bin.count for bin in bins) == len(rows)
    assert sum(bin.count * abs(bin.accuracy - bin.confidence) for bin in bins) / len(rows) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_counts_agree_with_scikit_learn_for_any_labels(pairs):
    targets, predictions = np.array(pairs).T
    confusion = confusion_matrix(targets, predictions, 4)
    assert confusion.tolist() == metrics.confusion_matrix(targets, predictions, labels=range(4)).tolist()
    expected = metrics.precision_recall_fscore_support(targets, predictions, labels=range(4), zero_division=0)
    for k, row in enumerate(class_figures(confusion, tuple("abcd"))):
        assert (row.precision, row.recall, row.f1) == pytest.approx([expected[i][k] for i in range(3)])
    assert macro_f1(targets, predictions, 4) == pytest.approx(metrics.f1_score(targets, predictions, average="macro"))


def test_top_k_counts_ties_for_the_target():
    logits = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    assert top_k_hits(logits, np.array([1, 2]), 1).tolist() == [False, True]
    assert top_k_hits(logits, np.array([2, 2]), 2).tolist() == [False, True]
