"""`CNNRegressor`: one or several numbers for each sample."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length

from neocog.estimators.callbacks import with_callbacks
from neocog.estimators.estimator import CNNEstimator
from neocog.estimators.targets import dense_array, output_names, refuse_fit_params, refuse_no_targets

__all__ = ["CNNRegressor"]


class CNNRegressor(RegressorMixin, CNNEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A convolutional network for numbers: images, signals or texts in, one or several numbers out.

    Parameters are those of `CNNEstimator`. Targets are standardised inside; predictions are in their unit. Fitted
    attributes: `n_features_in_`, `feature_names_in_` for data frames, `history_` (a row for each epoch), `n_iter_`,
    `bundle_` (the bytes of model.neocog), `predictor_`, and `run_` (the run folder, with `runs`).

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(64, 16))
    >>> regressor = CNNRegressor(epochs=3, random_state=0).fit(X, X.mean(axis=1))
    >>> regressor.predict(X[:2]).shape
    (2,)
    """

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **unsupported: Any) -> Self:
        """Train a network. y holds a number for each sample, (N,), or several, (N, D).

        Raises ValueError for inputs and parameters that can't be trained with; KeyboardInterrupt on Ctrl-C.
        """
        refuse_fit_params(type(self).__name__, unsupported)
        refuse_no_targets(type(self).__name__, y)
        self.__dict__.pop("_seed", None)
        names = output_names(y)
        X, y = self.check_inputs(X, reset=True), dense_array(y)
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(X, y)
        self.one_output_ = y.ndim == 1
        values = y.reshape(len(y), -1)
        self.fit_to(X, "regression", values, names or output_names_of(values.shape[1]))
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The values of each sample: (N,), or (N, D) if y had two dimensions."""
        values = self.outputs(X)
        return values[:, 0] if self.one_output_ else values


def output_names_of(count: int) -> tuple[str, ...]:
    """Names for outputs without any.

    >>> output_names_of(1), output_names_of(2)
    (('y',), ('y0', 'y1'))
    """
    return ("y",) if count == 1 else tuple(f"y{number}" for number in range(count))
