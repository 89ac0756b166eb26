import copy
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.optim import lr_scheduler

from neocog.errors import DivergenceError, GeometryError
from neocog.training import (
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
    WeightAverage,
    check_input,
    divergence,
    learning_rate,
    make_optimizer,
)
from neocog.training.optim.optimizers import penalise
from neocog.zoo import create_model


def rates(config, num_steps, epoch_steps=5, peak=0.3):
    return [learning_rate(config, peak, step, num_steps, epoch_steps) for step in range(num_steps)]


def torch_rates(make, num_steps, peak=0.3):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler = make(optimizer)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@given(st.integers(4, 60), st.floats(0.1, 0.9))
def test_one_cycle_equals_torch(num_steps, rise):
    assume(rise * num_steps - 1 > 0.01)  # torch divides by it

    def make(optimizer):
        return lr_scheduler.OneCycleLR(optimizer, 0.3, num_steps, pct_start=rise, cycle_momentum=False)

    assert rates(ScheduleConfig(name="one_cycle", rise=rise), num_steps) == pytest.approx(torch_rates(make, num_steps))


def test_cosine_and_step_equal_torch():
    ours = rates(ScheduleConfig(name="cosine", final=0.1), 20)
    theirs = torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 20, eta_min=0.03), 20)
    assert ours == pytest.approx(theirs)
    ours = rates(ScheduleConfig(name="step", step_epochs=2, gamma=0.5), 40)
    assert ours == pytest.approx(torch_rates(lambda o: lr_scheduler.StepLR(o, 10, 0.5), 40))


def test_warm_up_is_linear_and_reaches_the_full_rate():
    ours = rates(ScheduleConfig(name="constant", warmup_epochs=2), 15, epoch_steps=5, peak=1.0)
    assert ours == pytest.approx([0.1 * (i + 1) for i in range(10)] + [1.0] * 5)


@given(st.sampled_from(["constant", "step", "cosine", "one_cycle"]), st.integers(1, 50), st.floats(0, 3))
def test_rates_are_never_negative_nor_above_the_peak(name, num_steps, warmup):
    assert all(0 <= rate <= 0.3 + 1e-12 for rate in rates(ScheduleConfig(name=name, warmup_epochs=warmup), num_steps))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimisers_follow_their_published_updates(name):
    """Three steps in float64 against the update written out."""
    config = OptimizerConfig(name=name, lr=0.1, weight_decay=0.01)
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    module = nn.ParameterList([weight])
    optimizer = make_optimizer(module, config)
    w, momentum = weight.detach().clone(), torch.zeros(2, dtype=torch.float64)
    first, second = torch.zeros_like(w), torch.zeros_like(w)
    for t in range(1, 4):
        gradient = torch.tensor([0.3, -0.7], dtype=torch.float64) * t
        weight.grad = gradient.clone()
        optimizer.step()
        if name == "sgd":
            g = gradient + 0.01 * w
            momentum = 0.9 * momentum + g
            w = w - 0.1 * (g + 0.9 * momentum)  # Nesterov
        else:
            if name == "adamw":
                w, g = w * (1 - 0.1 * 0.01), gradient
            else:
                g = gradient + 0.01 * w
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
            w = w - 0.1 * (first / (1 - 0.9**t)) / ((second / (1 - 0.999**t)).sqrt() + 1e-8)
        torch.testing.assert_close(weight.detach(), w, rtol=1e-12, atol=0)


def test_l1_adds_the_sign():
    weight = nn.Parameter(torch.tensor([2.0, -3.0, 0.0]))
    optimizer = make_optimizer(nn.ParameterList([weight]), OptimizerConfig())
    weight.grad = torch.tensor([1.0, 1.0, 1.0])
    penalise(optimizer, 0.25)
    assert weight.grad.tolist() == [1.25, 0.75, 1.0]


def test_the_average_follows_the_weights_and_copies_buffers():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).double()
    average = WeightAverage(model, decay=0.5)
    expected = copy.deepcopy(model[0].weight.detach())
    for step in range(6):
        with torch.no_grad():
            model[0].weight += 1
            model[1].running_mean += 1
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model[0].weight.detach()
    torch.testing.assert_close(average.model[0].weight, expected)
    assert torch.equal(average.model[1].running_mean, model[1].running_mean)


def test_settings_out_of_range_are_refused_in_python_too():
    for make in (lambda: TrainConfig(epochs=-1), lambda: OptimizerConfig(lr=0), lambda: OptimizerConfig(name="sgdd")):
        with pytest.raises(ValidationError, match="Input should be"):
            make()


def test_image_that_does_not_fit_is_named_with_the_layer():
    model = create_model("tutorial_cifar10")
    before = copy.deepcopy(model.state_dict())
    check_input(model, (3, 32, 32), 10, "")
    with pytest.raises(
        GeometryError, match=r"3x28x28 does not fit.*head\.1 Linear\(in_features=400.*16x4x4 = 256.*3x32x32 to.*Fix"
    ):
        check_input(model, (3, 28, 28), 10, "Fix")
    with pytest.raises(GeometryError, match=r"stem\.0 Conv2d.*takes 3 input channels and receives 1, in 1x32x32"):
        check_input(model, (1, 32, 32), 10, "")
    with pytest.raises(GeometryError, match=r"one number for each of 7 classes.*\(10,\)"):
        check_input(model, (3, 32, 32), 7, "")
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not model._forward_hooks


def test_divergence_names_step_rate_layer_and_fix():
    model = create_model("lenet5_relu")
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        model.head[1].weight[3, 5] = math.inf
    found = divergence(model, images, math.nan, step=41, epoch=2, rate=0.5)
    assert isinstance(found, DivergenceError)
    assert "became NaN at step 41 (epoch 3), at learning rate 0.5" in str(found)
    assert "the weight of head.1 (Linear)" in str(found)
    assert "--optimizer.lr 0.05" in str(found)
    with torch.no_grad():
        model.head[1].weight[3, 5] = 3e38
        model.stages[0][0].weight.fill_(1e20)
    found = divergence(model, images, math.inf, step=1, epoch=0, rate=0.5)
    assert "became infinite" in str(found)
    assert "the output of head.1 (Linear)" in str(found)
    healthy = divergence(create_model("lenet5_relu"), images, math.inf, step=1, epoch=0, rate=0.5)
    assert "the loss itself" in str(healthy)
