"""One step: parts, SAM, frozen layers; and that what is not finite reaches no weight."""

import copy

import pytest
import torch
from torch import nn

from neocog.tasks import Classification, LossConfig
from neocog.training import OptimizerConfig, TrainConfig, Training
from neocog.training.executor import StepExecutor
from neocog.training.speed import PLAIN
from neocog.training.step import NotFiniteError, TrainingStep

LABELS = torch.tensor([0, 1, 2, 1, 0, 2, 2])
IMAGES = torch.randn(7, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double()


def task(weights="none"):
    labels = torch.tensor([0, 0, 0, 1, 2])
    return Classification(("a", "b", "c"), LossConfig(class_weights=weights), labels)


def taken(network, what, **settings):
    """The gradients that a step leaves, and what it returns."""
    training = Training(network, OptimizerConfig())
    executor = StepExecutor(network, what.loss, PLAIN, torch.device("cpu"))
    step = TrainingStep(
        training=training, executor=executor, task=what, train=TrainConfig(**settings), optimizer=OptimizerConfig()
    )
    loss, logits = step.compute_gradients((IMAGES, LABELS), seed=0)
    found = float(loss), logits
    return [p.grad.clone() for p in network.parameters()], found


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("parts", [2, 3, 7, 50])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(weights, parts):
    whole, (loss, logits) = taken(model(), task(weights))
    split, (loss_in_parts, logits_in_parts) = taken(model(), task(weights), accumulate=parts)
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    assert loss == pytest.approx(loss_in_parts, rel=1e-12)
    torch.testing.assert_close(logits, logits_in_parts, rtol=1e-12, atol=1e-14)


def test_a_loss_that_is_not_finite_stops_before_the_update():
    network = model()
    with torch.no_grad():
        network[0].weight[0] = float("nan")
    with pytest.raises(NotFiniteError) as error:
        taken(network, task())
    assert error.value.images is not None
    assert all(p.grad is None for p in network.parameters())


def test_the_average_and_clipping_follow_the_update():
    network = model()
    what, config = task(), TrainConfig(clip_norm=1e-3, ema_decay=0.5)
    training = Training(network, OptimizerConfig(lr=1.0, momentum=0.0), config.ema_decay)
    before = copy.deepcopy(network.state_dict())
    executor = StepExecutor(network, what.loss, PLAIN, torch.device("cpu"))
    step = TrainingStep(
        training=training, executor=executor, task=what, train=config, optimizer=OptimizerConfig(lr=1.0)
    )
    step.compute_gradients((IMAGES, LABELS), seed=0)
    step.update()
    moved = torch.cat([(network.state_dict()[key] - before[key]).flatten() for key in before])
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)  # rate 1, no momentum: the clipped gradient
    followed = training.average.model.state_dict()["0.weight"]
    torch.testing.assert_close(followed, before["0.weight"] + (network[0].weight - before["0.weight"]) * 0.9)
