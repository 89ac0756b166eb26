import numpy as np
import pytest
import torch
from sklearn import metrics

from neocog.errors import DataError
from neocog.tasks import LossConfig, MultiLabel

NAMES = ("cat", "dog", "owl")
GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(40, 3, generator=GENERATOR)
TARGETS = (torch.rand(40, 3, generator=GENERATOR) < LOGITS.sigmoid()).float()


class Tags:
    """A source of two of the labels, in another order, of which one is not known everywhere."""

    name, classes = "tags", ("owl", "cat")
    targets = np.array([[1, 0], [np.nan, 1], [0, 0]])


def test_label_that_the_data_does_not_have_is_not_known(capsys):
    found = MultiLabel(NAMES).match_targets(Tags(), np.array([0, 1, 2]))
    np.testing.assert_array_equal(found, [[0, np.nan, 1], [1, np.nan, np.nan], [0, np.nan, 0]])
    assert "tags has no samples of dog" in capsys.readouterr().err
    with pytest.raises(DataError, match="can only be evaluated on the classes that it was trained on: cat, dog"):
        MultiLabel(NAMES[:2]).match_targets(Tags(), np.array([0]))


def test_validation_agrees_with_scikit_learn_and_ignores_the_loss_of_training():
    task = MultiLabel(NAMES, LossConfig(kind="asymmetric"))
    found = task.validation(LOGITS, TARGETS)
    assert found["mAP"] == pytest.approx(metrics.average_precision_score(TARGETS, LOGITS))
    assert found["label accuracy"] == pytest.approx(((LOGITS > 0) == (TARGETS > 0.5)).double().mean().item())
    expected = metrics.log_loss(TARGETS.ravel(), LOGITS.double().sigmoid().ravel())
    assert found["loss"] == pytest.approx(expected, rel=1e-6)


def test_thresholds_are_learned_kept_and_obeyed():
    task = MultiLabel(NAMES)
    task.learn_decisions(LOGITS, TARGETS)
    probs = LOGITS.double().sigmoid().numpy()
    for k in range(3):
        tried = [metrics.f1_score(TARGETS[:, k], probs[:, k] >= t) for t in np.unique(probs[:, k])]
        assert metrics.f1_score(TARGETS[:, k], probs[:, k] >= task.thresholds[k]) == pytest.approx(max(tried))
    again = MultiLabel.restore(NAMES, task.learned)
    assert again.learned == task.learned
    names = [f"{i}" for i in range(40)]
    for row, one in zip(probs, again.predictions(names, LOGITS, 1), strict=True):
        assert set(one.labels) == {name for name, p, t in zip(NAMES, row, task.thresholds, strict=True) if p >= t}
        assert one.to_json()["labels"] == list(one.labels)
        assert {name for name, _ in one.top} >= set(one.labels) and one.top[0][1] == pytest.approx(row.max())
    evaluation = again.evaluate(LOGITS.numpy(), TARGETS.numpy(), names, data="d", split="test")
    given = probs >= task.thresholds
    assert evaluation.micro_f1.value == pytest.approx(metrics.f1_score(TARGETS, given, average="micro"))


def test_cells_show_every_label_with_its_probability():
    task = MultiLabel(NAMES, thresholds=[0.1, 0.9, 0.5])
    (found,) = task.predictions(["x"], torch.tensor([[-1.0, 2.0, 1.0]]), 1)
    assert found.labels == ("owl", "cat")
    assert found.cells() == {"labels": "owl 73.1%, cat 26.9%", "less probable": "dog 88.1%"}
    (found,) = task.predictions(["x"], torch.tensor([[-9.0, -9.0, -9.0]]), 2)
    assert found.cells()["labels"] == "none" and found.to_json()["labels"] == []


def test_average_is_the_logit_of_the_mean_probability():
    views = [LOGITS, -LOGITS * 3, torch.full_like(LOGITS, 200.0)]
    found = MultiLabel(NAMES).average(views, [0.5, 0.3, 0.2])
    mean = sum(w * view.double().sigmoid() for w, view in zip([0.5, 0.3, 0.2], views, strict=True))
    torch.testing.assert_close(found.sigmoid().double(), mean, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("learned", "message"),
    [
        ({"thresholds": [0.5]}, "thresholds must be a list of length 3, received \\[0.5\\]"),
        ({"thresholds": "abc"}, "thresholds must be a list of length 3, received 'abc'"),
        ({"thresholds": [0.5, None, 0.5]}, "thresholds must be a finite number, received None"),
        ({"thresholds": [0.5, float("nan"), 0.5]}, "thresholds must be a finite number, received nan"),
        ({"thresholds": [0.5, "1", 0.5]}, "thresholds must be a finite number, received '1'"),
    ],
)
def test_damaged_thresholds_are_refused(learned, message):
    with pytest.raises(ValueError, match=message):
        MultiLabel.restore(NAMES, learned)


def test_bundle_without_thresholds_decides_at_one_half():
    assert MultiLabel.restore(NAMES, {}).thresholds.tolist() == [0.5] * 3


def test_scores_of_samples_are_shares_of_right_labels():
    targets = TARGETS.numpy().astype(float)
    targets[0] = np.nan
    targets[1, 0] = np.nan
    found = MultiLabel(NAMES).sample_scores(LOGITS.numpy(), targets, [""] * 40)
    right = (LOGITS.numpy() >= 0) == (targets > 0.5)
    assert found[0] == 0 and found[1] == right[1, 1:].mean() and found[2:] == pytest.approx(right[2:].mean(axis=1))
    assert MultiLabel(NAMES).target_text(np.array([1, np.nan, 1])) == "cat, owl"
    assert MultiLabel(NAMES).target_text(np.zeros(3)) == "none"
