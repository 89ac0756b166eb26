import contextlib
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.dataset import tables
from neocog.dataset.tables import is_table, read_columns, read_rows
from neocog.errors import DataError


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(path):
    return [row.values for row in read_rows(path)]


def test_csv_tsv_and_jsonl_hold_the_same_rows(tmp_path):
    expected = [{"text": "a, b", "label": "1"}, {"text": 'say "x"\nthen y', "label": "2"}]
    table = write(tmp_path, "a.csv", 'text,label\n"a, b",1\n\n"say ""x""\nthen y",2\n')
    assert values(table) == expected
    assert values(write(tmp_path, "a.TSV", 'text\tlabel\r\na, b\t1\r\n"say ""x""\nthen y"\t2\r\n')) == expected
    lines = "\n".join(json.dumps(row) for row in expected)
    assert values(write(tmp_path, "a.jsonl", lines + "\n\n")) == expected
    assert [row.line for row in read_rows(table)] == [2, 4]
    assert read_columns(table) == read_columns(tmp_path / "a.jsonl") == ("text", "label")


def test_a_byte_order_mark_belongs_to_no_column(tmp_path):
    assert read_columns(write(tmp_path, "a.csv", b"\xef\xbb\xbffile, label \nx,y")) == ("file", "label")
    assert values(write(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"a": 1.5, "b": [true, null]}')) == [
        {"a": 1.5, "b": [True, None]}
    ]


def test_a_table_is_known_by_its_name(tmp_path):
    assert is_table(write(tmp_path, "a.Csv", ""))
    assert not is_table(write(tmp_path, "a.txt", ""))
    (tmp_path / "b.csv").mkdir()
    assert not is_table(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "starts with a line that names its columns. .*a.csv, line 1: received an empty file"),
        ("a.csv", "\n\n", "received an empty file"),
        ("a.csv", "a,b\n", "needs rows below its header. .*a.csv: received none"),
        ("a.csv", "a,b\n1,2\n3\n", "one value for each column. .*a.csv, line 3: received 1 values for 2 columns"),
        ("a.csv", "a,b\n1,2,3\n", 'line 2: received 3 values.*hold a comma into "quotes"'),
        ("a.tsv", "a\tb\n1\t2\t3\n", 'line 2: received 3 values.*hold a tab into "quotes"'),
        ("a.csv", "a;b\n1;2;3\n", 'line 2: received 3 values for 2 columns.*hold a semicolon into "quotes"'),
        ("a.tsv", "a|b\n1|2|3\n", 'line 2: received 3 values.*hold a vertical bar into "quotes"'),
        ("a.csv", "a,a\n1,2\n", "a name of its own. .*line 1: received 'a', 'a'"),
        ("a.csv", "a,\n1,2\n", "a name of its own. .*received 'a', ''"),
        ("a.csv", 'a,b\n1,"2\n3,4\n', "quoted as spreadsheets do. .*line 2: received unexpected end of data"),
        ("a.csv", 'a,b\n"1"x,2\n', "quoted as spreadsheets do.*line 2"),
        ("a.csv", "a,b\r1,2\n3,4\n", "quoted as spreadsheets do. .*received new-line character"),
        ("a.csv", "a,b\n1," + "x" * 140_000, r"line 2: received field larger than field limit \(131072\)"),
        (
            "a.csv",
            b"a,b\n1,2\n\xe9,3\n",
            "is UTF-8 text. .*line 3: received byte 0xe9. Save it as UTF-8; if .* wrote it as Windows-1252: iconv",
        ),
        ("a.csv", "a,b\n1,\0\n", "is UTF-8 text. .*line 2: received NUL bytes, as in UTF-16"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16-le"), "line 1: received NUL bytes, as in UTF-16"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16")[:-1], "received undecodable bytes .*truncated"),
        ("a.csv", "a,b\n1,\0\n".encode("utf-16"), "line 2: received NUL characters"),
        (
            "a.csv",
            ",a\n" + "".join(f"{k},x\n" for k in range(300)) + "z,y\n",
            "first column has no name, and its first values number the rows. .*line 302: received 'z'. Give",
        ),
        ("a.jsonl", "", "needs rows. .*line 1: received none. Put one JSON object on each line"),
        ("a.jsonl", '{"a": 1}\n{"a": }\n', "one JSON object. .*a.jsonl, line 2: received Expecting value"),
        ("a.jsonl", '{"a": 1}\n{"b": 1}\n', "same keys as the first. .*line 2: received a, b in one of them only"),
        ("a.jsonl", "[1, 2]\n", r"one JSON object with keys. .*received '\[1, 2\]'"),
        ("a.jsonl", "{}\n", "one JSON object with keys. .*received '{}'"),
        ("a.jsonl", '{"a": NaN}\n', "received NaN, which is not JSON"),
        ("a.jsonl", '{"a": "\\ud800"}\n', "surrogates not allowed"),
        ("a.jsonl", '{"a": ["\\u0000"]}\n', "received a NUL character"),
        ("a.jsonl", '{"a": ' + "[" * 100_000 + "\n", "one JSON object. .*received .*recursion"),
        ("a.jsonl", '{"a": ' + "1" * 5000 + "}\n", "one JSON object. .*received Exceeds the limit"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        values(write(tmp_path, name, content))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "a,b\n" + "x," * 600), ("a.csv", "a\n" + '"x\n",' * 300), ("a.jsonl", '{"a": "' + "x" * 1200)],
)
def test_a_row_without_end_is_not_read_whole(tmp_path, monkeypatch, name, content):
    monkeypatch.setattr(tables, "MAX_ROW", 1000)
    with pytest.raises(DataError, match="at most 1,000 bytes. .*received more. Is a quote left open"):
        values(write(tmp_path, name, content))


def test_many_rows_are_not_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROW", 100)
    assert len(values(write(tmp_path, "a.csv", "a,b\n" + "x,y\n" * 300))) == 300
    assert len(values(write(tmp_path, "a.jsonl", '{"a": 1}\n\n' * 300))) == 300


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="a.csv can't be read: No such file"):
        read_columns(tmp_path / "a.csv")


cell = st.text(st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=8)


@given(st.lists(st.tuples(cell, cell), min_size=1), st.sampled_from([".csv", ".tsv"]))
def test_tables_of_pythons_writer_are_read(tmp_path_factory, rows, suffix):
    path = tmp_path_factory.mktemp("t") / f"a{suffix}"
    text = io.StringIO()
    writer = csv.writer(text, delimiter="," if suffix == ".csv" else "\t")
    writer.writerows([("text", "label"), *rows])
    path.write_bytes(text.getvalue().encode())
    assert [tuple(row.values()) for row in values(path)] == rows


@given(st.binary(max_size=60), st.sampled_from([".csv", ".tsv", ".jsonl"]))
def test_any_bytes_are_rows_or_a_data_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("t") / f"a{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert values(path)
