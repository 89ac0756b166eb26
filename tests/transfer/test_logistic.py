import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from neocog.errors import DataError
from neocog.transfer import fit_at, fit_logistic
from neocog.transfer.folds import assign_folds


def make_data(num=400, dim=30, num_classes=4, noise=4.0, seed=0):
    """Gaussian classes whose features have very different scales."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num)
    rows = rng.normal(size=(num_classes, dim))[labels] + noise * rng.normal(size=(num, dim))
    return torch.from_numpy((rows * np.geomspace(0.01, 100, dim) + 5).astype(np.float32)), labels


def standardise(features):
    rows = features.double().numpy()
    return (rows - rows.mean(0)) / rows.std(0)


def assert_equal_functions(weight, bias, features, oracle):
    ours = (features.double() @ weight.double().T + bias.double()).log_softmax(1)
    theirs = torch.from_numpy(oracle.predict_log_proba(standardise(features)))
    torch.testing.assert_close(ours, theirs, atol=3e-3, rtol=0)


@pytest.mark.parametrize("penalty", [0.1, 1e-3])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_coefficients_are_those_of_scikit_learn(penalty, num_classes):
    features, labels = make_data(num_classes=num_classes)
    weight, bias = fit_at(features, labels, num_classes, penalty)
    oracle = LogisticRegression(C=1 / (penalty * len(labels)), tol=1e-10, max_iter=10_000)
    if num_classes == 2:  # theirs has one row, with half of the penalty of our two
        oracle.C *= 2
    oracle.fit(standardise(features), labels)
    assert_equal_functions(weight, bias, features, oracle)
    scaled = weight.double() * features.double().std(0, correction=0)
    expected = oracle.coef_ if num_classes > 2 else np.concatenate([-oracle.coef_, oracle.coef_]) / 2
    np.testing.assert_allclose(scaled, expected, atol=2e-3 * np.abs(expected).max())


def test_weights_weigh_samples_as_in_scikit_learn():
    features, labels = make_data()
    weights = np.random.default_rng(1).uniform(0.1, 3, len(labels))
    weight, bias = fit_at(features, labels, 4, 0.01, weights=weights)
    oracle = LogisticRegression(C=1 / (0.01 * weights.sum()), tol=1e-10, max_iter=10_000)
    oracle.fit(standardise(features), labels, sample_weight=weights)
    assert_equal_functions(weight, bias, features, oracle)


def test_float32_gives_the_same_head(monkeypatch):
    features, labels = make_data()
    expected = fit_at(features, labels, 4, 0.01)
    monkeypatch.setattr("neocog.transfer.logistic.DOUBLE", 0)
    found = fit_at(features, labels, 4, 0.01)
    scale = features.std(0)
    torch.testing.assert_close(found[0] * scale, expected[0] * scale, atol=3e-3, rtol=0)


def test_held_out_accuracy_is_that_of_refitting_each_fold():
    features, labels = make_data()
    head = fit_logistic(features, labels, 4)
    scaled, hits = standardise(features), 0
    for fold in range(5):
        train, test = head.folds != fold, head.folds == fold
        oracle = LogisticRegression(C=1 / (head.penalty * train.sum()), tol=1e-8, max_iter=10_000)
        oracle.fit(scaled[train], labels[train])
        theirs = torch.from_numpy(oracle.predict_log_proba(scaled[test])).float()
        torch.testing.assert_close(head.cv_logits[test].log_softmax(1), theirs, atol=0.1, rtol=0)
        hits += (oracle.predict(scaled[test]) == labels[test]).sum()
    assert abs(head.cv_accuracy.value - hits / len(labels)) <= 0.005
    assert head.cv_accuracy.low < head.cv_accuracy.value < head.cv_accuracy.high
    assert head.penalty == min(head.path, key=lambda point: point[1])[0]


def test_more_noise_gets_a_stronger_penalty():
    penalties = [fit_logistic(*make_data(noise=noise), num_classes=4).penalty for noise in (1.0, 10.0)]
    assert penalties[0] < penalties[1]


def test_the_same_data_give_the_same_bits():
    features, labels = make_data()
    heads = [fit_logistic(features, labels, 4) for _ in range(2)]
    assert torch.equal(heads[0].weight, heads[1].weight) and torch.equal(heads[0].bias, heads[1].bias)


def test_augmented_copies_are_held_out_with_their_sample():
    rng = np.random.default_rng(0)
    features, labels = torch.from_numpy(rng.normal(size=(60, 200))).float(), rng.integers(0, 2, 60)
    head = fit_logistic(features.repeat(3, 1, 1), labels, 2)
    # Labels are noise: a copy in training would give them away.
    assert head.cv_accuracy.value < 0.75 and head.cv_logits.shape == (60, 2)


def test_groups_are_held_out_whole_and_classes_stay_in_training():
    labels = np.array([0] * 10 + [1] * 10 + [2])
    groups = np.arange(21) // 2
    folds = assign_folds(labels, 3, groups=groups)
    assert all(len(set(folds[groups == group])) == 1 for group in range(11))
    assert folds[-1] == -1
    assert {0, 1, 2} == set(folds[:20])
    plain = assign_folds(labels, 3)
    assert sorted(np.bincount(plain[:10], minlength=3)) == [3, 3, 4]


def test_a_class_without_samples_is_not_predicted():
    features, labels = make_data(num_classes=3)
    head = fit_logistic(features, labels, 5)
    assert head(features).argmax(1).max() <= 2 and bool(head.weight.isfinite().all())


def test_one_sample_of_each_class_is_refused():
    with pytest.raises(DataError) as error:
        fit_logistic(torch.randn(3, 4), [0, 1, 2], 3)
    assert str(error.value) == (
        "Cross-validation needs a class with at least two samples, in different groups. "
        "Received: 3 samples of 3 classes. Add samples."
    )
