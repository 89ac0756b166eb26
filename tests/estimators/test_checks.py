"""scikit-learn's own checks of estimators, and why a few of them can't pass."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from neocog import CNNClassifier, CNNRegressor

pytestmark = pytest.mark.train

EXPECTED_FAILURES: dict[type, dict[str, str]] = {CNNClassifier: {}, CNNRegressor: {}}
"""Check -> the reason why it fails, for each estimator; `docs/scikit-learn.md` has the same table."""


@parametrize_with_checks(
    [CNNClassifier(epochs=6, random_state=0), CNNRegressor(epochs=6, random_state=0)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES[type(estimator)],
    xfail_strict=True,
)
def test_check_of_scikit_learn_passes(estimator, check):
    check(estimator)
