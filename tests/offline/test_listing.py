import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from neocog.dataset.files import list_files
from neocog.errors import ConfigError, DataError
from neocog.offline.listing import list_inputs, read_list, walk_sorted

SUFFIXES = frozenset({".png"})


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Folders whose order by name and by whole path differ, other kinds, hidden files, and links."""
    names = (
        "b.png",
        "a.png",
        "a/x.png",
        "a.b/x.png",
        "a-b/x.png",
        "a/a/y.PNG",
        "a/b",
        "z/é.png",
        "z/\udce9.png",
        "c.txt",
    )
    for name in (*names, ".hidden.png", "Thumbs.db", "z/.git/a.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "in" / "z" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "in" / "a")
    (tmp_path / "in" / "broken.png").symlink_to(tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


@pytest.mark.parametrize("name", ["in", "./in/", "in/../in", "."])
def test_folder_is_listed_as_predict_without_out_lists_it(tree, name, monkeypatch):
    if name == ".":
        monkeypatch.chdir(tree)
    others, expected = Counter(), Counter()
    found = list(walk_sorted(name, SUFFIXES, others))
    assert found == [str(path) for path in list_files(Path(name), SUFFIXES, expected)]
    assert others == expected and others[".txt"] == 1
    assert len(found) == 10  # two of them through a link


def test_output_is_not_listed_as_an_input(tree):
    found = list(walk_sorted("in", SUFFIXES, Counter(), leave_out=("in/a.png", "in/a")))
    assert "in/a.png" not in found and not any(path.startswith("in/a/") for path in found) and "in/a.b/x.png" in found


def test_folder_that_cannot_be_read_is_an_error(tree, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"in can't be read: Permission denied. Allow it to be read, or name the files"):
        list(walk_sorted("in", SUFFIXES, Counter()))


PATHS = ["in/a.png", "in/with space.png", "in/with,comma.png", "in/ü.png"]


def written(path, paths):
    if path.suffix == ".parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({"n": list(range(len(paths))), "path": paths}), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            rows.writerows([("n", "file"), *enumerate(paths)])
    else:
        end = {".txt": "\n", ".dos": "\r\n", ".nul": "\0"}[path.suffix]
        path.write_bytes("".join(name + end for name in paths).encode("utf-8", "surrogateescape"))
    return path


@pytest.mark.parametrize("suffix", [".txt", ".dos", ".nul", ".csv", ".tsv", ".parquet"])
def test_list_gives_its_paths_in_order(tmp_path, suffix):
    assert list(read_list(written(tmp_path / f"list{suffix}", PATHS))) == PATHS


def test_list_between_nul_bytes_holds_any_name(tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.offline.listing.CHUNK", 14)  # the next pieces end within names
    names = ["two\nlines.png", "\udce9.png", "a" * 40]
    assert list(read_list(written(tmp_path / "list.nul", names))) == names


def test_files_folders_and_list_follow_each_other(tree):
    listed = written(tree / "list.txt", ["one", "two"])
    found = list(list_inputs(["x.tif", "in/a"], listed, SUFFIXES, Counter()))
    assert found == ["x.tif", "in/a/a/y.PNG", "in/a/x.png", "one", "two"]


def test_table_without_a_column_of_files_is_an_error(tmp_path):
    (tmp_path / "list.csv").write_text("id,label\n1,cat\n")
    with pytest.raises(
        ConfigError, match=r"A list needs a column that names the files. .*received id, label. Call it file."
    ):
        list(read_list(tmp_path / "list.csv"))


def test_short_row_and_missing_list_are_errors(tmp_path):
    (tmp_path / "list.csv").write_text("id,file\n1,a.png\n2\n")
    with pytest.raises(DataError, match=r"list.csv, line 3: received \['2'\]"):
        list(read_list(tmp_path / "list.csv"))
    with pytest.raises(DataError, match="The list none.txt can't be read: No such file or directory. Check the path."):
        list(read_list(Path("none.txt")))
    (tmp_path / "list.parquet").write_bytes(b"PAR1 but nothing else")
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="is not a valid Parquet file"):
        list(read_list(tmp_path / "list.parquet"))
