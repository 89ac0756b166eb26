"""scikit-learn's callbacks, which it has since 1.9: each fit is a task, and each epoch a task within it.

Source: scikit-learn's developer guide, "Implementing callback support in estimators".
"""

import copy
from collections.abc import Callable
from typing import Any, TypeVar, cast

from neocog.bundle import Predictor, torch_backend
from neocog.runs.prepare import Prepared
from neocog.training import Training

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as teardown_callbacks
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def teardown_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The method itself."""
        return method


__all__ = ["CallbackSupportMixin", "FitTask", "with_callbacks"]


Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """A decorator of `fit` that tears callbacks down when it is over, whether it succeeds or not."""
    return cast(Method, teardown_callbacks(method))


class FitTask:
    """Tells the callbacks of an estimator how its fit goes; without callbacks it does nothing.

    A callback that returns True at the end of an epoch ends training there. Callbacks that ask for a fitted estimator
    get one with the weights of that moment.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, num_epochs: int | None) -> None:
        """`num_epochs` is None if it follows from the clock."""
        self.estimator, self.data = estimator, {"X": X, "y": y}
        start = getattr(estimator, "_init_callback_context", None)
        self.context = None if start is None else start(max_subtasks=num_epochs)
        if self.context is not None:
            self.context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def after_epoch(self, training: Training, prepared: Prepared) -> bool:
        """An epoch is over; whether to stop."""
        if self.context is None:
            return False

        def fitted() -> dict[str, Any]:
            model = copy.deepcopy(training.result).cpu()
            return {"_predictor": Predictor(torch_backend(model), prepared.preprocess, prepared.task, model=model)}

        epoch = self.context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return bool(epoch.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=fitted, **self.data))

    def end(self) -> None:
        """The estimator is fitted."""
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes={}, **self.data)
