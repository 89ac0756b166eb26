"""When two results differ, and what a trial promises for more time."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from neocog.auto.compare import Trial, differ, forecast, power_law, rank
from tests.auto.trials_by_hand import tried

DRAW = np.random.default_rng(0)


def z_test(one, other, num):
    """The two-sided test of two proportions with the pooled variance, at 5%."""
    pooled = (one + other) / 2
    return abs(one - other) > norm.ppf(0.975) * (2 * pooled * (1 - pooled) / num) ** 0.5


@pytest.mark.parametrize(("first", "second"), [(0.8, 0.8), (0.95, 0.95), (0.8, 0.84), (0.8, 0.88), (0.6, 0.62)])
def test_difference_is_judged_as_by_the_test_of_two_proportions(first, second):
    num = 500
    pairs = DRAW.binomial(num, (first, second), (400, 2)) / num
    ours = np.array([differ(tried(0, 1, a, scored=num), tried(1, 1, b, scored=num)) for a, b in pairs])
    theirs = np.array([z_test(a, b, num) for a, b in pairs])
    assert (ours == theirs).mean() > 0.97
    if first == second:
        assert ours.mean() < 0.09  # 5% and the noise of 400 draws


def test_order_of_two_trials_does_not_matter():
    low, high = tried(0, 1, 0.7), tried(1, 1, 0.8)
    assert differ(low, high) and differ(high, low) and not differ(low, low)


def test_equal_figures_of_few_samples_do_not_differ():
    assert differ(tried(0, 1, 0.8, scored=2000), tried(1, 1, 0.85, scored=2000))
    assert not differ(tried(0, 1, 0.8, scored=50), tried(1, 1, 0.86, scored=50))


@pytest.mark.parametrize("exponent", [0.05, 0.3, 0.55])
def test_power_law_recovers_a_known_law(exponent):
    def value(at):
        return 1 - 0.9 * at**-exponent

    assert power_law(10, value(10), 70, value(70), 900) == pytest.approx(value(900), abs=1e-12)


@pytest.mark.parametrize(("before", "after", "exponent"), [(0.5, 0.99, 0.6), (0.8, 0.7, 0.02), (0.8, 0.8, 0.02)])
def test_exponent_stays_within_what_is_usual(before, after, exponent):
    assert power_law(10, before, 20, after, 40) == pytest.approx(1 - (1 - after) * 2**-exponent, abs=1e-12)


def test_perfect_figures_have_a_forecast():
    assert power_law(10, 1.0, 20, 1.0, 40) > 0.9999


def test_forecast_of_one_trial_or_of_less_time_is_its_value():
    assert forecast([tried(value=0.8)], 1000) == 0.8
    two = [tried(value=0.9, seconds=40), tried(value=0.8, seconds=10)]
    assert forecast(two, 40) == forecast(two, 30) == 0.9
    assert forecast(two, 160) == pytest.approx(0.95)
    assert forecast([tried(value=0.8), tried(value=0.9)], 100) == 0.9  # of the same length: no slope


def test_rank_is_by_value_then_by_place_and_without_failures():
    trials = [tried(0, 1, 0.7), tried(1, 1, 0.8), tried(2, 1, 0.8), tried(3, error="too large")]
    assert [trial.candidate for trial in rank(trials[::-1])] == [1, 2, 0]


def test_trial_is_read_back_from_json():
    trial = tried(history=[(1.0, 0.5), (2.0, 0.7)])
    stored = trial.to_json()
    stored["history"] = [list(point) for point in stored["history"]]
    assert Trial.from_json(stored).history == [(1.0, 0.5), (2.0, 0.7)]
    assert Trial.from_json(stored).to_json() | {"history": 0} == trial.to_json() | {"history": 0}


def test_a_network_that_knows_its_training_samples_gains_less_from_time():
    before, after = tried(value=0.6, seconds=2, trained=0.77), tried(value=0.8, seconds=6, trained=0.97)
    assert forecast([before, after], 60) == pytest.approx(1 - 0.2 * 10**-0.15)
    assert forecast([before, replace(after, trained=0.8)], 60) == pytest.approx(1 - 0.2 * 10**-0.6)
