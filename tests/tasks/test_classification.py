import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from neocog.tasks import Classification, LossConfig
from neocog.tasks.classification import balanced_weights
from neocog.zoo import WithAuxiliary

LOGITS, LABELS = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])


def test_label_smoothing_spreads_the_target():
    task = Classification(("a", "b", "c"), LossConfig(label_smoothing=0.3))
    spread = F.one_hot(LABELS, 3) * 0.7 + 0.3 / 3
    expected = -(spread * LOGITS.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(task.loss(LOGITS, LABELS), expected)


def test_validation_is_without_label_smoothing():
    figures = Classification(("a", "b", "c"), LossConfig(label_smoothing=0.3)).validation(LOGITS, LABELS)
    assert figures["loss"] == pytest.approx(F.cross_entropy(LOGITS, LABELS).item())
    assert figures["accuracy"] == (LOGITS.argmax(1) == LABELS).double().mean().item()


def test_probabilities_sum_to_one():
    rows = Classification(("a", "b", "c")).decode(LOGITS.float() * 100)
    torch.testing.assert_close(rows.sum(1), torch.ones(6, dtype=torch.float64), atol=1e-12, rtol=0)


def test_binary_cross_entropy_scores_each_class_on_its_own():
    task = Classification(("a", "b", "c"), LossConfig(kind="binary_cross_entropy", label_smoothing=0.3))
    targets = (F.one_hot(LABELS, 3) * 0.7 + 0.3 / 3).numpy()
    chance = 1 / (1 + np.exp(-LOGITS.numpy()))
    expected = -(targets * np.log(chance) + (1 - targets) * np.log(1 - chance)).mean()
    assert task.loss(LOGITS, LABELS).item() == pytest.approx(expected)


def test_all_classes_of_a_mixture_count_as_present():
    task = Classification(("a", "b", "c"), LossConfig(kind="binary_cross_entropy"))
    mixed = torch.tensor([[0.9, 0.1, 0.0]] * 6, dtype=torch.float64)
    there = torch.tensor([[1.0, 1.0, 0.0]] * 6, dtype=torch.float64)
    torch.testing.assert_close(task.loss(LOGITS, mixed), F.binary_cross_entropy_with_logits(LOGITS, there))


def test_auxiliary_losses_are_added_and_only_the_logits_are_scored():
    task = Classification(("a", "b", "c"))
    first, second = torch.randn(2, 6, 3, dtype=torch.float64)
    outputs = WithAuxiliary(LOGITS, (first, second), weight=0.3)
    parts = [F.cross_entropy(logits, LABELS) for logits in (LOGITS, first, second)]
    torch.testing.assert_close(task.loss(outputs, LABELS), parts[0] + 0.3 * (parts[1] + parts[2]))
    assert task.logits(outputs) is LOGITS and task.logits(LOGITS) is LOGITS


def test_balanced_weights_agree_with_scikit_learn():
    labels = np.array([0] * 7 + [1] * 2 + [2] * 30 + [3])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    weights = balanced_weights(torch.from_numpy(labels), 4)
    torch.testing.assert_close(weights, torch.from_numpy(expected).float())


def test_class_without_training_samples_has_a_finite_weight():
    assert balanced_weights(torch.tensor([0, 0, 2]), 3).isfinite().all()


def test_class_weights_count_in_training_and_not_in_validation():
    labels = torch.tensor([0, 0, 0, 0, 0, 1])
    logits = torch.randn(6, 2, dtype=torch.float64)
    task = Classification(("a", "b"), LossConfig(class_weights="balanced"), labels)
    each = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(task.loss(logits, labels), (each[:5].mean() + each[5]) / 2)
    assert task.validation(logits, labels)["loss"] == pytest.approx(each.mean().item())


def test_classes_have_no_weights_by_default():
    assert Classification(("a", "b", "c"), LossConfig(), LABELS).weights is None
