import io

import numpy as np
import pytest

from neocog.bundle.signal_file import read_signal
from neocog.data import SignalPreprocess
from neocog.errors import DataError


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def network(channels, names=(), unused=()):
    return SignalPreprocess(channels=channels, length=3, names=names, unused=unused)


def values_of(content, *args, **kwargs):
    values, notices = read_signal(content, network(*args, **kwargs), "walk")
    assert notices == ()
    return values


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1)])
def test_one_channel_is_read_in_any_form(shape):
    values = np.arange(5.0)
    np.testing.assert_array_equal(values_of(npy(values.reshape(shape)), 1), values[None])


def test_arrays_are_transposed_only_if_channels_come_last():
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(values_of(npy(values), 3), values)
    np.testing.assert_array_equal(values_of(npy(values), 4), values.T)
    square = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(values_of(npy(square), 3), square)


def test_times_and_labels_of_a_table_are_not_channels():
    table = b"time,x,y,label\n0,1,5,run\n1,,6,run\n"
    np.testing.assert_array_equal(values_of(table, 2, ("x", "y")), [[1, np.nan], [5, 6]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy(np.arange(9.0))[:-3],
            r"A signal is an \.npy array or a \.csv table.* walk can't be read: its header prom",
        ),
        (b"\x93NUMPY\x01\x00\xff\xff{", r"walk can't be read: .* Replace or remove it\."),
        (npy(np.array([{}], object)), "walk can't be read: it holds Python objects"),
        (b"RIFF\0\0\0\0WAVE", r"a \.csv table .* walk, line 1: received NUL bytes"),
        (b"x\n1\nhigh\n", "walk, line 3, x: received 'high'"),
        (b"", "walk, line 1: received an empty file"),
    ],
)
def test_invalid_signal_is_named(content, message):
    with pytest.raises(DataError, match=message):
        read_signal(content, network(1), "walk")


X, Y = np.arange(6.0), np.arange(6.0)[::-1] / 2


def table(names, delimiter=",", **columns):
    columns = {"x": X, "y": Y} | columns
    rows = [delimiter.join(str(columns[name.strip().lower()][i]) for name in names) for i in range(6)]
    return "\n".join([delimiter.join(names), *rows]).encode()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["x", "y"], ()),
        (["y", "x"], ("channels in another order are matched by name: x, y",)),
        (["X", "y"], ("names are matched whatever their case and spaces: X is x",)),
        (["index", "x", "y"], ()),
        (["y", "subject_id", "x"], ("channels in another order are matched by name: x, y",)),
        (["time", "x", "y"], ()),
        (["x", "y", "speed"], ()),  # which training left out
    ],
)
def test_columns_of_a_table_are_matched_by_name(names, said):
    extra = {"index": range(6), "subject_id": [3] * 6, "time": range(6), "speed": "abcdef"}
    values, notices = read_signal(table(names, **extra), network(2, ("x", "y"), ("speed",)), "a.csv")
    np.testing.assert_array_equal(values, [X, Y])
    assert notices == said


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["x", "z"], r"The network has x, y. a.csv: received x, z \(missing: y; not known: z\)"),
        (["y"], r"a.csv: received y \(missing: x\)"),
        (["x", "y", "z"], r"a.csv: received x, y, z \(not known: z\). Rename, add or remove columns"),
        (["x", "X", "z"], r"missing: y; not known: X, z"),
    ],
)
def test_other_columns_are_refused_with_both_lists(names, wrong):
    with pytest.raises(DataError, match=wrong):
        read_signal(table(names, z=X), network(2, ("x", "y")), "a.csv")


def test_channel_chosen_in_training_is_read_whatever_its_name():
    values, _ = read_signal(table(["index", "x"], index=range(6)), network(2, ("x", "index")), "a.csv")
    np.testing.assert_array_equal(values, [X, np.arange(6)])


def test_channels_without_names_are_taken_in_order_with_a_notice():
    array = npy(np.stack([X, Y]))
    values, notices = read_signal(array, network(2, ("x", "y")), "a.npy")
    np.testing.assert_array_equal(values, [X, Y])
    assert notices == ("channels without names are taken in the order of the network: x, y",)
    values, notices = read_signal(table("yx").partition(b"\n")[2], network(2, ("x", "y")), "a.csv")
    np.testing.assert_array_equal(values, [Y, X])
    assert notices[1] == "channels without names are taken in the order of the network: x, y"
    values, notices = read_signal(table("yx"), network(2), "a.csv")
    np.testing.assert_array_equal(values, [Y, X])
    assert notices == ("the network has no channel names, so channels are taken in the order of the file: y, x",)


def test_early_network_that_learned_a_counter_still_reads_it():
    values, _ = read_signal(table(["time", "id", "x"], id=range(6), time=range(6)), network(2), "a.csv")
    np.testing.assert_array_equal(values, [np.arange(6), X])


def test_semicolons_and_decimal_commas_are_read_with_a_notice():
    content = table("yx", ";").replace(b".", b",")
    values, notices = read_signal(content, network(2, ("x", "y")), "a.csv")
    np.testing.assert_array_equal(values, [X, Y])
    assert notices[0] == "a table is separated by semicolons; has decimal commas"


def test_fields_of_a_structured_array_are_matched_by_name():
    array = np.empty(6, [("y", "f4"), ("x", "i2")])
    array["x"], array["y"] = X, Y
    values, notices = read_signal(npy(array), network(2, ("x", "y")), "a.npy")
    np.testing.assert_array_equal(values, [X, Y])
    assert notices == ("channels in another order are matched by name: x, y",)
    with pytest.raises(DataError, match=r"The network has x, z. a.npy: received y, x \(missing: z; not known: y\)"):
        read_signal(npy(array), network(2, ("x", "z")), "a.npy")
