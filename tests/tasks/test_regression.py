import numpy as np
import pytest
import torch

from neocog.errors import DataError
from neocog.tasks import LossConfig, Regression

NAMES = ("age", "price")
GENERATOR = torch.Generator().manual_seed(0)
TARGETS = torch.randn(50, 2, generator=GENERATOR) * torch.tensor([2.0, 300.0]) + torch.tensor([40.0, 9000.0])
LOGITS = torch.randn(50, 2, generator=GENERATOR)


def trained(targets=TARGETS, **loss):
    return Regression.for_training(NAMES, LossConfig(**loss), targets)


def test_targets_are_standardised_by_the_known_ones():
    targets = TARGETS.clone()
    targets[3, 0] = torch.nan
    task, known = trained(targets), TARGETS[torch.arange(50) != 3, 0]
    assert task.mean.tolist() == pytest.approx([known.mean().item(), TARGETS[:, 1].mean().item()], rel=1e-6)
    assert task.std.tolist() == pytest.approx([known.std(correction=0).item(), TARGETS[:, 1].std(correction=0).item()])
    torch.testing.assert_close(task.decode(task.standardised(TARGETS)), TARGETS.double(), rtol=1e-6, atol=1e-3)


def test_output_without_any_known_or_with_equal_targets_is_left_as_it_is():
    targets = torch.stack([torch.full((6,), torch.nan), torch.full((6,), 7.0)], dim=1)
    task = trained(targets)
    assert (task.mean.tolist(), task.std.tolist()) == ([0.0, 7.0], [1.0, 1.0])
    assert task.loss(torch.zeros(6, 2), targets).item() == 0.0


def test_encoding_gives_columns_of_float32():
    assert Regression.encode(np.array([1.0, 2.0])).shape == (2, 1)
    assert Regression.encode(np.ones((3, 2))).dtype == torch.float32


def test_progress_and_validation_are_in_the_unit_of_the_targets():
    task = trained()
    gaps = (task.decode(LOGITS) - TARGETS.double()).abs()
    assert task.progress_sum(LOGITS, TARGETS) == pytest.approx(gaps.mean(dim=1).sum().item())
    assert task.validation(LOGITS, TARGETS)["MAE"] == pytest.approx(gaps.mean().item())
    targets = TARGETS.clone()
    targets[:10, 1] = torch.nan
    found = task.progress_sum(LOGITS, targets)
    assert found == pytest.approx((gaps[:10, 0].sum() + gaps[10:].mean(dim=1).sum()).item())
    expected = (gaps[:, 0].mean() + gaps[10:, 1].mean()).item() / 2
    assert task.validation(LOGITS, targets)["MAE"] == pytest.approx(expected)
    keys = [str(i) for i in range(50)]
    evaluation = task.evaluate(LOGITS.numpy(), targets.numpy(), keys, data="d", split="test")
    assert evaluation.mae.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("num", "rank"), [(9, 9), (19, 18), (50, 46), (99, 90)])
def test_error_covers_90_of_100_new_samples(num, rank):
    """The ceil(0.9 (n + 1))-th smallest of n errors; Lei et al. 2018, equation 3."""
    task = Regression(("x",))
    gaps = torch.rand(num, 1, generator=torch.Generator().manual_seed(num))
    task.learn_decisions(torch.zeros(num, 1), gaps)
    assert task.error_90 == pytest.approx([gaps[:, 0].sort().values[rank - 1].item()])
    generator, inside = np.random.default_rng(num), 0
    for _ in range(3000):
        own = torch.from_numpy(generator.exponential(size=(num, 1)).astype(np.float32))
        task.learn_decisions(torch.zeros(num, 1), own)
        inside += generator.exponential() <= task.error_90[0]
    assert 0.9 - 0.015 < inside / 3000 < 0.9 + 1 / num + 0.015


def test_error_of_few_samples_is_not_known():
    task = Regression(NAMES)
    targets = torch.ones(20, 2)
    targets[8:, 1] = torch.nan
    task.learn_decisions(torch.zeros(20, 2), targets)
    assert task.error_90 == [1.0, None]
    again = Regression.restore(NAMES, task.learned)
    assert again.error_90 == [1.0, None]
    (found,) = again.predictions(["f"], torch.tensor([[1.5, 2.25]]), 3)
    assert found.to_json() == {"age": 1.5, "price": 2.25, "error_90": {"age": 1.0}}
    assert found.cells() == {"age": "1.5 ± 1", "price": "2.25"}


def test_learned_values_are_kept_bit_by_bit():
    task = trained()
    task.learn_decisions(LOGITS, TARGETS)
    again = Regression.restore(NAMES, task.learned)
    assert again.learned == task.learned and torch.equal(again.decode(LOGITS), task.decode(LOGITS))
    assert again.columns == NAMES


GOOD = {"mean": [1.0, 2.0], "std": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("learned", "message"),
    [
        ({}, "mean must be a list of length 2, received None"),
        ({**GOOD, "mean": [1.0]}, "mean must be a list of length 2, received \\[1.0\\]"),
        ({**GOOD, "std": [1.0, 0.0]}, "std must be a finite number that is positive, received 0.0"),
        ({**GOOD, "std": [1.0, float("inf")]}, "std must be a finite number that is positive, received inf"),
        ({**GOOD, "mean": [True, 1.0]}, "mean must be a finite number, received True"),
        ({**GOOD, "error_90": [1.0, -2.0]}, "error_90 must be a finite number that is not negative, received -2.0"),
        ({**GOOD, "error_90": 3}, "error_90 must be a list of length 2, received 3"),
    ],
)
def test_damaged_scales_are_refused(learned, message):
    with pytest.raises(ValueError, match=message):
        Regression.restore(NAMES, learned)


def test_evaluation_needs_a_known_number():
    with pytest.raises(DataError, match=r"at least one known number. d, test: received none. Fill in the numbers"):
        Regression(("x",)).evaluate(np.zeros((3, 1)), np.full(3, np.nan), list("abc"), data="d", split="test")


def test_scores_of_samples_are_their_errors():
    task, targets = trained(), TARGETS.numpy().copy()
    targets[0], targets[1, 0] = np.nan, np.nan
    found = task.sample_scores(LOGITS.numpy(), targets, [""] * 50)
    gaps = np.abs(task.decode(LOGITS).numpy() - targets)
    assert np.isnan(found[0]) and found[1] == gaps[1, 1] and found[2:] == pytest.approx(gaps[2:].mean(axis=1))
    assert task.target_text(np.array([40.5, np.nan])) == "age 40.5, price not known"
    assert Regression(("x",)).target_text(2.0) == "2"
