import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.modalities.signal.ts import is_ts, open_ts

UNEQUAL = """# A remark
@problemName Tiny
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true walk 10
# another
@data
1,2,3:4,5,?:walk
0.5,?:-1e3,7:10
"""
EQUAL = """@problemname Even
@timestamps false
@univariate true
@equallength true
@serieslength 3
@classlabel true 2 10
@data
1,2,3:10
4,5,6:2
"""


def write(path, text):
    path.write_text(text)
    return path


def test_file_by_hand(tmp_path):
    path = write(tmp_path / "Tiny.ts", UNEQUAL)
    assert is_ts(path) and is_ts(tmp_path)
    for place in (path, tmp_path):
        source = open_ts(place)
        assert (source.name, source.classes, list(source.splits)) == ("Tiny", ("10", "walk"), ["all"])
        assert source.targets.tolist() == [1, 0]
        assert np.array_equal(source.read(0).payload, [[1, 2, 3], [4, 5, np.nan]], equal_nan=True)
        assert np.array_equal(source.read(1).payload, [[0.5, np.nan], [-1000, 7]], equal_nan=True)


def test_two_files_are_splits(tmp_path):
    write(tmp_path / "Even_TRAIN.ts", EQUAL)
    write(tmp_path / "Even_TEST.ts", EQUAL.replace("4,5,6", "7,8,9"))
    source = open_ts(tmp_path)
    assert (source.name, source.classes) == ("Even", ("2", "10"))
    assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1], "test": [2, 3]}
    assert source.read(3).payload.tolist() == [[7, 8, 9]]
    write(tmp_path / "Even.ts", EQUAL)
    with pytest.raises(DataError, match="in two ways: as Even.ts, or by split"):
        open_ts(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EQUAL.replace("@timestamps false", "@timestamps true"), ".*A.ts: received values with timestamps"),
        (EQUAL.replace("4,5,6", "(0,4),(1,5),(2,6)"), "A.ts, line 9: received values with timestamps"),
        (EQUAL.replace("@classlabel true", "@classlabel false"), "names the labels.*A.ts: received none"),
        (
            EQUAL.replace("@classlabel true 2 10", "@targetlabel false"),
            "says @classLabel true, .* or @targetLabel true",
        ),
        (EQUAL.replace("@data\n", ""), r"after a line @data. .*line 7: received '1,2,3:10'"),
        (EQUAL[: EQUAL.index("@data")], "has no such line: it is cut off"),
        (EQUAL.replace(":2\n", ":3\n"), r"one of those that the header names \(2, 10\). .*line 9: received '3'"),
        (EQUAL.replace("6:2\n", "6"), ".*line 9: received '4,5,6'"),
        (EQUAL.replace("6:2\n", "6:"), "received ''"),
        (EQUAL.replace("4,5,6", "4,5,6:7,8,9"), "as many dimensions as the header says, 1. .*: received 2"),
        (EQUAL.replace("4,5,6", "4,5"), "by the header 3. .*line 9: received 2"),
        (UNEQUAL.replace("4,5,?", "4,5"), "All dimensions of a series have one length. .*: received 2, 3"),
        (EQUAL.replace("4,5,6", "4,,6"), "Values must be numbers.*line 9"),
        (EQUAL.replace("4,5,6", "4,x,6"), "Values must be numbers.*line 9: .*'x'"),
    ],
)
def test_damaged_file_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        open_ts(write(tmp_path / "A.ts", text))


def named(words, *labels, split=""):
    rows = "".join(f"{k},{k}.5,{k + 1}:{label}\n" for k, label in enumerate(labels))
    return f"@problemName Sleep\n@univariate true\n@classLabel true {words}\n@data\n{rows}"


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        ("in bed up", ["in bed", "up", "in bed"]),
        ("up in bed", ["up", "in bed", "up"]),
        ("New York New Jersey", ["New Jersey", "New York", "New York"]),
        ("up stairs up", ["up", "up stairs", "up"]),
        ("in  bed  up", ["in bed", "up", "up"]),
        ("walk walk fast", ["walk fast", "walk", "walk"]),
        ("007 7 7.0 1E1 10", ["10", "007", "7.0", "7", "1E1"]),
    ],
)
def test_class_names_may_hold_spaces_or_look_like_numbers(tmp_path, words, labels):
    source = open_ts(write(tmp_path / "A.ts", named(words, *labels)))
    assert sorted(source.classes) == sorted(set(labels))
    assert [source.classes[k] for k in source.targets] == labels
    assert source.notices == ()


def test_class_names_of_which_a_split_has_no_series_are_told(tmp_path):
    write(tmp_path / "S_TRAIN.ts", named("in bed up away", "in bed", "up"))
    write(tmp_path / "S_TEST.ts", named("in bed up away", "up", "up"))
    source = open_ts(tmp_path)
    assert source.classes == ("in bed", "up")
    assert "classes that a header names and no series has: 'away'" in source.notices
    assert "test has no sample of 'in bed'" in source.notices


@pytest.mark.parametrize(
    ("words", "labels", "message"),
    [
        ("in bed up", ["in up"], r"that the header names \(in, bed, up\).*: received 'in up'"),
        ("in bed up", ["in bed", "bed"], ".*A.ts: received 'bed' besides others, of the words in, bed, up"),
        ("in bed up", ["in  bed", "in bed", "up"], "received 'in bed' besides others"),
        ("in bed up", ["In bed", "up"], ".*line 5: received 'In bed'"),
    ],
)
def test_labels_that_a_header_does_not_name_are_refused(tmp_path, words, labels, message):
    with pytest.raises(DataError, match=message):
        open_ts(write(tmp_path / "A.ts", named(words, *labels)))


def test_two_sets_and_a_lone_test_are_named(tmp_path):
    write(tmp_path / "Even_TEST.ts", EQUAL)
    with pytest.raises(DataError, match="received Even_TEST.ts, not Even_TRAIN.ts"):
        open_ts(tmp_path)
    write(tmp_path / "Odd_TRAIN.ts", EQUAL)
    with pytest.raises(DataError, match="holds one data set.*received Even, Odd"):
        open_ts(tmp_path)


@pytest.mark.parametrize("content", [b"", b"@Component({})\nclass A {}\n", b"G@\x11\x10\x00" * 40, b"\n# only\n"])
def test_other_files_of_this_name_are_not_claimed(tmp_path, content):
    path = tmp_path / "A.ts"
    path.write_bytes(content)
    assert not is_ts(path)
    assert not is_ts(tmp_path)
    with pytest.raises(DataError, match="received none"):
        open_ts(tmp_path)


@given(st.binary(max_size=60), st.integers(0, len(UNEQUAL)))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, place):
    path = tmp_path_factory.mktemp("ts") / "A.ts"
    path.write_bytes(UNEQUAL[:place].encode() + content + UNEQUAL[place:].encode())
    is_ts(path)
    with contextlib.suppress(DataError):
        assert len(open_ts(path)) >= 0


@pytest.mark.parametrize("text", [UNEQUAL, EQUAL])
def test_byte_order_mark_is_not_part_of_the_first_line(tmp_path, text):
    path = write(tmp_path / "Tiny.ts", "\ufeff" + text)
    assert is_ts(path) and len(open_ts(path)) == 2
