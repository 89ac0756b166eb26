import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neocog.evaluation import evaluate_classifier, expected_calibration_error, fit_temperature


def draw(factor, num=4000, seed=0):
    """Logits whose classes are drawn by their own probabilities, times a factor."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(num, 5)) * 1.5
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (probs.cumsum(axis=1) > generator.random((num, 1))).argmax(axis=1)
    return logits * factor, targets


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_undoes_a_factor(factor):
    assert fit_temperature(*draw(factor)) == pytest.approx(factor, rel=0.06)


def test_temperature_has_the_least_loss_of_all():
    logits, targets = draw(2.5)
    found = fit_temperature(logits, targets)
    temperature = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(torch.from_numpy(logits) / temperature, torch.from_numpy(targets))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert found == pytest.approx(temperature.item(), rel=1e-4)


def test_large_logits_and_perfect_answers():
    targets = np.arange(6) % 3
    assert fit_temperature(np.eye(3)[targets] * 1e4, targets) == 1.0
    wrong = np.eye(3)[(targets + 1) % 3] * 1e4
    assert fit_temperature(wrong, targets) == pytest.approx(20.0, rel=1e-3)


def test_evaluation_shows_the_calibration_error_before_and_after():
    logits, targets = draw(3.0)
    temperature = fit_temperature(*draw(3.0, seed=1))
    keys = [str(i) for i in range(len(targets))]
    plain = evaluate_classifier(logits, targets, tuple("abcde"), keys, data="d", split="test")
    found = evaluate_classifier(
        logits, targets, tuple("abcde"), keys, data="d", split="test", temperature=temperature
    )  # fmt: skip
    assert found.metrics["ECE before calibration"] == plain.ece and plain.ece_before is None
    assert found.ece.high < plain.ece.low
    probs = torch.from_numpy(logits / temperature).softmax(dim=1)
    confidence, guess = (x.numpy() for x in probs.max(dim=1))
    assert found.ece.value == pytest.approx(expected_calibration_error(confidence, guess == targets))
    assert (found.top1, found.macro_f1, found.confusion) == (plain.top1, plain.macro_f1, plain.confusion)
    assert found.loss.value == pytest.approx(
        F.cross_entropy(torch.from_numpy(logits / temperature), torch.from_numpy(targets))
    )
    assert found.exhibits[1].ece_before == plain.ece and found.exhibits[1].temperature == temperature
