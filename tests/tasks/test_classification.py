import pytest
import torch
import torch.nn.functional as F

from neocog.tasks import Classification, LossConfig
from neocog.zoo import WithAuxiliary

LOGITS, LABELS = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])


def test_smoothing_spreads_the_target():
    task = Classification(("a", "b", "c"), LossConfig(label_smoothing=0.3))
    spread = F.one_hot(LABELS, 3) * 0.7 + 0.3 / 3
    expected = -(spread * LOGITS.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(task.loss(LOGITS, LABELS), expected)


def test_validation_is_scored_without_smoothing():
    figures = Classification(("a", "b", "c"), LossConfig(label_smoothing=0.3)).validation(LOGITS, LABELS)
    assert figures["loss"] == pytest.approx(F.cross_entropy(LOGITS, LABELS).item())
    assert figures["accuracy"] == (LOGITS.argmax(1) == LABELS).double().mean().item()


def test_probabilities_sum_to_one():
    rows = Classification(("a", "b", "c")).probabilities(LOGITS.float() * 100)
    torch.testing.assert_close(rows.sum(1), torch.ones(6, dtype=torch.float64), atol=1e-12, rtol=0)


def test_auxiliary_losses_are_added_with_their_weight_and_only_the_logits_are_scored():
    task = Classification(("a", "b", "c"))
    first, second = torch.randn(2, 6, 3, dtype=torch.float64)
    outputs = WithAuxiliary(LOGITS, (first, second), weight=0.3)
    parts = [F.cross_entropy(logits, LABELS) for logits in (LOGITS, first, second)]
    torch.testing.assert_close(task.loss(outputs, LABELS), parts[0] + 0.3 * (parts[1] + parts[2]))
    assert task.logits(outputs) is LOGITS and task.logits(LOGITS) is LOGITS
