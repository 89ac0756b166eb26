import numpy as np
import pytest
from PIL import Image

from neocog.data import check_trainable, open_source
from neocog.data.open import innermost, is_document, only_folder
from neocog.doctor import check
from neocog.errors import DataError


def draw(root, *names):
    for k, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 9 * k, np.uint8)).save(path, format="png")


def two_classes(root):
    draw(root, *(f"{name}/{k}.png" for name in ("cat", "dog") for k in range(3)))
    return root


def write(path, content="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def said(outer, inner):
    return f"the data set is read from {inner}, because {outer} holds nothing else"


@pytest.mark.parametrize("nested", ["pictures/pictures", "pictures/x-main", "pictures/a/b", "pictures/a/b/c"])
def test_folder_within_its_own_folder_is_read(tmp_path, nested):
    outer, inner = tmp_path / "pictures", two_classes(tmp_path / nested)
    write(outer / "README.md")
    write(outer / "LICENSE")
    draw(outer / "__MACOSX", "pictures/cat/._0.png")
    source = open_source(outer)
    assert (source.classes, len(source), source.key(0)) == (("cat", "dog"), 6, "cat/0.png")
    assert source.notices == (said(outer, inner),)
    report = check(outer)
    assert report.notices == source.notices and report.classes == ("cat", "dog")
    assert open_source(inner).notices == ()


def test_archive_of_a_folder_may_lie_beside_it(tmp_path):
    inner = two_classes(tmp_path / "x" / "pets")
    write(tmp_path / "x" / "pets.zip")
    assert open_source(tmp_path / "x").notices == (said(tmp_path / "x", inner),)
    write(tmp_path / "x" / "more.zip")
    assert only_folder(tmp_path / "x") is None


@pytest.mark.parametrize(
    ("files", "layout", "splits"),
    [
        ({"train/a/1.txt": "x", "train/b/1.txt": "y", "test/a/2.txt": "z", "test/b/2.txt": "z"}, "text-folder", True),
        ({"train.csv": "text,label\nx,a\ny,b\n", "test.csv": "text,label\nx,a\n"}, "text-table", True),
        ({"a/1.csv": "x\n0.5\n", "b/1.csv": "x\n0.25\n"}, "signal-folder", False),
        ({"S_TRAIN.tsv": "1\t0.5\t0.25\n2\t0.5\t0.5\n", "S_TEST.tsv": "1\t0.5\t0.25\n2\t0.5\t0.5\n"}, "ucr", True),
    ],
)
def test_other_layouts_are_found_within_too(tmp_path, files, layout, splits):
    for name, content in files.items():
        write(tmp_path / "set" / "set" / name, content)
    source = open_source(tmp_path / "set")
    assert (source.format, "train" in source.splits) == (layout, splits)
    assert source.notices[0] == said(tmp_path / "set", tmp_path / "set" / "set")
    assert source.notices[1:] == open_source(tmp_path / "set" / "set").notices


def test_games_are_read_at_any_depth_from_where_they_were_given(tmp_path):
    write(tmp_path / "games" / "games" / "1.sgf", "(;SZ[9];B[aa];W[bb])")
    source = open_source(tmp_path / "games")
    assert (source.format, source.notices, source.key(0)[:13]) == ("sgf", (), "games/1.sgf#1")


def test_splits_of_games_within_are_kept(tmp_path):
    for split, move in (("train", "aa"), ("test", "cc")):
        write(tmp_path / "games" / "zip" / split / "1.sgf", f"(;SZ[9];B[{move}];W[bb])")
    source = open_source(tmp_path / "games")
    assert {split: len(part) for split, part in source.splits.items()} == {"train": 2, "test": 2}
    assert source.notices[0] == said(tmp_path / "games", tmp_path / "games" / "zip")


def test_splits_within_are_kept(tmp_path):
    for split in ("train", "test"):
        two_classes(tmp_path / "x" / "x" / split)
    source = open_source(tmp_path / "x")
    assert {split: len(part) for split, part in source.splits.items()} == {"train": 6, "test": 6}
    assert open_source(tmp_path / "x" / "x").notices == ()


def test_lone_split_is_not_an_outer_folder(tmp_path):
    two_classes(tmp_path / "x" / "train")
    source = open_source(tmp_path / "x")
    assert (list(source.splits), source.notices, source.key(0)) == (["train"], (), "train/cat/0.png")
    two_classes(tmp_path / "y" / "y" / "train")
    source = open_source(tmp_path / "y")
    assert (list(source.splits), source.key(0)) == (["train"], "train/cat/0.png")


@pytest.mark.parametrize("place", ["x/cat", "x/x/cat", "x/cat/more", "x/cat/more/and"])
def test_one_class_is_still_one_class(tmp_path, place):
    draw(tmp_path / place, "1.png", "2.png")
    source = open_source(tmp_path / "x")
    assert len(source.classes) == 1 and source.notices == ()
    with pytest.raises(DataError, match="needs at least two classes. x: received one"):
        check_trainable(source)


@pytest.mark.parametrize("beside", ["labels.csv", "1.png", "notes.json", "data.yaml", "classes.txt"])
def test_files_beside_a_folder_keep_the_outer_folder(tmp_path, beside):
    two_classes(tmp_path / "x" / "pets")
    write(tmp_path / "x" / beside)
    assert innermost(tmp_path / "x") == tmp_path / "x"
    assert open_source(tmp_path / "x").classes == ("pets",)


def test_search_ends_after_three_folders(tmp_path):
    two_classes(tmp_path / "x" / "a" / "b" / "c" / "d")
    assert innermost(tmp_path / "x") == tmp_path / "x"
    assert innermost(tmp_path / "x" / "a") == tmp_path / "x" / "a" / "b" / "c" / "d"
    assert open_source(tmp_path / "x").classes == ("a",)


def test_link_to_a_folder_above_is_not_followed(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "x").symlink_to(tmp_path / "x")
    assert innermost(tmp_path / "x") == tmp_path / "x"
    assert innermost(tmp_path / "missing") == tmp_path / "missing"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("README", True), ("ReadMe.txt", True), ("license.md", True), ("paper.PDF", True), ("class_map.txt", False),
     ("1.png", False), ("data.csv", False), ("a.npz", False)],
)  # fmt: skip
def test_documents_are_not_data(name, expected):
    assert is_document(name) == expected
