"""The common part of classifier and regressor: parameters, checked inputs, the run, and pickling."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from neocog.bundle import Predictor
from neocog.dataset.record import Task
from neocog.dataset.split import take
from neocog.estimators.callbacks import CallbackSupportMixin, FitTask
from neocog.estimators.fitting import Fitted, fit_network, open_bundle, raise_value_errors
from neocog.estimators.inputs import ArraySource, InputError, InputForm, Kind, are_texts, find_form
from neocog.estimators.settings import ParameterError, choose_settings
from neocog.files import write_whole

__all__ = ["CNNEstimator"]

ENOUGH = 200  # samples from which a tenth is held out unasked
HELD_OUT = 0.1
AT_ONCE = 1024  # samples that are predicted at once
MOST_SEED = np.iinfo(np.int32).max


class CNNEstimator(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A network with scikit-learn's interface. X is as `neocog.estimators.inputs` says."""

    def __init__(
        self,
        model: str | None = None,
        *,
        recipe: str | None = None,
        epochs: int | None = None,
        minutes: float | None = None,
        overrides: Mapping[str, Any] | None = None,
        kind: Kind = "auto",
        shape: Sequence[int] | None = None,
        validation_fraction: float | None = None,
        random_state: Any = None,
        runs: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        """Parameters are checked by `fit`.

        Args:

        model: a network of `neocog zoo`; by default one that suits the kind of data.
        recipe: a recipe of `neocog.list_recipes()`; `auto` races networks within `minutes`.
        epochs: passes over the training data; by default as many as a set of this size needs.
        minutes: the time to train for, instead of `epochs`; results then depend on the speed of the machine.
        overrides: further settings by dotted key, such as `{"optimizer.lr": 0.01}`.
        kind: image, signal or text; auto: by type and shape of X.
        shape: into which the rows of a 2-D X are reshaped: (H, W) or (H, W, C) of images, (C, L) of signals.
        validation_fraction: share of the samples that choose the best epoch; 0: none, the last epoch counts. By
            default a tenth of 200 or more samples.
        random_state: seed of weights, order and splits; None: another one each time.
        runs: keep a run folder with a report there; by default nothing is kept.
        verbose: print what `neocog train` does.
        """
        self.model = model
        self.recipe = recipe
        self.epochs = epochs
        self.minutes = minutes
        self.overrides = overrides
        self.kind = kind
        self.shape = shape
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.runs = runs
        self.verbose = verbose

    @property
    def predictor_(self) -> Predictor:
        """The trained network with its preprocessing, as `neocog.load` gives it."""
        check_is_fitted(self)
        return self._predictor

    def save(self, path: str | Path) -> None:
        """Write the trained network as a bundle, `model.neocog`. Raises StorageError if the file can't be written."""
        check_is_fitted(self)
        write_whole(Path(path), self.bundle_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_predictor")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True  # a missing value of a signal, which is interpolated
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the network, which is in the bytes of the bundle."""
        return {key: value for key, value in super().__getstate__().items() if key != "_predictor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "bundle_" in state:
            self._predictor = open_bundle(state["bundle_"])

    def check_inputs(self, X: Any, *, reset: bool) -> Any:
        """X as an array, or as it is if it holds texts. Raises ValueError and TypeError as scikit-learn does."""
        if reset and self.kind not in get_args(Kind):
            raise ParameterError("kind is auto, image, signal or text.", received=repr(self.kind))
        if (self.kind if reset else self.form_.kind) == "text" or (reset and self.kind == "auto" and are_texts(X)):
            if reset:
                for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit to arrays
                    self.__dict__.pop(name, None)
            return list(X)
        X = validate_data(self, X, reset=reset, allow_nd=True, ensure_all_finite="allow-nan")
        return X.astype(np.uint8) if X.dtype.kind == "b" else X

    def fit_to(
        self,
        X: Any,
        task: Task,
        targets: NDArray[Any],
        classes: tuple[str, ...],
        *,
        balanced: bool = False,
        weights: Sequence[float] | None = None,
    ) -> None:
        """Train on checked inputs and encoded targets, and set what was learned. Raises ValueError for user errors."""
        if len(X) < 2:
            raise InputError("Training needs at least two samples.", received=f"{len(X)} sample")
        for name in ("bundle_", "_predictor", "run_"):
            self.__dict__.pop(name, None)
        with raise_value_errors():
            form = find_form(X, self.kind, None if self.shape is None else tuple(self.shape))
            source = self.make_source(X, form, task, targets, classes)
            resolved = choose_settings(
                source, model=self.model, recipe=self.recipe, epochs=self.epochs, minutes=self.minutes,
                overrides=self.overrides, seed=self.draw_seed(), balanced=balanced,
                holds_out=self.holds_out(len(X)) > 0, silent=self.runs is None and not self.verbose,
            )  # fmt: skip
            if weights is not None and (self.runs is not None or resolved.config.train.search):
                raise ParameterError(
                    "Weights of single classes are not among the settings of a run, so it could not be repeated.",
                    received="class_weight with recipe='auto' or runs", fix="Use class_weight='balanced'.",
                )  # fmt: skip
            train = resolved.config.train
            timed = train.minutes is not None or train.search
            task_of_fit = FitTask(self, X, targets, None if timed else train.epochs)
            self.form_ = form
            self.set_fitted(fit_network(
                source, resolved, weights=weights, runs=self.runs, verbose=bool(self.verbose),
                after_epoch=task_of_fit.after_epoch,
            ))  # fmt: skip
            task_of_fit.end()

    def make_source(
        self,
        X: Any,
        form: InputForm,
        task: Task,
        targets: NDArray[Any],
        classes: tuple[str, ...],
    ) -> ArraySource:
        """The samples, split into training and validation. If none are held out, both are all samples."""
        samples, whole = form.read(X, type(self).__name__), np.arange(len(X))
        source = ArraySource(samples, form, task, targets, classes, {"train": whole, "val": whole})
        fraction = self.holds_out(len(X))
        if fraction:
            train, val = take(source, whole, fraction, self.draw_seed(), "val", groups_by_class=True)
            if not len(val):
                raise InputError(
                    "Validation needs at least one sample.", received=f"{fraction:g} of {len(X):,} samples",
                    fix="Raise validation_fraction, or pass 0.",
                )  # fmt: skip
            source.splits = {"train": train, "val": val}
        return source

    def holds_out(self, count: int) -> float:
        """The share of samples that are held out. Raises ParameterError for one that isn't in 0..0.9."""
        if self.validation_fraction is None:
            return HELD_OUT if count >= ENOUGH or self.recipe == "auto" else 0.0
        if not isinstance(self.validation_fraction, int | float) or not 0 <= self.validation_fraction < 0.9:
            raise ParameterError(
                "validation_fraction is a share of the samples, from 0 up to 0.9.",
                received=repr(self.validation_fraction),
            )
        return float(self.validation_fraction)

    def draw_seed(self) -> int:
        """The seed of this fit: drawn once, from `random_state`."""
        if "_seed" not in self.__dict__:
            self._seed = int(check_random_state(self.random_state).randint(MOST_SEED))
        return self._seed

    def set_fitted(self, fitted: Fitted) -> None:
        self._predictor, self.bundle_, self.history_ = fitted.predictor, fitted.bundle, fitted.history
        self.n_iter_ = len(fitted.history)
        if fitted.folder is not None:
            self.run_ = fitted.folder

    def outputs(self, X: Any) -> NDArray[np.float64]:
        """Decoded outputs (N, K): probabilities of classes or labels, or values.

        Raises NotFittedError before `fit`, and ValueError for other inputs than those of `fit`.
        """
        check_is_fitted(self)
        X = self.check_inputs(X, reset=False)
        with raise_value_errors():
            samples = self.form_.read(X, type(self).__name__)
            parts = [samples[start : start + AT_ONCE] for start in range(0, len(samples), AT_ONCE)]
            found = [self._predictor.predict_values(list(part)) for part in parts]
        return np.concatenate(found)

    def fit(self, X: Any, y: Any = None) -> Self:
        raise NotImplementedError
