import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from neocog.evaluation import auroc, evaluate_classifier, macro_auroc


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_area_equals_scikit_learn_with_ties(pairs):
    scores, positive = np.array([pair[0] for pair in pairs], float), np.array([pair[1] for pair in pairs])
    assume(positive.any() and not positive.all())
    assert auroc(scores, positive).value == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def brute_force_variance(scores, positive):
    """DeLong et al. 1988, equations 3 to 5, pair by pair."""
    own, other = scores[positive], scores[~positive]
    psi = np.where(own[:, None] > other, 1.0, np.where(own[:, None] == other, 0.5, 0.0))
    return psi.mean(axis=1).var(ddof=1) / len(own) + psi.mean(axis=0).var(ddof=1) / len(other)


def test_interval_has_the_variance_of_delong():
    generator = np.random.default_rng(0)
    positive = generator.random(80) < 0.3
    scores = (generator.normal(size=80) + positive).round(1)
    found, error = auroc(scores, positive), math.sqrt(brute_force_variance(scores, positive))
    area = found.value
    half = 1.959963985 * error / (area * (1 - area))
    expected = [1 / (1 + math.exp(-(math.log(area / (1 - area)) + side * half))) for side in (-1, 1)]
    assert [found.low, found.high] == pytest.approx(expected, abs=1e-9)
    assert found.method == "DeLong, on the logit scale"


def test_macro_area_equals_scikit_learn_and_has_the_interval_of_a_bootstrap():
    generator = np.random.default_rng(1)
    targets = generator.integers(0, 4, 600)
    logits = generator.normal(size=(600, 4)) * 1.5
    logits[np.arange(600), targets] += 1
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = macro_auroc(probs, targets)
    assert found.value == pytest.approx(roc_auc_score(targets, probs, multi_class="ovr"), abs=1e-12)
    resampled = []
    for _ in range(1000):
        rows = generator.integers(0, 600, 600)
        resampled.append(roc_auc_score(targets[rows], probs[rows], multi_class="ovr"))
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.004)


def test_two_classes_have_the_same_area_from_either_side():
    generator = np.random.default_rng(2)
    targets = generator.integers(0, 2, 50)
    share = generator.random(50)
    found, one = macro_auroc(np.stack([1 - share, share], axis=1), targets), auroc(share, targets == 1)
    assert (found.value, found.low, found.high) == pytest.approx((one.value, one.low, one.high))


def test_class_that_no_sample_has_is_left_out():
    targets, scores = np.array([0, 0, 2, 2]), np.random.default_rng(3).random((4, 3))
    expected = np.mean([roc_auc_score(targets == k, scores[:, k]) for k in (0, 2)])
    assert macro_auroc(scores, targets).value == pytest.approx(expected)
    assert macro_auroc(scores, np.zeros(4, int)) is None


def test_perfect_order_has_no_interval():
    found = auroc(np.array([0.1, 0.2, 0.8]), np.array([False, False, True]))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_classifier_has_an_area_unless_its_split_has_one_class():
    logits = np.array([[2.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    found = evaluate_classifier(logits, np.array([0, 1, 1]), ("a", "b"), list("xyz"), data="d", split="s")
    assert found.metrics["macro AUROC"].value == 1.0
    found = evaluate_classifier(logits, np.zeros(3, int), ("a", "b"), list("xyz"), data="d", split="s")
    assert found.auroc is None and "macro AUROC" not in found.metrics


def test_auroc_keeps_the_order_of_probabilities_that_round_to_one():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 200)
    margin = rng.uniform(40, 60, 200) + 3 * targets
    logits = np.stack([np.zeros(200), margin], axis=1)
    found = evaluate_classifier(logits, targets, ("a", "b"), [str(k) for k in range(200)], data="d", split="s")
    assert found.auroc.value == pytest.approx(roc_auc_score(targets, margin), abs=1e-12)
