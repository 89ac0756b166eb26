import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.dataset.labels import number_texts
from neocog.dataset.record import check_trainable, fingerprint
from neocog.dataset.split import divide
from neocog.errors import DataError
from neocog.modalities.signal.source import SignalSource


def ragged(lengths=(5, 3, 8, 1), channels=2):
    generator = np.random.default_rng(0)
    return [generator.normal(size=(channels, length)) for length in lengths]


def test_signals_of_many_lengths_are_reached_by_index():
    signals = ragged()
    source = SignalSource("s", {"train": (signals[:3], np.array([0, 1, 1])), "test": (signals[3:], np.array([0]))})
    assert (len(source), source.classes, source.channels) == (4, ("0", "1"), 2)
    assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1, 2], "test": [3]}
    assert source.lengths(np.array([3, 2])).tolist() == [1, 8]
    record = source.read(2)
    assert (record.key, record.target, record.payload.dtype) == ("train/2", 1, np.float32)
    assert np.array_equal(record.payload, signals[2].astype(np.float32))
    assert source.notices == ("test has no sample of '1'",)
    check_trainable(source)


def test_array_of_one_length_needs_no_list():
    x = np.arange(24, dtype=np.int16).reshape(4, 2, 3)
    source = SignalSource("s", {"all": (x, np.array([0, 1, 0, 1]))}, ["up", "down"])
    assert source.read(3).payload.tolist() == x[3].tolist()
    assert source.classes == ("up", "down")
    parts = divide(source_of(12), val_fraction=0.3, test_fraction=0.3, seed=0)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (6, 2, 4)


def source_of(count):
    return SignalSource("s", {"all": (np.zeros((count, 1, 3)), np.arange(count) % 2)})


def test_fingerprint_tells_lengths_and_values_apart():
    def named(*signals):
        return fingerprint(SignalSource("s", {"all": (signals, np.array([0, 1]))}))

    a, b = np.array([[1.0, 2]]), np.array([[3.0]])
    assert named(a, b) != named(np.array([[1.0]]), np.array([[2.0, 3]]))
    assert named(a, b) != named(a, b + 1)
    assert named(a, b) == named(a.copy(), b.copy())


@pytest.mark.parametrize(
    ("signals", "labels", "message"),
    [
        ([np.zeros((1, 3))], [0, 1], "Each signal needs one label. .*s, all: received 1 signals, 2 labels"),
        ([np.zeros((1, 3))], [0.5], "Labels must be whole numbers, one for each signal. .*received float64"),
        ([np.zeros((1, 3))] * 2, [0, -1], r"Labels must be in 0\.\.0.*received -1 at sample 1"),
        ([np.zeros((1, 3)), np.zeros((2, 3))], [0, 1], "the same channels. .*received 1 at sample 0 and 2 at sample 1"),
        ([np.zeros((1, 0))], [0], r"at least one value. s, all, sample 0: received \(1, 0\)"),
        ([np.zeros(3)], [0], r"A signal is \(channels, length\).*received \(3,\)"),
        ([np.zeros((1, 3), complex)], [0], "must be real numbers. .*s, all, sample 0: received complex128"),
        ([np.array([["a"]])], [0], "must be real numbers. .*received <U1"),
    ],
)
def test_signals_and_labels_that_do_not_match_are_named(signals, labels, message):
    with pytest.raises(DataError, match=message):
        SignalSource("s", {"all": (signals, np.array(labels))})


def test_classes_have_names_of_their_own():
    with pytest.raises(DataError, match="Each class needs a name of its own. s: received 'a', 'a'"):
        SignalSource("s", {"all": (np.zeros((2, 1, 3)), np.array([0, 1]))}, ["a", "a"])


@given(st.lists(st.integers(-1000, 1000), min_size=1))
def test_labels_that_are_numbers_are_sorted_as_numbers_and_keep_their_spelling(values):
    texts = {"train": [str(v) for v in values], "test": [f"{v}.0" for v in values]}
    classes, numbers = number_texts(texts)
    assert [float(name) for name in classes] == sorted([*set(values)] * 2)
    for split, part in texts.items():
        assert [classes[k] for k in numbers[split]] == part


@pytest.mark.parametrize(
    "labels",
    [
        ["007", "010"],
        ["01", "1"],
        ["1_0", "10"],
        ["1E2", "100"],
        ["1.0", "1"],
        ["+1", "1"],
        ["-0", "0"],
        [" nan", "nan"],
        ["\u0663", "3"],  # an Arabic three
        ["1 ", "1"],
    ],
)
def test_labels_that_look_like_one_number_stay_apart(labels):
    classes, numbers = number_texts({"all": labels * 2})
    assert sorted(classes) == sorted(labels)
    assert [classes[k] for k in numbers["all"]] == labels * 2


@given(st.lists(st.text(min_size=1), min_size=1))
def test_other_labels_are_sorted_as_texts(texts):
    texts = [*texts, "nan"]  # never a number
    classes, numbers = number_texts({"all": texts})
    assert list(classes) == sorted(set(texts))
    assert [classes[k] for k in numbers["all"]] == texts
