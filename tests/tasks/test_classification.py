import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from neocog.tasks import TASKS, Classification, LossConfig
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


def test_temperature_and_least_energy_are_learned_kept_and_obeyed():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(400, 3, generator=generator, dtype=torch.float64) * 4
    labels = (logits / 2 + torch.randn(400, 3, generator=generator, dtype=torch.float64) * 3).argmax(1)
    task = Classification(("a", "b", "c"))
    assert task.learned == {} and not task.flags_unusual
    task.learn_decisions(logits.float(), labels)
    said = task.calibrate(logits.float(), labels)
    assert set(task.learned) == {"temperature", "least_energy"} and task.temperature > 1
    assert said.startswith(
        f"calibration: a temperature of {task.temperature:.3f} by 400 validation samples; their loss"
    )
    again = Classification.restore(task.classes, task.learned)
    assert again.learned == task.learned and again.flags_unusual
    torch.testing.assert_close(again.decode(logits), (logits / task.temperature).softmax(1))
    names = [str(i) for i in range(400)]
    found, energies = again.predictions(names, logits, 2), logits.logsumexp(1)
    assert [one.unusual for one in found] == (energies < task.least_energy).tolist()
    assert 0.03 < np.mean([one.unusual for one in found]) <= 0.05
    evaluation = again.evaluate(logits.numpy(), labels.numpy(), names, data="d", split="test")
    assert evaluation.temperature == task.temperature
    assert evaluation.unusual.own.share.value == np.mean([one.unusual for one in found])
    assert evaluation.loss.value == pytest.approx(F.cross_entropy(logits / task.temperature, labels).item())


def test_network_without_thresholds_says_nothing_of_unusual_inputs():
    task = Classification.restore(("a", "b", "c"), {})
    (found,) = task.predictions(["x"], LOGITS[:1], 1)
    assert found.unusual is None
    assert task.evaluate(LOGITS.numpy(), LABELS.numpy(), list("abcdef"), data="d", split="s").unusual is None
    assert task.find_unusual("a", LOGITS, "b", LOGITS) is None


@pytest.mark.parametrize(
    ("learned", "message"),
    [
        ({"temperature": 0.0}, "temperature must be a finite number that is positive, received 0.0"),
        ({"temperature": "hot"}, "temperature must be a finite number that is positive, received 'hot'"),
        ({"least_energy": float("nan")}, "least_energy must be a finite number, received nan"),
        ({"least_energy": [1.0]}, "least_energy must be a finite number, received \\[1.0\\]"),
    ],
)
def test_damaged_decisions_are_refused(learned, message):
    with pytest.raises(ValueError, match=message):
        Classification.restore(("a", "b"), learned)


def test_average_of_views_keeps_mean_probability_and_mean_energy():
    views, weights = [LOGITS.float(), LOGITS.flip(0).float() * 2], [0.25, 0.75]
    for temperature in (None, 3.0):
        found = Classification(("a", "b", "c"), temperature=temperature).average(views, weights)
        mean = sum(w * view.double().softmax(1) for w, view in zip(weights, views, strict=True))
        energy = sum(w * view.double().logsumexp(1) for w, view in zip(weights, views, strict=True))
        torch.testing.assert_close(found.double().softmax(1), mean, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(found.double().logsumexp(1), energy, rtol=1e-5, atol=1e-5)


def test_next_move_flags_no_position_and_can_be_calibrated():
    task = TASKS["next move"](("a", "b", "c"))
    assert not task.learns_decisions and task.calibrates
    task.calibrate(LOGITS, LABELS)
    assert set(task.learned) <= {"temperature"}
