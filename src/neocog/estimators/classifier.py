"""`CNNClassifier`: classes, or several labels for each sample."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, column_or_1d

from neocog.estimators.callbacks import with_callbacks
from neocog.estimators.estimator import CNNEstimator
from neocog.estimators.inputs import InputError, Kind
from neocog.estimators.settings import ParameterError
from neocog.estimators.targets import dense_array, refuse_fit_params, refuse_no_targets

__all__ = ["CNNClassifier"]

LABEL = 0.5  # the probability from which a label is predicted

ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


class CNNClassifier(ClassifierMixin, CNNEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A convolutional network for classes, or for several labels: images, signals or texts in, classes out.

    `class_weight` is None, "balanced", or a weight for each class by its label; the other parameters are those of
    `CNNEstimator`. Fitted attributes: `classes_` (of several labels their columns), `n_features_in_`,
    `feature_names_in_` for data frames, `history_` (a row for each epoch), `n_iter_`, `bundle_` (the bytes of
    model.neocog), `predictor_`, and `run_` (the run folder, with `runs`).

    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 20)
    >>> X = rng.normal(size=(40, 16)) + np.outer(y, np.sin(np.arange(16)) * 3)
    >>> classifier = CNNClassifier(epochs=20, random_state=0).fit(X, y)
    >>> classifier.predict_proba(X[:2]).shape, classifier.score(X, y) > 0.9
    ((2, 2), True)
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        recipe: str | None = None,
        epochs: int | None = None,
        minutes: float | None = None,
        overrides: Mapping[str, Any] | None = None,
        class_weight: ClassWeight = None,
        kind: Kind = "auto",
        shape: Sequence[int] | None = None,
        validation_fraction: float | None = None,
        random_state: Any = None,
        runs: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            model, recipe=recipe, epochs=epochs, minutes=minutes, overrides=overrides, kind=kind, shape=shape,
            validation_fraction=validation_fraction, random_state=random_state, runs=runs, verbose=verbose,
        )  # fmt: skip
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **unsupported: Any) -> Self:
        """Train a network. y holds a class for each sample, (N,), or rows of 0 and 1 for several labels, (N, K).

        Raises ValueError for inputs and parameters that can't be trained with; KeyboardInterrupt on Ctrl-C.
        """
        refuse_fit_params(type(self).__name__, unsupported)
        refuse_no_targets(type(self).__name__, y)
        self.__dict__.pop("_seed", None)
        X, y = self.check_inputs(X, reset=True), dense_array(y)
        check_consistent_length(X, y)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            return self.fit_labels(X, y)
        if kind == "multiclass-multioutput":
            raise InputError(
                "Several outputs are labels that a sample has or hasn't: rows of 0 and 1.",
                received="several columns of classes", fix="Fit a classifier for each, or use MultiOutputClassifier.",
            )  # fmt: skip
        self.classes_, numbers = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        self.multi_label_ = False
        if len(self.classes_) < 2 and len(X) > 1:
            raise InputError("Classification needs at least two classes.", received="1 class")
        balanced, weights = self.weigh(numbers)
        self.fit_to(X, "classification", numbers, class_names(self.classes_), balanced=balanced, weights=weights)
        return self

    def fit_labels(self, X: Any, y: NDArray[Any]) -> Self:
        """Train on several labels; y (N, K) of 0 and 1."""
        if self.class_weight is not None:
            raise ParameterError(
                "class_weight is for single classes.", received=f"{y.shape[1]} labels for each sample",
                fix="Leave it out.",
            )  # fmt: skip
        self.classes_, self.multi_label_ = np.arange(y.shape[1]), True
        self.fit_to(X, "multi-label", y.astype(bool), class_names(self.classes_))
        return self

    def weigh(self, numbers: NDArray[np.int64]) -> tuple[bool, list[float] | None]:
        """Whether classes are balanced, or the weight of each, whose mean over the samples is one.

        Raises ParameterError for a class without a weight, and for weights that are not positive.
        """
        given = self.class_weight
        if given is None or (isinstance(given, str) and given == "balanced"):
            return given is not None, None
        if not isinstance(given, Mapping):
            raise ParameterError("class_weight is None, 'balanced' or a mapping.", received=repr(given))
        unknown = [label for label in given if label not in self.classes_.tolist()]
        if unknown:
            raise ParameterError("class_weight names classes of y.", received=repr(unknown[0]), fix="Leave it out.")
        weights = np.array([float(given.get(label, 1.0)) for label in self.classes_.tolist()])
        if not (weights > 0).all():
            raise ParameterError("Weights of classes are positive.", received=f"{weights.min():g}")
        return False, (weights / weights[numbers].mean()).tolist()

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probability of each class or label, in the order of `classes_`; (N, K) float32."""
        return self.outputs(X).astype(np.float32)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each sample, (N,), or its labels at a probability of one half, (N, K)."""
        probs = self.predict_proba(X)
        if self.multi_label_:
            return (probs >= LABEL).astype(np.int64)
        found: NDArray[Any] = self.classes_[probs.argmax(axis=1)]
        return found


def class_names(classes: NDArray[Any]) -> tuple[str, ...]:
    """The names of classes in the bundle: what they print as, or their numbers if two print alike.

    >>> class_names(np.array([1.0, 2.0])), class_names(np.array(["cat", "dog"]))
    (('1.0', '2.0'), ('cat', 'dog'))
    """
    names = tuple(str(label) for label in classes.tolist())
    return names if len(set(names)) == len(names) and all(names) else tuple(map(str, range(len(names))))
