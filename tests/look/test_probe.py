import numpy as np
import pytest
import torch
from scipy import stats

from neocog.look.probe import (
    NUM_FOLDS,
    PENALTIES,
    Probe,
    assign_folds,
    class_numbers,
    fit_classes,
    paired_loss,
    probe_accuracy,
    share,
)


def kernel_and_labels(num=40, features=7, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.arange(num) % 3
    values = torch.from_numpy(draw.normal(size=(num, features)) + labels[:, None])
    return values @ values.T, labels


@pytest.mark.parametrize("penalty", PENALTIES)
def test_probe_equals_ridge_fitted_again_without_each_fold(penalty):
    kernel, labels = kernel_and_labels()
    targets, folds = torch.from_numpy(np.eye(3)[labels]), assign_folds(labels)
    predicted = Probe.fit(kernel, targets, folds, [penalty]).predict(kernel)
    for fold in range(NUM_FOLDS):
        rest, held = (torch.from_numpy(np.flatnonzero(each)) for each in (folds != fold, folds == fold))
        ridge = kernel[rest][:, rest] + penalty * kernel.diagonal().mean() * torch.eye(len(rest))
        expected = kernel[held][:, rest] @ torch.linalg.solve(ridge, targets[rest])
        torch.testing.assert_close(predicted[held], expected)


def test_probe_takes_penalty_of_smallest_error():
    kernel, labels = kernel_and_labels(60, 40)
    targets, folds = torch.from_numpy(np.eye(3)[labels]), assign_folds(labels)
    errors = {p: (Probe.fit(kernel, targets, folds, [p]).predict(kernel) - targets).square().mean() for p in PENALTIES}
    assert Probe.fit(kernel, targets, folds).penalty == min(errors, key=errors.get)


def test_folds_spread_each_class():
    labels = np.random.default_rng(0).integers(0, 4, 103)
    folds = assign_folds(labels)
    for number in range(4):
        counts = np.bincount(folds[labels == number], minlength=NUM_FOLDS)
        assert counts.max() - counts.min() <= 1


def test_probe_without_information_is_at_chance():
    draw = np.random.default_rng(1)
    values = torch.from_numpy(draw.normal(size=(400, 50)))
    assert abs(probe_accuracy(values @ values.T, np.arange(400) % 2).mean() - 0.5) < 0.1


def test_probe_names_separated_classes_whatever_their_numbers():
    labels = np.array([3, 9, 3, 9, 3, 9, 3, 9, 3, 9, 3, 9])
    values = torch.from_numpy(np.where(labels == 9, 1.0, -1.0))[:, None]
    assert probe_accuracy(values @ values.T, labels).all()
    assert class_numbers(labels).tolist() == [0, 1] * 6
    assert fit_classes(values @ values.T, labels, assign_folds(labels)).coefficients[0].shape == (12, 2)


@pytest.mark.parametrize(("hits", "num"), [(0, 10), (10, 10), (37, 100), (990, 1000)])
def test_share_equals_scipy(hits, num):
    expected = stats.binomtest(hits, num).proportion_ci(method="wilson")
    found = share(hits, num)
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], atol=1e-12)


def test_paired_loss_covers_the_true_loss():
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        before, lost = draw.random(150) < 0.8, draw.random(150) < 0.1
        found = paired_loss(before, before & ~lost)
        covered += found.low <= 0.08 <= found.high
    assert 0.92 <= covered / 500 <= 0.99
