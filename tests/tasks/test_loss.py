"""Losses against their published formulas in NumPy and their gradients against numbers, in double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_expit
from torch import nn
from torch.autograd import gradcheck

from neocog.tasks import Classification, LossConfig, MultiLabel, Regression
from neocog.tasks.loss import asymmetric, cross_entropy, focal
from neocog.training import OptimizerConfig, TrainConfig, Training
from neocog.training.distributed import SINGLE_PROCESS
from neocog.training.executor import StepExecutor
from neocog.training.speed import PLAIN
from neocog.training.step import TrainingStep

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(7, 3, generator=GENERATOR, dtype=torch.float64) * 2
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 2])
TAGS = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1], [0, 0, 1], [0, 1, 1]], dtype=torch.float64)
NAMES = ("a", "b", "c")


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.2, 1.0, 3.0])])
def test_focal_is_the_formula_of_lin(gamma, weights):
    probs = LOGITS.softmax(dim=1).numpy()[np.arange(7), LABELS]
    scale = np.ones(7) if weights is None else weights.numpy()[LABELS]
    expected = (scale * -((1 - probs) ** gamma) * np.log(probs)).sum() / scale.sum()
    assert focal(LOGITS, LABELS, weights, gamma).item() == pytest.approx(expected)
    one_hot = F.one_hot(LABELS, 3).double()
    mixed = focal(LOGITS, one_hot, weights, gamma).item()
    assert mixed == pytest.approx((scale * -((1 - probs) ** gamma) * np.log(probs)).mean())


def test_focal_default_is_two_and_zero_is_cross_entropy():
    assert focal(LOGITS, LABELS) == focal(LOGITS, LABELS, gamma=2.0)
    torch.testing.assert_close(focal(LOGITS, LABELS, gamma=0.0), cross_entropy(LOGITS, LABELS))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_has_a_finite_gradient_where_the_network_is_sure(gamma):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    focal(logits, torch.tensor([0, 0]), gamma=gamma).backward()
    assert logits.grad.isfinite().all()


def test_asymmetric_is_the_formula_of_ridnik():
    x, t = LOGITS.numpy(), TAGS.numpy()
    shifted = np.maximum(expit(x) - 0.05, 0)
    expected = np.where(t == 1, -log_expit(x), -(shifted**4) * np.log(1 - shifted))
    np.testing.assert_allclose(asymmetric(LOGITS, TAGS).numpy(), expected, rtol=1e-12)
    assert asymmetric(torch.tensor([[-4.0]]), torch.zeros(1, 1)).item() == 0.0  # below the margin
    assert asymmetric(torch.tensor([[99.0]]), torch.zeros(1, 1)).isfinite().all()


TASKS = {
    **{kind: (Classification(NAMES, LossConfig(kind=kind)), LABELS) for kind in Classification.losses},
    "smoothed": (Classification(NAMES, LossConfig(label_smoothing=0.2)), LABELS),
    "weighted": (Classification(NAMES, LossConfig(class_weights="balanced"), LABELS), LABELS),
    "weighted focal": (Classification(NAMES, LossConfig(kind="focal", class_weights="balanced"), LABELS), LABELS),
    "mixed": (Classification(NAMES, LossConfig(class_weights="balanced"), LABELS), LOGITS.flip(0).softmax(dim=1)),
    "tags": (MultiLabel(NAMES, LossConfig(label_smoothing=0.1)), TAGS),
    "asymmetric": (MultiLabel(NAMES, LossConfig(kind="asymmetric")), TAGS.where(TAGS + LOGITS < 2, torch.nan)),
    **{
        kind: (Regression(NAMES, LossConfig(kind=kind), mean=[1.0, 2.0, 3.0], std=[1.0, 2.0, 0.5]), TAGS * 3)
        for kind in Regression.losses
    },
    "unknown": (Regression(NAMES), TAGS.where(LOGITS < 1, torch.nan)),
}


@pytest.mark.parametrize("name", TASKS)
def test_gradient_is_the_slope_of_the_loss(name):
    task, targets = TASKS[name]
    logits = (LOGITS + 0.013).requires_grad_()  # away from the kinks of L1, Huber and the margin
    assert gradcheck(lambda x: task.loss(x, targets), logits)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("parts", [2, 3, 7])
def test_accumulation_gives_the_gradient_of_the_whole_batch(name, parts):
    whole, divided = (gradient_of(name, count) for count in (1, parts))
    assert divided[0] == pytest.approx(whole[0], rel=1e-12)
    torch.testing.assert_close(divided[1], whole[1], rtol=1e-10, atol=1e-14)


def gradient_of(name, parts):
    """The loss, and the gradient of a linear network, of a batch in this many parts."""
    task, targets = TASKS[name]
    model = nn.Linear(3, 3, bias=False).double()
    model.weight.data.copy_(torch.eye(3, dtype=torch.float64) * 0.7)
    executor = StepExecutor(model, task.loss, PLAIN, torch.device("cpu"))
    training = Training(model, OptimizerConfig(lr=0.1), executor=executor)
    step = TrainingStep(
        training=training, executor=executor, task=task, train=TrainConfig(accumulate=parts),
        optimizer=OptimizerConfig(lr=0.1), world=SINGLE_PROCESS,
    )  # fmt: skip
    loss, _ = step.compute_gradients((LOGITS, targets), seed=0)
    return float(loss), model.weight.grad.clone()


@given(st.integers(0, 2**32 - 1), st.sampled_from(["huber", "l1", "l2"]), st.floats(0.1, 3))
def test_losses_of_numbers_equal_torch(seed, kind, delta):
    generator = torch.Generator().manual_seed(seed)
    values, targets = torch.randn(2, 9, 2, generator=generator, dtype=torch.float64)
    config = LossConfig(kind=kind, huber_delta=delta if kind == "huber" else None)
    task = Regression(("x", "y"), config, mean=[0.5, -1.0], std=[2.0, 0.25])
    standard = (targets - torch.tensor([0.5, -1.0])) / torch.tensor([2.0, 0.25])
    functions = {"l1": F.l1_loss, "l2": F.mse_loss, "huber": lambda x, t: F.huber_loss(x, t, delta=delta)}
    torch.testing.assert_close(task.loss(values, targets), functions[kind](values, standard))


def test_unknown_numbers_and_labels_do_not_count():
    known = torch.tensor([[1.0, torch.nan, 0.0], [torch.nan, torch.nan, torch.nan]], dtype=torch.float64)
    logits = LOGITS[:2].clone().requires_grad_()
    loss = MultiLabel(NAMES).loss(logits, known)
    first = F.binary_cross_entropy_with_logits(LOGITS[0, [0, 2]], known[0, [0, 2]])
    torch.testing.assert_close(loss, first / 2)  # the mean over two samples, one of which has no label that is known
    loss.backward()
    assert logits.grad[1].tolist() == [0, 0, 0] and logits.grad[0, 1] == 0
    logits = LOGITS[:2].clone().requires_grad_()
    loss = Regression(NAMES, LossConfig(kind="l2")).loss(logits, known)
    torch.testing.assert_close(loss, ((LOGITS[0, 0] - 1) ** 2 + LOGITS[0, 2] ** 2) / 4)
    loss.backward()
    assert logits.grad[1].tolist() == [0, 0, 0] and logits.grad.isfinite().all()


def test_smoothing_of_labels_is_towards_one_half():
    task = MultiLabel(NAMES, LossConfig(label_smoothing=0.2))
    expected = F.binary_cross_entropy_with_logits(LOGITS, TAGS * 0.8 + 0.1)
    torch.testing.assert_close(task.loss(LOGITS, TAGS), expected)
