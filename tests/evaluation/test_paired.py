import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multinomial

from neocog.evaluation import mean_average_precision
from neocog.evaluation.paired import mcnemar, paired_bootstrap, paired_difference, score_statistic


def answers(both, only_a, only_b, neither):
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


@pytest.mark.parametrize(("only_a", "only_b"), [(12, 31), (0, 5), (3, 3), (40, 22), (0, 0)])
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    found, total = mcnemar(*answers(50, only_a, only_b, 7)), only_a + only_b
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p_value == pytest.approx(min(1.0, 2 * binom.cdf(min(only_a, only_b), total, 0.5)))
    assert found.difference.value == (only_b - only_a) / (57 + total)


@pytest.mark.parametrize(
    ("only_a", "only_b", "num", "difference"), [(12, 31, 100, 0.1), (5, 2, 40, -0.2), (0, 3, 9, 0.4)]
)
def test_score_statistic_has_the_most_probable_shares(only_a, only_b, num, difference):
    """The variance is that of the shares that maximise the likelihood if the difference is the assumed one."""

    def loss(share):  # of samples that only A gets right
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = [(only_a, share), (only_b, share + difference), (num - only_a - only_b, 1 - 2 * share - difference)]
            return -sum(count * np.log(p) for count, p in terms if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    share = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    variance = num * (2 * share + difference - difference**2)
    expected = (only_b - only_a - num * difference) / np.sqrt(variance)
    assert score_statistic(only_a, only_b, num, difference) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("share_a", "share_b"), [(0.02, 0.05), (0.1, 0.1), (0.3, 0.05), (0.0, 0.02)])
def test_interval_holds_the_true_difference_in_95_of_100_cases(share_a, share_b):
    num, covered, total = 60, 0.0, 0.0
    for only_a in range(num + 1):
        for only_b in range(num + 1 - only_a):
            p = multinomial.pmf([only_a, only_b, num - only_a - only_b], num, [share_a, share_b, 1 - share_a - share_b])
            if p < 1e-7:
                continue
            found = paired_difference(only_a, only_b, num)
            total += p
            covered += p * (found.low <= share_b - share_a <= found.high)
    assert total > 0.999 and covered / total > 0.93


def test_interval_of_many_samples_is_the_normal_one():
    found = paired_difference(300, 500, 20000)
    half = 1.96 * np.sqrt(800 - 200**2 / 20000) / 20000
    assert (found.low, found.high) == pytest.approx((0.01 - half, 0.01 + half), abs=3e-5)


def test_interval_of_answers_that_never_differ():
    found = paired_difference(0, 0, 100)
    bound = 1.959964**2 / (100 + 1.959964**2)
    assert (found.value, found.low, found.high) == pytest.approx((0.0, -bound, bound), abs=1e-6)


def test_interval_fits_the_score_test_and_stays_within_one():
    for only_a, only_b in [(0, 10), (10, 0), (1, 9), (4, 6)]:
        found = paired_difference(only_a, only_b, 10)
        assert -1 <= found.low <= found.value <= found.high <= 1
        for bound in (found.low, found.high):
            if abs(bound) < 1 - 1e-9:
                assert abs(score_statistic(only_a, only_b, 10, bound)) == pytest.approx(1.959964, abs=1e-4)


def test_paired_bootstrap_resamples_the_same_samples_for_both():
    generator = np.random.default_rng(0)
    shared, gain = generator.normal(size=400) * 10, generator.normal(0.3, 1, 400)

    def mean(values):
        return lambda counts: float(counts @ values / counts.sum())

    found = paired_bootstrap(mean(shared), mean(shared + gain), 400, is_share=False)
    half = 1.96 * gain.std() / 20
    assert found.value == pytest.approx(gain.mean())
    assert (found.low, found.high) == pytest.approx((gain.mean() - half, gain.mean() + half), abs=0.02)
    assert found.method == "paired bootstrap, 1,000 resamples"


def test_paired_bootstrap_of_average_precision():
    generator = np.random.default_rng(1)
    targets = (generator.random((150, 3)) < 0.3).astype(float)
    poor, good = (generator.normal(size=(150, 3)) + gain * targets for gain in (0.5, 2.5))
    found = paired_bootstrap(*(mean_average_precision(x, targets) for x in (poor, good)), 150, is_share=True)
    assert 0 < found.low < found.value < found.high < 1 and found.is_share


def test_slow_metric_is_resampled_less_often(monkeypatch):
    monkeypatch.setattr("neocog.evaluation.paired.SECONDS", 0.0)
    found = paired_bootstrap(*([lambda counts: float(counts[0])] * 2), 30, is_share=False)
    assert found.method == "paired bootstrap, 100 resamples"
