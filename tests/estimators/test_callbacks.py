"""Callbacks of scikit-learn 1.9: each fit is a task, each epoch a task within it."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from neocog import CNNClassifier, CNNRegressor

callbacks = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks since 1.9")


class Recorder:
    """What happens, and a stop after some epochs."""

    def __init__(self, stop_after=None):
        self.seen, self.stop_after, self.scores = [], stop_after, []

    def setup(self, estimator, context):
        self.seen.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.seen.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.seen.append(("begin", context.task_name))
        assert X.shape == (40, 12)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.seen.append(("end", context.task_name))
        if context.task_name == "epoch":
            assert context.parent.max_subtasks in (3, None)
            self.scores.append(fitted_estimator.predict(X))
            return self.stop_after is not None and context.task_id + 1 >= self.stop_after
        return None


def data():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    return rng.normal(size=(40, 12)) + 2 * np.outer(y, np.sin(np.arange(12))), y


def test_epochs_are_tasks_of_a_fit():
    X, y = data()
    recorder = Recorder()
    model = CNNClassifier(epochs=3, random_state=0).set_callbacks(recorder).fit(X, y)
    epoch = [("begin", "epoch"), ("end", "epoch")]
    assert recorder.seen == [("setup", "fit"), ("begin", "fit"), *3 * epoch, ("end", "fit"), ("teardown", "fit")]
    np.testing.assert_array_equal(recorder.scores[-1], model.predict(X))
    np.testing.assert_array_equal(
        CNNClassifier(epochs=3, random_state=0).fit(X, y).predict_proba(X), model.predict_proba(X)
    )


def test_callback_ends_training():
    X, y = data()
    recorder = Recorder(stop_after=2)
    model = CNNRegressor(epochs=3, random_state=0).set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ == 2 and len(recorder.scores) == 2
    assert recorder.seen[-1] == ("teardown", "fit")


def test_callbacks_are_torn_down_after_an_error():
    X, y = data()
    recorder = Recorder()
    with pytest.raises(ValueError, match="Unknown recipe"):
        CNNClassifier(recipe="absent").set_callbacks(recorder).fit(X, y)
    recorder.seen.clear()
    with pytest.raises(ValueError, match="An input of 1x12 does not fit"):
        CNNClassifier("mnist1d_prince", epochs=1).set_callbacks(recorder).fit(X, y)
    assert recorder.seen[-1] == ("teardown", "fit")


def test_scores_are_monitored_in_a_search():
    X, y = data()
    monitor = callbacks.ScoringMonitor(scoring="accuracy")
    GridSearchCV(CNNClassifier(epochs=2, random_state=0).set_callbacks(monitor), {"epochs": [2]}, cv=2).fit(X, y)
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log].count("epoch") >= 4
    assert all(0 <= row["accuracy"] <= 1 for row in log if "accuracy" in row)
