import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics

from neocog.evaluation import Errors, evaluate_values


def draw(num=120, seed=0):
    generator = np.random.default_rng(seed)
    targets = generator.normal([3.0, 1e6], [1.0, 20.0], (num, 2))
    return targets + generator.normal(0, [0.5, 15.0], (num, 2)), targets


def evaluate(values, targets, outputs=("age", "price")):
    keys = [f"k{i}" for i in range(len(targets))]
    return evaluate_values(values, targets, outputs, keys, data="d", split="test")


def test_every_metric_agrees_with_scikit_learn():
    values, targets = draw()
    found = evaluate(values, targets)
    assert found.mae.value == pytest.approx(metrics.mean_absolute_error(targets, values))
    assert found.rmse.value == pytest.approx(metrics.root_mean_squared_error(targets, values))
    assert found.r2.value == pytest.approx(metrics.r2_score(targets, values))
    for d, row in enumerate(found.per_output):
        own, guess = targets[:, d], values[:, d]
        assert row.mae == pytest.approx(metrics.mean_absolute_error(own, guess))
        assert row.rmse == pytest.approx(metrics.root_mean_squared_error(own, guess))
        assert row.r2 == pytest.approx(metrics.r2_score(own, guess))
        assert row.baseline == pytest.approx(np.abs(own - np.median(own)).mean())


@given(arrays.arrays(float, (12, 2), elements=st.sampled_from([0.0, 1.0, 2.5, np.nan])))
def test_what_is_not_known_is_left_out(targets):
    values, errors = np.linspace(0, 2, 24).reshape(12, 2), None
    errors = Errors(values, targets)
    ones = np.ones(12)
    for d in range(2):
        known = ~np.isnan(targets[:, d])
        own, guess = targets[known, d], values[known, d]
        if not len(own):
            assert np.isnan([errors.mae(ones)[d], errors.rmse(ones)[d], errors.r2(ones)[d]]).all()
            continue
        assert errors.mae(ones)[d] == pytest.approx(np.abs(own - guess).mean())
        assert errors.rmse(ones)[d] == pytest.approx(np.sqrt(((own - guess) ** 2).mean()))
        expected = metrics.r2_score(own, guess) if own.min() < own.max() else 0.0
        assert errors.r2(ones)[d] == pytest.approx(expected)
        assert errors.spread()[d] == pytest.approx(own.std() if own.min() < own.max() else 1.0)


def test_weights_of_samples_are_copies_of_them():
    values, targets = draw(40)
    counts = np.random.default_rng(1).integers(0, 4, 40)
    rows, weights = np.repeat(np.arange(40), counts), counts.astype(float)
    errors = Errors(values, targets)
    assert errors.mae(weights) == pytest.approx(
        metrics.mean_absolute_error(targets[rows], values[rows], multioutput="raw_values")
    )
    assert errors.r2(weights) == pytest.approx(
        metrics.r2_score(targets[rows], values[rows], multioutput="raw_values"), abs=1e-9
    )


@pytest.mark.parametrize("value", [0.1, 1e9, 0.0])
def test_equal_targets_explain_nothing(value):
    errors = Errors(np.full((7, 1), value + 1.0), np.full((7, 1), value))
    assert errors.r2(np.ones(7)).tolist() == [0.0]
    assert errors.spread().tolist() == [1.0]


def test_output_that_is_never_known_has_no_figures():
    values, targets = draw()
    targets[:, 1] = np.nan
    found = evaluate(values, targets)
    assert found.mae.value == pytest.approx(np.abs(values[:, 0] - targets[:, 0]).mean())
    assert found.per_output[1].mae is None and found.exhibits[0].rows()[2] == ("price", "-", "-", "-", "-")
    json.dumps(found.to_json(), allow_nan=False)


def test_worst_samples_are_far_off_in_deviations_of_the_targets():
    values, targets = draw()
    values[7, 0], values[9, 1], targets[11, 1] = 40.0, 1e6 + 500, np.nan
    found = evaluate(values, targets)
    gaps = np.nan_to_num(np.abs(values - targets) / np.nanstd(targets, axis=0)).max(axis=1)
    assert [one.key for one in found.worst_errors] == [f"k{i}" for i in np.argsort(-gaps, kind="stable")[:24]]
    assert {found.worst_errors[0].key, found.worst_errors[1].key} == {"k7", "k9"}
    assert found.worst[0].deviation == pytest.approx(gaps.max())
    assert "age 40, price" in "; ".join(one.prediction_text for one in found.worst_errors)


def test_intervals_hold_their_values():
    for estimate in evaluate(*draw()).metrics.values():
        assert estimate.low < estimate.value < estimate.high and "bootstrap" in estimate.method


def test_scatter_has_points_of_the_first_outputs():
    generator = np.random.default_rng(0)
    targets = generator.normal(size=(3000, 15))
    targets[0, 0] = np.nan
    names = tuple(f"x{d}" for d in range(15))
    found = evaluate(targets + 1, targets, names).scatter
    assert found.names == names[:12] and {len(column) for column in found.targets} == {2000}
    assert found.targets[0][0] is None and found.values[3][5] == pytest.approx(found.targets[3][5] + 1)
