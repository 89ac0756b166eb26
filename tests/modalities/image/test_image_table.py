import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neocog.data import ImageFolder, check_trainable, fingerprint, open_source
from neocog.dataset import columns
from neocog.dataset.record import num_left_out
from neocog.errors import DataError
from neocog.modalities.image import image_folder as image_folder_module
from neocog.modalities.image.image_folder import ClassMap, has_class_map
from neocog.modalities.image.image_table import is_image_table, open_image_table


def draw(root, *names):
    for k, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4 + k, 4)).save(path, format="png")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def opened(path):
    """Open what must also be recognised."""
    assert is_image_table(path)
    return open_image_table(path)


def records(source):
    return {split: [(source.key(i), source.read(i).target) for i in part] for split, part in source.splits.items()}


def test_list_beside_its_images_is_read(tmp_path):
    draw(tmp_path, "a.png", "b.png", "deep/c.png")
    table = write(tmp_path / "labels.csv", "file_name,label\nb.png,dog\ndeep/c.png,cat\n./a.png,dog\n")
    for path in (tmp_path, table):
        source = opened(path)
        assert (source.name, source.classes, source.modality) == (tmp_path.name, ("cat", "dog"), "image")
        assert (source.task, open_source(path).format, source.notices) == ("classification", "class-list", ())
        assert records(source) == {"all": [("b.png", 1), ("deep/c.png", 0), ("a.png", 1)]}
        assert source.targets.dtype == np.int64
        assert source.read(1).payload == (tmp_path / "deep" / "c.png").read_bytes()
        check_trainable(source)
        before = fingerprint(source)
        with (tmp_path / "a.png").open("ab") as file:
            file.write(b"more")
        assert fingerprint(source) != before


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("a.csv", "Id,Label\na,x\nb,y\n"),
        ("a.tsv", "image\tclass\na.png\tx\nb.png\ty\n"),
        ("a.jsonl", '{"path": "a.png", "category": "x"}\n{"path": "b.png", "category": "y"}\n'),
        ("a.csv", "\ufefffilename,target,id\r\n" + 'a.png,"x",7\r\nb.png, y ,8\r\n'),
        ("a.csv", "image_path,class_name\n.\\a.png,x\n.\\b.png,y\n"),
    ],
)
def test_the_usual_columns_are_known(tmp_path, table, content):
    draw(tmp_path, "a.png", "b.png")
    write(tmp_path / table, content)
    source = opened(tmp_path)
    assert records(source) == {"all": [("a.png", 0), ("b.png", 1)]}
    assert source.classes == ("x", "y")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "0"], ("0", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        (["2", "02", "1"], ("1", "02", "2")),
        (["1.0", "2.0", "1.0"], ("1.0", "2.0")),
        (["9" * 5000, "x", "y"], ("9" * 5000, "x", "y")),
    ],
)
def test_classes_are_sorted_as_numbers_where_they_are_numbers(tmp_path, labels, classes):
    draw(tmp_path, "0.png", "1.png", "2.png")
    write(tmp_path / "a.csv", "file,label\n" + "".join(f"{k}.png,{label}\n" for k, label in enumerate(labels)))
    source = opened(tmp_path)
    assert source.classes == classes
    assert [source.classes[k] for k in source.targets] == labels


def test_split_column_divides_the_images(tmp_path):
    draw(tmp_path, *(f"{k}.png" for k in range(4)))
    write(tmp_path / "a.csv", "file,label,split\n0.png,x,Test\n1.png,y,train\n2.png,x,validation\n3.png,x,train\n")
    source = opened(tmp_path)
    assert records(source) == {"train": [("1.png", 1), ("3.png", 0)], "val": [("2.png", 0)], "test": [("0.png", 0)]}
    assert source.notices == ("val has no sample of 'y'", "test has no sample of 'y'")
    write(tmp_path / "a.csv", "file,label,split\n0.png,x,later\n")
    with pytest.raises(DataError, match="A split is one of train, val, .*a.csv, line 2: received 'later'"):
        open_image_table(tmp_path)


def test_table_for_each_split_is_read(tmp_path):
    draw(tmp_path, "train/0.png", "train/1.png", "test/0.png")
    write(tmp_path / "test.csv", "id,label\n0,b\n")
    write(tmp_path / "train.csv", "id,label\n0,a\n1,b\n")
    source = opened(tmp_path)
    assert records(source) == {"train": [("train/0.png", 0), ("train/1.png", 1)], "test": [("test/0.png", 1)]}
    write(tmp_path / "test.csv", "id,label,split\n0,b,test\n")
    with pytest.raises(DataError, match="test.csv can be read in two ways: as test, by its place, or by its column"):
        open_image_table(tmp_path)
    write(tmp_path / "test.csv", "id,a,b\n0,1,0\n")
    with pytest.raises(DataError, match="the same columns of labels. Received: train.csv: label; test.csv: a, b"):
        open_image_table(tmp_path)


LISTED = {"all": [("a.png", 1), ("b.png", 0)]}


@pytest.mark.parametrize(
    ("content", "notices"),
    [
        ("file;label\na.png;dog\nb.png;cat\n", ("a.csv is separated by semicolons",)),
        ("\ufefffile\tlabel\na.png\tdog\nb.png\tcat\n", ("a.csv is separated by tabs",)),
        ("file|label\na.png|dog\nb.png|cat\n", ("a.csv is separated by vertical bars",)),
        (
            ",file,label\n0,a.png,dog\n1,b.png,cat\n",
            ("a.csv numbers its rows in a column without a name, which is left out",),
        ),
        ("a.png,dog\nb.png,cat\n", ("a.csv has no line of column names: its columns are called 0, 1",)),
        (
            "dog;a.png\ncat;b.png\n",
            ("a.csv is separated by semicolons; has no line of column names: its columns are called 0, 1",),
        ),
    ],
)
def test_list_of_any_spreadsheet_is_read_and_said(tmp_path, content, notices):
    draw(tmp_path, "a.png", "b.png")
    write(tmp_path / "a.csv", content)
    for source in (opened(tmp_path), opened(tmp_path / "a.csv")):
        assert (records(source), source.classes, source.notices) == (LISTED, ("cat", "dog"), notices)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("img,kind\na.png,dog\nb.png,cat\n", {"file_column": "img", "label_column": "kind"}),
        ("img;label\na;dog\nb;cat\n", {"file_column": "IMG"}),
        ("file,old,new\na.png,x,dog\nb.png,x,cat\n", {"label_column": "new"}),
        ("1,a.png,dog\n2,b.png,cat\n", {"file_column": "1", "label_column": "2"}),
        ("file,label,class\na.png,x,dog\nb.png,x,cat\n", {"label_column": "class"}),
    ],
)
def test_columns_that_the_user_names_are_read(tmp_path, content, columns):
    draw(tmp_path, "a.png", "b.png")
    write(tmp_path / "a.csv", content)
    assert is_image_table(tmp_path, **columns)
    assert records(open_image_table(tmp_path, **columns)) == LISTED
    assert not is_image_table(tmp_path, file_column="none")


@pytest.mark.parametrize("content", ["a.png,b.png\nb.png,a.png\n", "a.png,x,y\nb.png,y,x\n", "a,x\nb,y\nb,y\n"])
def test_columns_without_names_are_not_guessed(tmp_path, content):
    draw(tmp_path, "a.png", "b.png")
    assert not is_image_table(write(tmp_path / "a.csv", content))
    assert not is_image_table(tmp_path)


def test_columns_of_classes_are_matched_by_name_in_any_order(tmp_path):
    draw(tmp_path, *(f"{split}/{k}.png" for split in ("train", "test") for k in range(2)))
    write(tmp_path / "train.csv", "id,dog,cat,10\n0,1,0,0\n1,0,1,1\n")
    write(tmp_path / "test.csv", "cat,id,10,dog\n1,0,1,0\n0,1,0,1\n")
    source = opened(tmp_path)
    assert source.classes == ("10", "cat", "dog")
    assert source.targets.tolist() == [
        [False, False, True],
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
    write(tmp_path / "test.csv", "id,dog,fox,10\n0,1,0,0\n")
    with pytest.raises(
        DataError, match="same columns of labels. Received: train.csv: dog, cat, 10; test.csv: dog, fox"
    ):
        open_image_table(tmp_path)


def test_order_of_columns_of_classes_does_not_change_the_classes(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    found = []
    for header, rows in (("file,x,y", "a.png,1,0\nb.png,1,1\n"), ("file,y,x", "a.png,0,1\nb.png,1,1\n")):
        write(tmp_path / "a.csv", f"{header}\n{rows}")
        source = opened(tmp_path)
        found.append((source.classes, source.targets.tolist()))
    assert found == [(("x", "y"), [[True, False], [True, True]])] * 2


def test_labels_that_differ_in_spaces_alone_are_refused_not_merged(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    write(tmp_path / "a.csv", "file,label\na.png,cat\nb.png,cat \n")
    with pytest.raises(
        DataError, match="differ in more than the spaces around them. .*line 3: received 'cat' and 'cat '"
    ):
        opened(tmp_path)


def test_hugging_faces_metadata_in_the_folder_of_each_split(tmp_path):
    draw(tmp_path, "train/0.png", "train/1.png", "validation/0.png")
    write(tmp_path / "train" / "metadata.csv", "file_name,label\n0.png,a\n1.png,b\n")
    write(tmp_path / "validation" / "metadata.jsonl", json.dumps({"file_name": "0.png", "label": "b"}))
    assert records(opened(tmp_path)) == {
        "train": [("train/0.png", 0), ("train/1.png", 1)],
        "val": [("validation/0.png", 1)],
    }
    write(tmp_path / "train" / "metadata.jsonl", '{"file_name": "0.png", "label": "a"}')
    with pytest.raises(DataError, match="read in 2 ways: train/metadata.csv, train/metadata.jsonl"):
        open_image_table(tmp_path)


def test_names_may_lie_in_the_one_folder_that_holds_them(tmp_path):
    draw(tmp_path, "images/0.png", "images/1.png")
    write(tmp_path / "labels.csv", "id,label\nabsent,a\n0,a\n1,b\n")
    with pytest.raises(DataError, match=r"lists 1 files that are not there: 'absent' in line 2. Looked in .*images"):
        open_image_table(tmp_path / "labels.csv")
    write(tmp_path / "labels.csv", "id,label\n0,a\n1,b\n")
    assert records(opened(tmp_path)) == {"all": [("images/0.png", 0), ("images/1.png", 1)]}
    draw(tmp_path, "masks/0.png")
    with pytest.raises(DataError, match="labels.csv can be read in 2 ways: '0' lies in images and in masks"):
        open_image_table(tmp_path)


def test_two_lists_are_an_error_that_shows_both(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    for name in ("labels.csv", "metadata.csv"):
        write(tmp_path / name, "file_name,label\na.png,x\nb.png,y\n")
    with pytest.raises(DataError, match="can be read in 2 ways: labels.csv, metadata.csv all list images"):
        opened(tmp_path)
    assert len(opened(tmp_path / "labels.csv")) == 2


def test_column_for_each_class_gives_several_labels(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.png")
    write(tmp_path / "a.csv", "image,sun,sea,split\na.png,1,0.0,train\nb.png,1.0,1,train\nc.png,0,0,test\n")
    source = opened(tmp_path)
    assert (source.task, source.classes) == ("multi-label", ("sea", "sun"))
    assert source.targets.dtype == np.bool_
    assert source.targets.tolist() == [[False, True], [True, True], [False, False]]
    assert source.read(1).target.tolist() == [True, True]
    assert source.read(1).target.shape == (2,)
    assert source.notices == ("test has no sample of 'sea', 'sun'",)
    write(tmp_path / "a.csv", "image,sun,sea,split\na.png,1,0,train\nb.png,2,1,train\n")
    with pytest.raises(DataError, match="a.csv: received 0 and 1 in 'sea'; numbers in 'sun'. Name columns"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("a.csv", "image,labels\na.png,sun|sea\nb.png,\nc.png, sea \n"),
        ("a.csv", "image,tags\na.png,sea; sun;sea\nb.png,;\nc.png,sea\n"),
        (
            "a.jsonl",
            "".join(
                json.dumps({"image": name, "labels": labels}) + "\n"
                for name, labels in (("a.png", ["sun", "sea"]), ("b.png", None), ("c.png", ["sea"]))
            ),
        ),
    ],
)
def test_tags_give_several_labels(tmp_path, table, content):
    draw(tmp_path, "a.png", "b.png", "c.png")
    write(tmp_path / table, content)
    source = opened(tmp_path)
    assert (source.task, source.classes) == ("multi-label", ("sea", "sun"))
    assert source.targets.tolist() == [[True, True], [False, False], [True, False]]


def test_one_label_each_in_a_task_of_several_is_noticed(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    write(tmp_path / "a.csv", "image,tags\na.png,x\nb.png,y\n")
    assert "each sample has exactly one label" in opened(tmp_path).notices[-1]


def test_skipped_columns_and_images_are_reported(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.png", "more/d.png", ".hidden/e.png")
    write(tmp_path / "a.csv", "file,label,age\na.png,x,3\nb.png,y,4\n./a.png,x,3\n")
    source = opened(tmp_path)
    assert source.notices == (
        "columns that are not labels were skipped: age",
        "rows that repeat another were skipped: 1",
        "images that no table names were skipped: 2, first 'c.png'",
    )
    assert (len(source), num_left_out(source)) == (2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na.png,x\nno.png,y\nnor.png,y\n", "lists 2 files that are not there: 'no.png' in line 3, 'nor"),
        ("file,label\na.png,x\na.txt,y\n", r"lists 1 files that are not images \(.bmp, .*: 'a.txt' in line 3"),
        ("file,label\na.png,x\nout.png,y\n", "lists 1 files that lead out of its folder through a link: 'out.png'"),
        ("file,label\na.png,x\noutside/z.png,y\n", "that lead out of its folder through a link: 'outside/z.png'"),
        ("file,label\na.png,x\n" + "n" * 5000 + ".png,y\n", "lists 1 files that are not there"),
        ("file,label\n../z.png,x\n", "names files below its own folder. .*a.csv, line 2: received '../z.png'"),
        ("file,label\n..\\z.png,x\n", r"below its own folder. .*received '..\\\\z.png'"),
        ("file,label\n/etc/z.png,x\n", "below its own folder. .*received '/etc/z.png'"),
        ("file,label\nC:\\z.png,x\n", "below its own folder. .*received 'C:"),
        ("file,label\na.png,x\n,x\n", "below its own folder. .*line 3: received ''"),
        ("file,label\na.png,x\nb.png,\n", "Each file needs one label. .*line 3: received '' in column 'label'"),
        ("file,label\na.png,x\na.png,y\n", "a.png has x in .*line 2, and y in .*line 3. Remove one"),
        ("file,label,split\na.png,x,train\na.png,x,test\n", r"belongs to one split. a.png is in train \(.*line 2\)"),
        ("file,label,split\na.png,1.5,train\nb.png,x,tset\n", "A split is one of .*line 3: received 'tset'"),
        ("file,path,label\na.png,a.png,x\n", "in 2 ways: each of 'file', 'path' can be the column of the file"),
        ("file,label,target\na.png,x,3\n", "in 2 ways: each of 'label', 'target' can be the column of the label"),
        ("file,labels\na.png,x|y;z\n", "read in two ways: its labels are separated by '|' or by ';'"),
        ("file,label\na.png,x\nb.png\n", "one value for each column. .*line 3: received 1 values"),
        ("file,label\ntwin,x\n", "'twin' can mean twin.bmp or twin.png. .*line 2. Write it with its extension"),
    ],
)
def test_wrong_list_says_where(tmp_path, content, message):
    draw(tmp_path / "elsewhere", "z.png")
    root = tmp_path / "set"
    draw(root, "a.png", "b.png", "twin.png", "twin.bmp")
    write(root / "a.txt", "x")
    (root / "out.png").symlink_to(tmp_path / "elsewhere" / "z.png")
    (root / "outside").symlink_to(tmp_path / "elsewhere")
    write(root / "a.csv", content)
    with pytest.raises(DataError, match=message):
        opened(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"file": "a.png", "label": ["x", "y"]}',
            r"needs one label. .*received .* for several labels name the column",
        ),
        ('{"file": "a.png", "label": null}', "needs one label. .*received 'None'"),
        ('{"file": ["a.png"], "label": "x"}', "below its own folder. .*received "),
        ('{"file": "a.png", "tags": [["x"]]}', "Labels are text, or a list of text. .*received "),
        ('{"file": "a.png", "tags": {"x": 1}}', "Labels are text, or a list of text. .*received "),
    ],
)
def test_json_that_is_not_a_label_or_name(tmp_path, content, message):
    draw(tmp_path, "a.png")
    with pytest.raises(DataError, match=message):
        open_image_table(write(tmp_path / "a.jsonl", content))


def test_links_within_the_folder_are_followed(tmp_path):
    draw(tmp_path, "real/a.png")
    (tmp_path / "b.png").symlink_to("real/a.png")
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "dangling.png").symlink_to("gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    write(tmp_path / "a.csv", "file,label\nb.png,x\nlinked/a.png,y\n")
    source = opened(tmp_path)
    assert records(source) == {"all": [("b.png", 0), ("linked/a.png", 1)]}
    assert source.notices == ("images that no table names were skipped: 1, first 'real/a.png'",)


def test_unreadable_folder_is_named(tmp_path, monkeypatch):
    draw(tmp_path, "a.png")
    table = write(tmp_path / "a.csv", "file,label\na.png,x\n")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=f"{tmp_path} can't be read: Permission denied. Allow reading it"):
        open_image_table(table)


def test_list_without_its_columns_is_named(tmp_path):
    draw(tmp_path, "a.png")
    table = write(tmp_path / "a.csv", "picture,label\na.png,x\n")
    assert not is_image_table(tmp_path)
    with pytest.raises(
        DataError, match=r"needs a column for the file: file_name, .*a.csv: received picture, label. Rename"
    ):
        open_image_table(table)
    with pytest.raises(DataError, match=r"holds no list of images: a .csv, .tsv or .jsonl file with a column"):
        open_image_table(tmp_path)
    write(table, "file,breed\na.png,x\n")
    assert not is_image_table(table)
    with pytest.raises(DataError, match=r"needs a column for the label: label, class, .*csv: received file, breed"):
        open_image_table(table)


def test_too_many_classes_or_cells_are_refused(tmp_path, monkeypatch):
    draw(tmp_path, "a.png", "b.png")
    monkeypatch.setattr("neocog.dataset.labels.MAX_CLASSES", 1)
    write(tmp_path / "a.csv", "file,label\na.png,x\nb.png,y\n")
    with pytest.raises(DataError, match="At most 1 classes are read. .*received 2 different labels, first 'x', 'y'"):
        opened(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(columns, "MAX_CELLS", 3)
    write(tmp_path / "a.csv", "file,labels\na.png,x\nb.png,y\n")
    with pytest.raises(DataError, match="Samples times classes may be at most 3. .*received 2 samples and 2 classes"):
        opened(tmp_path)


def test_image_that_is_gone_or_not_a_file_is_named(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    write(tmp_path / "a.csv", "file,label\na.png,x\nb.png,y\n")
    source = opened(tmp_path)
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="a.png is not a plain file. Replace or remove it"):
        source.read(0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.csv", "text,label\nso good,1\n"),
        ("train.csv", "id,text,label\n5,so good,1\n"),
        ("train.csv", "id,review,label\n5\n"),
        ("sounds.csv", "filename,category\na.wav,dog\n"),
        ("X_TRAIN.tsv", "1\t0.5\t0.25\n2\t0.5\t0.5\n"),
        ("train.csv", "id,a,b\n0,3,5\n"),
        ("a.csv", ""),
        ("a.csv", "\0\0"),
        ("a.jsonl", "{"),
        ("a.txt", "file,label\na.png,x\n"),
        ("metadata.jsonl", '{"file_name": "a.png", "objects": {"bbox": []}}'),
    ],
)
def test_other_tables_are_not_claimed(tmp_path, name, content):
    draw(tmp_path, "a.png")
    assert not is_image_table(write(tmp_path / name, content))
    assert not is_image_table(tmp_path)
    assert not is_image_table(tmp_path / "absent")


@given(st.binary(max_size=80), st.sampled_from(["file,label\n", "file,a,b\n", "id,labels\n", ""]))
def test_any_bytes_are_a_list_or_a_data_error(tmp_path_factory, content, header):
    root = tmp_path_factory.mktemp("set")
    draw(root, "a.png")
    (root / "a.csv").write_bytes(header.encode() + content)
    is_image_table(root)
    try:
        source = open_image_table(root / "a.csv")
    except DataError:
        return
    assert all(source.read(i).payload for i in range(len(source)))


def class_folders(root, *names):
    draw(root, *(f"{name}/{k}.png" for name in names for k in range(2)))
    return root


@pytest.mark.parametrize(
    "content",
    [
        "wolf\nape\nbee\n",
        "\ufeffwolf\r\nape\r\n\r\nbee",
        "1 ape\n0 wolf\n2 bee\n",
        "wolf\t0\nape\t1\nbee\t2",
    ],
)
def test_class_map_orders_the_folders(tmp_path, content):
    root = class_folders(tmp_path, "ape", "bee", "cow", "wolf")
    write(root / "class_map.txt", content)
    assert has_class_map(root)
    source = ClassMap(root)
    assert source.classes == ("wolf", "ape", "bee")
    assert (source.task, open_source(root).format, source.modality) == ("classification", "class-map", "image")
    expected = [("ape/0.png", 1), ("ape/1.png", 1), ("bee/0.png", 2), ("bee/1.png", 2), ("wolf/0.png", 0)]
    assert records(source)["all"] == [*expected, ("wolf/1.png", 0)]
    assert source.notices == ("folders that class_map.txt does not name were skipped, with their images: cow (2)",)
    check_trainable(source)
    assert source.read(4).payload == (root / "wolf" / "0.png").read_bytes()
    assert fingerprint(source) != fingerprint(ImageFolder(root))


def test_class_map_keeps_splits(tmp_path):
    class_folders(tmp_path / "train", "ape", "bee", "cow")
    class_folders(tmp_path / "test", "ape", "cow")
    write(tmp_path / "test" / "ape" / "notes.txt", "x")
    write(tmp_path / "class_map.txt", "cow\nbee\n")
    source = ClassMap(tmp_path)
    assert {split: source.targets[i].tolist() for split, i in source.splits.items()} == {
        "train": [1, 1, 0, 0],
        "test": [0, 0],
    }
    assert source.notices == (
        "test has no sample of 'bee'",
        "files other than images were skipped: 1 .txt",
        "folders that class_map.txt does not name were skipped, with their images: ape (4)",
    )


def test_names_with_numbers_are_names(tmp_path):
    class_folders(tmp_path, "class 0", "class 1", "n01 12")
    write(tmp_path / "class_map.txt", "class 1\nn01 12\nclass 0\n")
    assert ClassMap(tmp_path).classes == ("class 1", "n01 12", "class 0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a class on each line.*class_map.txt: received no lines"),
        (b"ape\nape\n", "names each class once. .*received 'ape' 2 times"),
        (b"ape\ncow\n", "a folder of its own. .*class_map.txt: received 1 classes without one: 'cow'. Add the folders"),
        (b"0 ape\n1 cow\n", "received 1 classes without one: 'cow'"),
        (b"1 ape\n2 bee\n", "received 2 classes without one: '1 ape', '2 bee'"),
        (b"ape\n\xff\n", "A class map must be UTF-8 text. .*class_map.txt: received .*0xff.*Save it as UTF-8"),
        (b"0 1\n1 2\n2 0\n", "read in 2 ways: as 1, 2, 0 or 2, 0, 1. Write the names alone"),
        (b"x" * 200, "at most 100 bytes. .*class_map.txt: received 200"),
    ],
)
def test_wrong_class_map_is_named(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(image_folder_module, "MAX_BYTES", 100)
    class_folders(tmp_path, "ape", "bee", "0", "1", "2")
    (tmp_path / "class_map.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        ClassMap(tmp_path)


def test_class_map_needs_folders_of_images(tmp_path):
    write(tmp_path / "class_map.txt", "a\nb\n")
    assert not has_class_map(tmp_path)
    assert not has_class_map(tmp_path / "absent")
    with pytest.raises(DataError, match="can't be read: No such file"):
        image_folder_module.read_class_map(tmp_path / "absent.txt", ())
