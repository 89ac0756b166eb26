import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.modalities.signal.ucr import is_ucr, open_ucr, read_ucr

TRAIN = "1\t0.5\t-1.5\t2\n-1\t1e-3\tNaN\t4\n"
TEST = "-1\t7\t8\tNaN\n1\tNaN\tNaN\tNaN\n\n"


def write(folder, train=TRAIN, test=TEST, name="Tiny"):
    folder.mkdir(exist_ok=True)
    for split, text in (("TRAIN", train), ("TEST", test)):
        if text is not None:
            (folder / f"{name}_{split}.tsv").write_text(text)
    return folder


def test_set_by_hand(tmp_path):
    folder = write(tmp_path / "set")
    assert is_ucr(folder)
    source = open_ucr(folder)
    assert (source.name, source.classes, source.modality) == ("Tiny", ("-1", "1"), "signal")
    assert source.targets.tolist() == [1, 0, 0, 1]
    assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1], "test": [2, 3]}
    assert source.read(0).payload.tolist() == [[0.5, -1.5, 2.0]]
    assert np.array_equal(source.read(1).payload, np.array([[1e-3, np.nan, 4]], np.float32), equal_nan=True)
    assert source.read(2).payload.tolist() == [[7.0, 8.0]]  # NaN at the end: a shorter series
    assert source.read(3).payload.shape == (1, 1)


def test_labels_of_both_files_are_sorted_as_numbers(tmp_path):
    source = open_ucr(write(tmp_path, "10\t1\n2\t1\n", "2.0\t1\n-1\t1\n"))
    assert source.classes == ("-1", "2", "10")
    assert source.targets.tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize(
    ("train", "test", "classes", "said"),
    [
        (["1", "2"], ["2", "1"], ("1", "2"), None),
        (
            ["1.0000000e+00", "2.0000000e+00"],
            ["1", "2"],
            ("1", "2"),
            "1 and 1.0000000e+00 as 1, 2 and 2.0000000e+00 as 2",
        ),
        (["1.0", "-1.0"], ["1.0", "-1.0"], ("-1", "1"), "-1.0 as -1, 1.0 as 1"),
        (["0.5", "2.50"], ["2.5", "0.5"], ("0.5", "2.5"), "2.5 and 2.50 as 2.5"),
        (
            ["12345678901234567890", "12345678901234567891"],
            ["1"],
            ("1", "12345678901234567890", "12345678901234567891"),
            None,
        ),
    ],
)
def test_labels_are_numbers_however_programs_write_them_and_that_is_said(tmp_path, train, test, classes, said):
    source = open_ucr(write(tmp_path, *("".join(f"{label}\t1\t2\n" for label in part) for part in (train, test))))
    assert source.classes == classes
    told = [notice for notice in source.notices if "labels are numbers" in notice]
    assert told == ([f"labels are numbers, which are read as such: {said}"] if said else [])
    assert [float(source.classes[k]) for k in source.targets] == [float(label) for label in (*train, *test)]


@pytest.mark.parametrize(
    "labels",
    [["007", "7"], ["01", "1"], ["1_0", "10"], ["1E2", "100"], ["+1", "1"], ["-0", "0"], ["nan", "1"], ["\u0663", "3"]],
)
def test_labels_that_are_written_otherwise_stay_apart(tmp_path, labels):
    lines = "".join(f"{label}\t1\t2\n" for label in labels)
    source = open_ucr(write(tmp_path, lines, lines))
    assert sorted(source.classes) == sorted(labels)
    assert [source.classes[k] for k in source.targets] == labels * 2


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1)
)
def test_numbers_are_read_as_they_were_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("ucr") / "A_TRAIN.tsv"
    path.write_text("".join("1\t" + "\t".join(map(repr, row)) + "\n" for row in rows))
    series, labels = read_ucr(path)
    assert np.array_equal(np.stack(series)[:, 0], np.array(rows, np.float32))
    assert labels == ["1"] * len(rows)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("1\t2\t3\n1\t2\n", "as many values as the first.*line 2: received '1' and 1 values instead of 2"),
        ("1\t2\n\t2\n", ".*TRAIN.tsv, line 2: received '' and 1 values instead of 1"),
        ("1\t2\n1\tx\n", "Values must be numbers.*TRAIN.tsv, line 2: .*'x'"),
        ("1\n", "received '1' and 0 values"),
    ],
)
def test_damaged_line_is_named(tmp_path, train, message):
    with pytest.raises(DataError, match=message):
        open_ucr(write(tmp_path, train))


def test_missing_partner_and_two_sets_are_named(tmp_path):
    with pytest.raises(DataError, match="received Tiny_TRAIN.tsv, not its partner"):
        open_ucr(write(tmp_path, test=None))
    write(tmp_path, name="Other")
    with pytest.raises(DataError, match=r"holds one data set.*received Other, Tiny. Give each"):
        open_ucr(tmp_path)


def test_texts_are_not_claimed(tmp_path):
    assert not is_ucr(write(tmp_path / "texts", "1\tit was good\n", "0\tit was bad\n"))
    assert not is_ucr(write(tmp_path / "empty", "", ""))
    assert not is_ucr(tmp_path / "texts" / "Tiny_TRAIN.tsv")
    assert is_ucr(write(tmp_path / "long", "1" + "\t0.123456" * 5000 + "\n", None))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("ucr")
    (folder / "A_TRAIN.tsv").write_bytes(b"1\t2\t3\n" + content)
    (folder / "A_TEST.tsv").write_bytes(content)
    is_ucr(folder)
    with contextlib.suppress(DataError):
        assert len(open_ucr(folder)) >= 1


def test_byte_order_mark_is_not_part_of_the_first_label(tmp_path):
    source = open_ucr(write(tmp_path / "set", "\ufeff" + TRAIN, "\ufeff" + TEST))
    assert source.classes == ("-1", "1") and source.targets.tolist() == [1, 0, 0, 1]
