import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from neocog.transfer import fit_labels
from neocog.transfer.folds import assign_folds


def draw(num=300, width=12, seed=0):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(num, width)) * generator.uniform(0.1, 5, width) + generator.normal(size=width)
    weight = generator.normal(size=(width, 3)) / features.std(axis=0)[:, None]
    logits = (features - features.mean(axis=0)) @ weight - [0, 1, 3]
    targets = (generator.random((num, 3)) < 1 / (1 + np.exp(-logits))).astype(float)
    return torch.from_numpy(features).float(), targets


def test_each_label_is_the_logistic_regression_of_scikit_learn():
    features, targets = draw()
    targets[np.random.default_rng(1).random(targets.shape) < 0.2] = np.nan
    head = fit_labels(features, targets)
    scaled = (features - features.mean(0)) / features.std(0, correction=0)
    for k, penalty in enumerate(head.penalties):
        known = ~np.isnan(targets[:, k])
        theirs = LogisticRegression(C=1 / (penalty * known.sum()), tol=1e-8, max_iter=1000)
        theirs.fit(scaled[torch.from_numpy(known)], targets[known, k])
        np.testing.assert_allclose(head(features)[:, k], theirs.decision_function(scaled), atol=0.05)


def test_held_out_fifth_measures_the_head():
    features, targets = draw()
    head = fit_labels(features, targets, seed=3)
    held = assign_folds(np.zeros(300, int), 5, seed=3) == 0
    assert held.sum() == 60
    scaled = (features - features.mean(0)) / features.std(0, correction=0)
    scores = [
        LogisticRegression(C=1 / (penalty * 240), tol=1e-8, max_iter=1000)
        .fit(scaled[~held], targets[~held, k])
        .decision_function(scaled[held])
        for k, penalty in enumerate(head.penalties)
    ]
    expected = average_precision_score(targets[held], np.stack(scores, axis=1))
    assert head.mean_average_precision == pytest.approx(expected, abs=0.02)


def test_groups_are_held_out_together():
    features, targets = draw(100)
    copies, groups = torch.cat([features, features]), np.tile(np.arange(100), 2)
    known, unknown = (fit_labels(copies, np.tile(targets, (2, 1)), groups=g) for g in (groups, None))
    assert known.mean_average_precision < unknown.mean_average_precision  # twins of held-out samples train


def test_augmentations_are_further_samples():
    features, targets = draw(100)
    noisy = features + 0.1 * torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    head = fit_labels(torch.stack([features, noisy]), targets)
    assert head.weight.shape == (3, 12) and not torch.equal(head.weight, fit_labels(features, targets).weight)


def test_label_that_none_or_all_have_gets_a_constant():
    features, targets = draw(50)
    targets[:, 0], targets[:, 1], targets[:, 2] = 0, 1, np.nan
    found = fit_labels(features, targets)(features)
    assert found.isfinite().all() and (found[:, 0] < -2).all() and (found[:, 1] > 2).all()
    assert found[:, 2].abs().max() < 1e-3


def test_more_features_than_samples():
    features, targets = draw(40, 200)
    head = fit_labels(features, targets)
    assert head.weight.isfinite().all() and average_precision_score(targets, head(features)) > 0.9
