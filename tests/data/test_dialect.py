import csv
import math

import numpy as np
import pytest

from neocog.dataset.dialect import Dialect, find_dialect
from neocog.dataset.tables import read_columns, read_rows, table_notices

TEXTS = [("good, really; so", "1"), ('say "x"', "2"), ("caf\u00e9 \u2713", "1")]


def write(folder, name, content, encoding="utf-8"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def cells(path):
    return [tuple(row.values.values()) for row in read_rows(path)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_table_is_read_however_it_is_separated_and_encoded(tmp_path, suffix, sign, encoding, end):
    path = tmp_path / f"a{suffix}"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=sign, lineterminator=end)
        writer.writerows([("text", "label"), *TEXTS])
    assert read_columns(path) == ("text", "label")
    assert cells(path) == TEXTS
    assert [row.line for row in read_rows(path)] == [2, 3, 4]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_byte_order_mark_says_which_utf_16(tmp_path, encoding):
    path = write(tmp_path, "a.csv", "\ufefftext;label\nx;1\n", encoding)
    assert cells(path) == [("x", "1")]
    assert table_notices([path]) == ("a.csv is separated by semicolons; is UTF-16",)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;\r"])
def test_line_of_excel_names_the_separator(tmp_path, first):
    path = write(tmp_path, "a.csv", f"{first}\ntext;label\na,b;1\n")
    assert [(row.line, row.values) for row in read_rows(path)] == [(3, {"text": "a,b", "label": "1"})]
    assert cells(write(tmp_path, "b.csv", "sep=#\ntext#label\na,b#1\n")) == [("a,b", "1")]


@pytest.mark.parametrize(
    ("name", "content", "sign"),
    [
        ("a.csv", "text,label\na;b;c,1\nd;e;f,2\n", ","),  # the header decides
        ("a.csv", "text;label\na,b,c;1\nd,e,f;2\n", ";"),
        ("a.csv", "file,labels\n1.png,cat|dog\n2.png,cat|sea\n", ","),
        ("a.csv", '"text, as written";label\nx;1\n', ";"),
        ("a.csv", "1.png,cat|dog\n2.png,cat|sea\n", ","),  # no header, and two signs fit
        ("a.csv", "0,00;0,123;0,5\n0,02;0,130;0,6\n", ";"),
        ("a.csv", "1.png;0,5\n2.png;0,25\n", ";"),
        ("a.tsv", "1.png\tcat;dog\n2.png\tcat;sea\n", "\t"),
        ("a.csv", "1.png\tcat;dog\n2.png\tcat;sea\n", "\t"),
        ("a.csv", "x\n1\n2\n", ","),
        ("a.tsv", "text\na,b\nc,d\n", "\t"),
    ],
)
def test_separator_is_that_of_the_header_or_fits_all_rows(tmp_path, name, content, sign):
    assert find_dialect(write(tmp_path, name, content)).delimiter == sign


@pytest.mark.parametrize("end", ["", ";n"])
def test_decimal_commas_are_numbers_as_written(tmp_path, end):
    values = np.random.default_rng(0).normal(size=(50, 3)).round(3)
    lines = [";".join(f"{value:.3f}" for value in row).replace(".", ",") + end for row in values]
    path = write(tmp_path, "a.csv", "\n".join(["x;y;z" + end and "x;y;z" + (";label" if end else ""), *lines]))
    dialect = find_dialect(path)
    assert (dialect.delimiter, dialect.decimal) == (";", ",")
    read = [[dialect.number(cell) for cell in row[:3]] for row in cells(path)]
    assert read == values.tolist()
    assert cells(path)[0][0] == f"{values[0, 0]:.3f}".replace(".", ",")
    assert table_notices([path]) == ("a.csv is separated by semicolons; has decimal commas",)


@pytest.mark.parametrize(
    ("content", "decimal"),
    [
        ("x;y\n1,5;2\n3;4\n", ","),
        ("x;y\n1.5;2\n3;4\n", "."),
        ("x;y\n1,5;2.5\n", "."),  # both: neither is certain
        ("x;y\n1,234;2,345\n", "."),  # thousands, or not
        ("x;y\n0,234;2,345\n", ","),
        ("x\ty\n-,5\t1\n", ","),
        ("x,y\n1,5\n", "."),
        ("x;text\n1;a,5 b\n", "."),
    ],
)
def test_decimal_comma_needs_certainty(tmp_path, content, decimal):
    assert find_dialect(write(tmp_path, "a.csv", content)).decimal == decimal


def test_decimal_comma_far_from_the_start_is_found(tmp_path):
    path = write(tmp_path, "a.csv", "x;y\n" + "0;1\n" * 50_000 + "0,5;1\n")
    assert find_dialect(path).decimal == ","
    assert find_dialect(write(tmp_path, "b.csv", "x;y\n" + "0;1\n" * 50_000 + "0.5;1\n")).decimal == "."


@pytest.mark.parametrize(
    ("decimal", "cell", "value"),
    [
        (".", "1.5", 1.5), (".", " -1e-3 ", -0.001), (".", "7", 7), (".", ".5", 0.5), (".", "5.", 5),
        (".", "1,5", None), (".", "1_0", None), (".", "0x10", None), (".", "", None), (".", "inf", math.inf),
        (".", "1 000", None),
        (",", "1,5", 1.5), (",", "-0,25e1", -2.5), (",", "7", 7), (",", "1.5", None), (",", "1.234,56", None),
        (",", "1,234,567", None), (",", "1.234", None), (",", "abc", None), (".", "\u0661", None),
    ],
)  # fmt: skip
def test_number_is_one_number_or_none(decimal, cell, value):
    assert Dialect(decimal=decimal).number(cell) == value
    assert math.isnan(Dialect(decimal=decimal).number("nan"))


PANDAS = "numbers its rows in a column without a name, which is left out"


@pytest.mark.parametrize(
    ("content", "columns", "place"),
    [
        (",text,label\n0,a,1\n1,b,2\n", ("text", "label"), 1),
        ("Unnamed: 0,text,label\n0,a,1\n1,b,2\n", ("text", "label"), 1),
        ("Unnamed: 0.1,Unnamed: 0,text\n0,0,a\n1,1,b\n", ("text",), 2),
        (",text,label\n17,a,1\n3,b,2\n250,c,2\n", ("text", "label"), 1),  # shuffled
        (";x;y\n1;0,5;3\n2;0,25;4\n", ("x", "y"), 1),
        (",0,1\n0,0.5,0.25\n1,0.5,0.25\n", ("0", "1"), 1),
        ('"","x","y"\n"1",0.5,2\n"2",0.25,1\n', ("x", "y"), 1),  # R
    ],
)
def test_column_that_only_counts_rows_is_left_out(tmp_path, content, columns, place):
    path = write(tmp_path, "a.csv", content)
    assert read_columns(path) == columns
    sign = ";" if ";" in content else ","
    assert cells(path) == [tuple(row[place:]) for row in csv.reader(content.splitlines()[1:], delimiter=sign)]
    assert PANDAS in table_notices([path])[0]


@pytest.mark.parametrize(
    "content",
    [
        ",x\n512,0.5\n530,0.25\n498,0.1\n",  # a channel, perhaps
        ",x\n5,0.5\n7,0.25\n9,0.1\n",
        ",text\n0,a\n1,b\n0,c\n",  # labels, perhaps
        ",text\nr1,a\nr2,b\n",
        "x,\n1,2\n3,4\n",
    ],
)
def test_column_without_a_name_that_may_hold_something_is_refused(tmp_path, content):
    with pytest.raises(Exception, match="Each column needs a name of its own. .*received .*''"):
        read_columns(write(tmp_path, "a.csv", content))


def test_columns_without_name_and_value_are_left_out(tmp_path):
    path = write(tmp_path, "a.csv", "v1,v2,,\nham,hi,,\nspam,win,,\n")
    assert (read_columns(path), cells(path)) == (("v1", "v2"), [("ham", "hi"), ("spam", "win")])
    path = write(tmp_path, "b.csv", "v1,v2,,\n" + "ham,hi,,\n" * 400 + "ham,a, b,\n")
    with pytest.raises(Exception, match=r"without a name must be empty. .*line 402: received ' b' in column 3"):
        cells(path)


HEADLESS = "has no line of column names: its columns are called"


@pytest.mark.parametrize(
    "content",
    [
        "0.1,0.2\n0.3,0.4\n",
        "0.1\n0.2\n",
        "512,530,498\n513,531,499\n515,529,497\n",
        "0.5,0.5\n0.1,0.2\n",  # twice the same
        ",0.5\n0.1,0.2\n",  # a value is missing
        "0,10;0,20\n0,30;0,40\n",
        "0.00,0.1,walk\n0.02,0.2,walk\n0.04,0.1,run\n",
        "0,1,walk\n0.02,1.5,walk\n0.04,2.5,run\n",
        "1.png,cat\n2.png,dog\n3.png,cat\n",
        "a/1.JPG,cat\na/2.jpg,dog\n",
        "a.png,image\nb.png,text\n",  # labels that are known names
        "2024-01-01 10:00:00,0.5,a\n2024-01-01 10:00:01,0.25,a\n",
        "I love it,pos\nI hate it,neg\nfine film,pos\nbad film,neg\n",
        "I love it,1\nI hate it,0\n",
        "5,0,0,12\n7,0,0,13\n",
        "0,1\n1,1\n2,0\n3,1\n",  # a counter goes on
        "a good tea,0,1,tree\nbad film,0,0,tree\na film,1,0,house\n",
    ],
)
def test_table_without_header_keeps_its_first_sample(tmp_path, content):
    path = write(tmp_path, "a.csv", content)
    sign = ";" if ";" in content else ","
    expected = [tuple(row) for row in csv.reader(content.splitlines(), delimiter=sign)]
    assert cells(path) == expected
    assert read_columns(path) == tuple(map(str, range(len(expected[0]))))
    assert HEADLESS in table_notices([path])[0]


@pytest.mark.parametrize(
    "content",
    [
        "x,y\n0.1,0.2\n0.3,0.4\n",
        "v1,v2\nham,hi\nspam,win\nham,no\n",
        "text,label\na,text\nb,label\nc,label\n",
        "image_id,1,2,3\nabc,0,1,0\nabd,1,0,0\n",
        "file,0,1\n1.png,0,1\n2.png,1,0\n",
        "name,1,2,3\n1.png,0,1,0\n2.png,1,0,0\n",
        "data.x,data.y\n0.1,0.2\n",
        "file.name,cat\n1.png,x\n2.png,x\n",
        "question,topic\nwhat,a\nwho,b\n",
        "a,b\n1,\n,2\n",
        "label,400,410\na,0.1,0.2\nb,0.1,0.3\n",
    ],
)
def test_header_is_kept_as_one(tmp_path, content):
    path = write(tmp_path, "a.csv", content)
    header, *rows = csv.reader(content.splitlines())
    assert read_columns(path) == tuple(header)
    assert cells(path) == list(map(tuple, rows))
    assert table_notices([path]) == ()


@pytest.mark.parametrize(
    "content",
    [
        "0,1\na fine film,1\na bad film,0\n",  # pandas numbers columns of any kind
        "0,1,2\n5,3,8\n6,2,7\n",  # pandas names columns so that have no names
        "1,2\n0.5,0.25\n0.1,0.2\n",
        "400,410,420\n0.1,0.2,0.3\n0.5,0.6,0.7\n",  # wavelengths
        "400,410,420\n1,2,3\n4,3,2\n",
    ],
)
def test_numbers_that_are_names_are_reported(tmp_path, content):
    path = write(tmp_path, "a.csv", content)
    assert len(cells(path)) == 2
    assert "has numbers in its first line, which are read as the names of its columns" in table_notices([path])[0]


def test_plain_tables_have_no_notice(tmp_path):
    plain = [write(tmp_path, "a.csv", "a,b\nx,y\n"), write(tmp_path, "a.tsv", "a\tb\nx\ty\n")]
    plain.append(write(tmp_path, "a.jsonl", '{"a": 1}\n'))
    assert table_notices(plain) == ()
    odd = [write(tmp_path, f"{k}.csv", "a;b\nx;y\n") for k in range(3)]
    assert table_notices(odd) == ("each of 3 tables (0.csv, 1.csv and 1 more) is separated by semicolons",)


def test_wide_first_line_is_looked_at_whole(tmp_path):
    names = [f"gene{k}" for k in range(40_000)]
    path = write(tmp_path, "a.csv", ";".join(names) + "\n" + ";".join(["0,5"] * 40_000) + "\n")
    assert (find_dialect(path).decimal, read_columns(path)) == (",", tuple(names))
