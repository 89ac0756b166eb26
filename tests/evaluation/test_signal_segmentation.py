import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from neocog.evaluation.segmentation import count_pixels
from neocog.evaluation.signal_segmentation import evaluate_segments, event_counts, find_events

CLASSES = ("background", "p", "qrs")
LABELS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=1, max_size=12)


def spread(runs):
    return np.concatenate([np.full(length, label) for label, length in runs])


def evaluated(pairs):
    counts = [np.stack([f(found, truth, 3) for found, truth in pairs]) for f in (count_pixels, event_counts)]
    keys = [f"k{i}" for i in range(len(pairs))]
    return evaluate_segments(*counts, CLASSES, keys, data="d", split="test")


def test_figures_of_samples_equal_scikit_learn():
    rng = np.random.default_rng(0)
    truth = [rng.integers(0, 3, 80) for _ in range(5)]
    found = [np.where(rng.random(80) < 0.7, t, rng.integers(0, 3, 80)) for t in truth]
    result = evaluated(list(zip(found, truth, strict=True)))
    both = np.concatenate(truth), np.concatenate(found)
    assert result.metrics["F1"].value == pytest.approx(f1_score(*both, average="macro"))
    assert [row.f1 for row in result.per_class] == pytest.approx(f1_score(*both, average=None))
    assert result.metrics["sample accuracy"].value == pytest.approx(accuracy_score(*both))
    assert result.metrics["F1"].low < result.metrics["F1"].value < result.metrics["F1"].high
    assert list(result.metrics) == ["F1", "event F1", "sample accuracy"]


def best_matching(found, truth, label):
    """The most pairs of events that overlap by half their union, by trying all."""

    def events(labels):
        return [{*range(a, b)} for a, b, k in find_events(labels, 3) if k == label]

    predicted, real = events(found), events(truth)

    def most(i, free):
        if i == len(predicted):
            return 0
        options = [j for j in free if len(predicted[i] & real[j]) >= 0.5 * len(predicted[i] | real[j])]
        return max([most(i + 1, free), *(1 + most(i + 1, free - {j}) for j in options)])

    return most(0, frozenset(range(len(real)))), len(predicted), len(real)


@given(LABELS, LABELS)
def test_events_are_matched_as_by_trying_all(one, other):
    found, truth = spread(one), spread(other)
    length = min(len(found), len(truth))
    found, truth = found[:length], truth[:length]
    counts = event_counts(found, truth, 3)
    assert counts.tolist() == [list(best_matching(found, truth, k)) for k in range(3)]


def test_event_f1_by_hand():
    """Of two true beats one is found, beside one that isn't there: 2 * 1 / (2 + 2). The background doesn't count."""
    truth = spread([(0, 5), (2, 4), (0, 5), (2, 4), (0, 2)])
    found = spread([(0, 5), (2, 3), (0, 9), (1, 3)])
    result = evaluated([(found, truth)])
    assert result.metrics["event F1"].value == pytest.approx(0.5)
    assert [(row.name, row.events) for row in result.per_class] == [("background", 3), ("p", 0), ("qrs", 2)]


def test_unknown_samples_count_nowhere():
    truth = np.array([0, 0, 255, 255, 1, 1])
    assert event_counts(np.array([0, 0, 2, 2, 1, 1]), truth, 3).tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]


def test_worst_signals_come_first():
    truth = np.array([0, 0, 1, 1])
    pairs = [(truth, truth), (1 - truth, truth), (np.array([0, 0, 0, 1]), truth)]
    result = evaluated(pairs)
    assert [error.key for error in result.worst_errors] == ["k1", "k2"]
    assert result.worst_errors[1].prediction_text == "75.0% of the samples are right"
    assert result.exhibits[0].rows()[0] == ("class", "F1", "precision", "recall", "event F1", "samples", "events")
