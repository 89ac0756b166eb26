import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import ConfigError, DataError
from neocog.modalities.signal.csv_windows import cut_windows, is_csv_windows, open_csv_windows
from neocog.modalities.signal.recording import Recording, read_recording


def rows(labels, times=None):
    """A recording of two channels, i and -i / 2 at row i."""
    times = range(len(labels)) if times is None else times
    lines = [f"{time},{i},{-i / 2},{label}" for i, (time, label) in enumerate(zip(times, labels, strict=True))]
    return "\n".join(["time,x,y,activity", *lines])


def write(tmp_path, text, name="walk.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_windows_by_hand(tmp_path):
    path = write(tmp_path, rows("aaaaabbbbb"))
    assert is_csv_windows(path)
    source = open_csv_windows(path, window=3, step=1)
    assert (source.name, source.classes, source.channels) == ("walk", ("a", "b"), 2)
    assert [source.key(i) for i in range(len(source))] == ["0", "1", "2", "5", "6", "7"]
    assert source.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.read(3).payload.tolist() == [[5, 6, 7], [-2.5, -3, -3.5]]
    assert source.notices == (
        "channels: x, y",
        "rising by the same from row to row: x; if this only counts, name the other channels by --signal.columns",
        "6 windows of 3 samples were cut; neighbours share 2",
        "2 windows over a gap, or over a change of the label, were dropped",
    )
    assert [open_csv_windows(path, window=5).key(i) for i in range(2)] == ["0", "5"]


def test_window_needs_a_label_and_no_gap(tmp_path):
    source = open_csv_windows(write(tmp_path, rows(["a", "a", "", "", "b", "b", "b", "b"])), window=2)
    assert [source.key(i) for i in range(len(source))] == ["0", "4", "6"]
    source = open_csv_windows(write(tmp_path, rows("aaaabbbb", [0, 1, 2, 3, 4, 9, 10, 11])), window=2)
    assert [source.key(i) for i in range(len(source))] == ["0", "2", "6"]
    assert source.groups.tolist() == [0, 0, 2]


@given(st.text("ab ", min_size=1, max_size=30), st.integers(1, 5), st.integers(1, 4))
def test_windows_are_those_that_brute_force_finds(labels, window, step):
    names = tuple(dict.fromkeys(label.strip() for label in labels))
    codes = np.array([names.index(label.strip()) for label in labels])
    cut = cut_windows(Recording(np.zeros((1, len(labels))), None, codes, names), window, step, None, "r")
    all_starts = range(0, len(labels) - window + 1, step)
    expected = [s for s in all_starts if len(set(labels[s : s + window])) == 1 and labels[s] != " "]
    assert cut.starts.tolist() == expected
    assert cut.num_dropped == len(all_starts) - len(expected)


@pytest.mark.parametrize(
    "labels", [["007", "7"], ["1_0", "10"], ["1E2", "100"], ["1.0", "1"], ["+1", "1"], ["nan", "NaN"], ["\u0663", "3"]]
)
def test_labels_that_look_like_numbers_stay_as_written(tmp_path, labels):
    source = open_csv_windows(write(tmp_path, rows([labels[0]] * 4 + [labels[1]] * 4)), window=2)
    assert sorted(source.classes) == sorted(labels)
    assert [source.classes[k] for k in source.targets] == [labels[0]] * 2 + [labels[1]] * 2


def test_spaces_around_labels_do_not_count_unless_they_tell_classes_apart(tmp_path):
    source = open_csv_windows(write(tmp_path, rows([" a"] * 4 + [" b"] * 4)), window=2)
    assert source.classes == ("a", "b")
    source = open_csv_windows(write(tmp_path, rows([" a"] * 4 + ["a"] * 4)), window=2)
    assert source.classes == (" a", "a")
    assert "labels that differ in spaces alone are different classes: ' a', 'a'" in source.notices


def test_semicolons_and_decimal_commas_are_read_and_said(tmp_path):
    source = open_csv_windows(write(tmp_path, rows("aabb").replace(",", ";").replace(".", ",")), window=2)
    assert source.read(1).payload.tolist() == [[2, 3], [-1, -1.5]]
    assert "walk.csv is separated by semicolons; has decimal commas" in source.notices


def test_missing_values_stay_missing(tmp_path):
    text = "t,x,label\n0,1,a\n1,,a\n2,?,b\n3,NaN,b\n"
    recording, _ = read_recording(write(tmp_path, text))
    assert np.array_equal(recording.values, [[1, np.nan, np.nan, np.nan]], equal_nan=True)
    assert recording.times.tolist() == [0, 1, 2, 3]
    assert recording.names == ("a", "b")


def test_rate_is_checked_against_the_times(tmp_path):
    path = write(tmp_path, rows("aaaabbbb", np.arange(8) / 50))
    assert len(open_csv_windows(path, window=2, rate=50)) == 4
    with pytest.raises(
        DataError, match=r"walk\.csv: received steps of 0\.02, which is a rate of 50, and signal\.rate 100\."
    ):
        open_csv_windows(path, window=2, rate=100)


def test_without_a_window_the_message_tells_how(tmp_path):
    with pytest.raises(ConfigError, match=r"Received: no length, for .*walk\.csv\. .*--signal\.window 128"):
        open_csv_windows(write(tmp_path, rows("aabb")))


@pytest.mark.parametrize(
    ("text", "window", "message"),
    [
        (rows("abab"), 2, "one label from its first sample to its last. .*walk.csv: received no stretch of 2 samples"),
        (rows("aa"), 5, "received no stretch of 5 samples"),
        (
            "time,x\n0,1\n1,2\n",
            1,
            "names the activity at each time in its last column, activity, class, label, target",
        ),
        ("time,x,y\n0,1,1\n1,2,1\n", 1, "names the activity"),
        ("time,label\n0,a\n1,b\n", 1, "at least one channel. .*received columns time, label"),
        (rows("aab").replace("\n1,1", "\n1,one"), 1, r".*walk\.csv, line 3, x: received 'one'"),
        (rows("aab", [2, 1, 0]), 1, "Times must be numbers that rise. .*received steps of -1"),
        (rows("aab", [0, "", 2]), 1, "Times must be numbers that rise. .*received steps of nan"),
    ],
)
def test_damaged_recording_is_named(tmp_path, text, window, message):
    with pytest.raises(DataError, match=message):
        open_csv_windows(write(tmp_path, text), window=window)


def test_settings_that_can_not_be_are_named(tmp_path):
    with pytest.raises(ConfigError, match="at least 1 sample. Received: window=2, step=-1"):
        open_csv_windows(write(tmp_path, rows("aabb")), window=2, step=-1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "text,label\nhello,1\n"),
        ("a.csv", "time,label\n1,1\n"),
        ("a.csv", "timestamp,text,label\n1,it was good,1\n"),
        ("a.csv", "timestamp,score,comment,label\n1,5,it was good,1\n"),
        ("a.csv", "time,size,image,label\n1,5,a.png,1\n"),
        ("a.csv", "timestamp,user,label\n1,ann,1\n2,bob,0\n"),
        ("a.csv", "label,p0,p1\n1,0,0\n"),
        ("a.csv", ""),
        ("a.txt", rows("aabb")),
    ],
)
def test_other_tables_are_not_claimed(tmp_path, name, text):
    assert not is_csv_windows(write(tmp_path, text, name))
    assert not is_csv_windows(tmp_path)


def test_jsonl_is_not_a_recording(tmp_path):
    path = write(tmp_path, '{"time": 1, "p": 2, "label": "a"}\n', "a.jsonl")
    with pytest.raises(DataError, match=r"A long recording is one \.csv file. Received: .*a\.jsonl"):
        open_csv_windows(path, window=2)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(rows("aabb").encode() + b"\n" + content)
    is_csv_windows(path)
    with contextlib.suppress(DataError):
        assert len(open_csv_windows(path, window=2)) >= 1
