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
def test_one_channel_in_any_form(shape):
    values = np.arange(5.0)
    np.testing.assert_array_equal(values_of(npy(values.reshape(shape)), 1), values[None])


def test_channels_come_first_and_are_turned_only_where_they_must_be():
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(values_of(npy(values), 3), values)
    np.testing.assert_array_equal(values_of(npy(values), 4), values.T)
    square = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(values_of(npy(square), 3), square)


def test_a_table_has_a_column_for_each_channel_and_its_times_and_labels_are_none():
    table = b"time,x,y,label\n0,1,5,run\n1,,6,run\n"
    np.testing.assert_array_equal(values_of(table, 2, ("x", "y")), [[1, np.nan], [5, 6]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy(np.arange(9.0))[:-3],
            r"A signal is an \.npy array, or a \.csv table.* walk can't be read: its header prom",
        ),
        (b"\x93NUMPY\x01\x00\xff\xff{", r"walk can't be read: .* Replace or remove it\."),
        (npy(np.array([{}], object)), "walk can't be read: it holds Python objects"),
        (b"RIFF\0\0\0\0WAVE", r"a \.csv table .* Received: NUL bytes, .* Where: walk, line 1"),
        (b"x\n1\nhigh\n", "Received: 'high', in walk, line 3, x"),
        (b"", "Received: an empty file. .* Where: walk"),
    ],
)
def test_what_is_no_signal_is_named(content, message):
    with pytest.raises(DataError, match=message):
        read_signal(content, network(1), "walk")
