import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, zeros
from torch.optim import SGD, lr_scheduler

from neocog.errors import ConfigError
from neocog.training.optim.schedules import FIELDS, ScheduleConfig, check_schedule, learning_rate


def rates(num_steps, epoch_steps=5, peak=0.3, **settings):
    config = ScheduleConfig(**settings)
    return [learning_rate(config, peak, step, num_steps, epoch_steps) for step in range(num_steps)]


def torch_rates(make, num_steps, peak=0.3):
    optimizer = SGD([nn.Parameter(zeros(1))], lr=peak)
    scheduler = make(optimizer)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_linear_and_polynomial_equal_torch():
    ours = rates(20, name="linear", final=0.1)
    assert ours == pytest.approx(torch_rates(lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, 20), 20))
    ours = rates(20, name="polynomial", power=1.7)
    assert ours == pytest.approx(torch_rates(lambda o: lr_scheduler.PolynomialLR(o, 20, 1.7), 20))


@given(st.floats(0.1, 5), st.floats(0, 1), st.integers(1, 40))
def test_polynomial_is_its_formula(power, final, num_steps):
    ours = rates(num_steps, peak=1.0, name="polynomial", power=power, final=final)
    assert ours == pytest.approx([final + (1 - final) * (1 - t / num_steps) ** power for t in range(num_steps)])
    if power == 1:
        assert ours == pytest.approx(rates(num_steps, peak=1.0, name="linear", final=final))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_restarts_equal_torch(factor):
    def make(optimizer):
        return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10, factor, eta_min=0.03)

    ours = rates(100, name="restarts", restart_epochs=2, restart_factor=factor, final=0.1)
    assert ours == pytest.approx(torch_rates(make, 100))
    assert ours.count(pytest.approx(0.3)) == {1: 10, 2: 4, 3: 3}[factor]


def test_restarts_begin_after_warm_up_and_last_whole_steps():
    ours = rates(14, peak=1.0, name="restarts", warmup_epochs=0.4, restart_epochs=0.5, restart_factor=1.5)
    courses = [2, 4, 6]  # 2.5, 3.75 and 5.6 steps, rounded
    falls = [(1 + math.cos(math.pi * t / n)) / 2 for n in courses for t in range(n)]
    assert ours == pytest.approx([0.5, 1.0, *falls])


def test_triangular_rises_and_falls_in_straight_lines():
    ours = rates(10, peak=1.0, name="triangular", rise=0.4, final=0.1)
    assert ours == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.85, 0.7, 0.55, 0.4, 0.25])


def test_linear_after_warm_up():
    ours = rates(6, 2, peak=1.0, name="linear", warmup_epochs=1)
    assert ours == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_phases_reproduce_the_plain_schedules(name):
    phases = ("linear 2 from 0 to 1", f"{name} 6 to 0.1")
    plain = rates(40, name=name, warmup_epochs=2, final=0.1)
    assert rates(40, name="sequence", phases=phases) == pytest.approx(plain)


@given(st.sampled_from(sorted(FIELDS)), st.integers(1, 50), st.floats(0, 3), st.floats(0, 1))
def test_rates_are_never_negative_nor_above_the_peak(name, num_steps, warmup, final):
    found = rates(num_steps, name=name, warmup_epochs=warmup, final=final)
    assert all(0 <= rate <= 0.3 + 1e-12 for rate in found)


def test_settings_without_effect_are_named():
    every = set().union(*FIELDS.values())
    for name, own in FIELDS.items():
        assert set(ScheduleConfig(name=name).ignored()) == every - own
    assert ScheduleConfig(name="sequence").ignored()["rise"] == "the schedule sequence has no rise"
    assert every | {"name"} == set(ScheduleConfig.__dataclass_fields__)


def test_phases_last_as_long_as_training():
    sequence = ScheduleConfig(name="sequence", phases=("linear 0.1 from 0 to 1", "constant 0.2", "cosine 2.7 to 0"))
    check_schedule(sequence, 3)
    check_schedule(ScheduleConfig(), 3)
    message = r"as long as training. Received: schedule.phases of 3 epochs in all, train.epochs=4. Change one of them."
    with pytest.raises(ConfigError, match=message):
        check_schedule(sequence, 4)
