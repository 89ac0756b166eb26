import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.doctor.skip_list import check_place, escape, read_skip_list, unescape, write_skip_list
from neocog.errors import ConfigError, DataError


@given(st.text(st.characters(exclude_categories=())))
def test_escape_fits_any_text_into_one_field(tmp_path_factory, text):
    field = escape(text)
    assert not set(field) & set("\t\n\r")
    assert not field.startswith("#")
    field.encode()
    assert unescape(field, "a.txt, line 1") == text


NASTY = {
    "train/a b.png": "empty",
    "tab\tand\nline\r\n": "truncated or damaged",
    "# begins like a comment": "x",
    "back\\slash\\n": "duplicate of test/\tb",
    "caf\udce9.png": "bytes",
    "half\ud800": "surrogate",
    " spaces ": "kept",
    "next\x85line\u2028s": "kept",
    "<script>alert(1)</script>": "kept",
}


def test_skip_list_round_trips(tmp_path):
    path = tmp_path / "skip.txt"
    write_skip_list(path, NASTY, name="my\nset", fingerprint="0123456789abcdef")
    assert read_skip_list(path) == NASTY
    lines = path.read_bytes().split(b"\n")
    assert lines[0] == b"# Neocog skip list: my\\nset, 0123456789abcdef"
    assert len(lines) == len(NASTY) + 2
    assert lines[1] == b"train/a b.png\tempty"
    write_skip_list(path, {}, name="x", fingerprint="")
    assert path.read_text() == "# Neocog skip list: x, no fingerprint\n"
    assert read_skip_list(path) == {}


def test_skip_list_may_be_edited(tmp_path):
    path = tmp_path / "skip.txt"
    path.write_bytes(b"\xef\xbb\xbf# mine\r\n\r\na.png\tblurred\r\n# more\nb.png\t\nb.png\tlater\n")
    assert read_skip_list(path) == {"a.png": "blurred", "b.png": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.png\n", r"must be a sample's key, a tab and a reason\. .*skip\.txt, line 1: received 'a\.png'"),
        (b"# x\na\tb\n\treason\n", r"skip\.txt, line 3: received '\\treason'\. Fix or remove it"),
        (b"a\\q\tb\n", r"must double each backslash\. .*skip\.txt, line 1: received 'a\\\\q'"),
        (b"a\\u12\tb\n", r"A skip list must double each backslash"),
        (b"ok\tb\\\n", r"A skip list must double each backslash"),
        (b"caf\xe9\tb\n", r"A skip list must be UTF-8\. Found in .*skip\.txt, byte 3\. Save it as UTF-8"),
    ],
)
def test_malformed_skip_list_names_the_line(tmp_path, content, message):
    (tmp_path / "skip.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_skip_list(tmp_path / "skip.txt")


def test_missing_skip_list_is_an_error(tmp_path):
    with pytest.raises(DataError, match=re.escape("absent.txt can't be read: No such file or directory. Check")):
        read_skip_list(tmp_path / "absent.txt")


def test_check_place_refuses_the_data_folder_and_other_files(tmp_path):
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(data)
    for place in (
        data / "skip.txt",
        data / "deep" / "skip.txt",
        tmp_path / "link" / "skip.txt",
        data / ".." / "data" / "s",
    ):
        with pytest.raises(
            ConfigError, match="Nothing is written into the data folder. Received: .*add --no-skip-list"
        ):
            check_place(place, data)
    with pytest.raises(ConfigError, match="A skip list is a file. Received: .*, a folder"):
        check_place(tmp_path, data)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(
        ConfigError, match=r"may replace only a skip list\. Received: .*thesis\.txt, another file\. Name another"
    ):
        check_place(tmp_path / "thesis.txt", data)
    write_skip_list(tmp_path / "old.txt", {}, name="x", fingerprint="")
    check_place(tmp_path / "old.txt", data)
    check_place(tmp_path / "new.txt", data)
    check_place(tmp_path / "new.txt", tmp_path / "data.npz")
