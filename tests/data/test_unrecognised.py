import numpy as np
import pytest
from PIL import Image

from neocog.data import open_source
from neocog.doctor import check
from neocog.errors import ConfigError, DataError

ALL = "All layouts are in docs/data.md."


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def draw(root, *names):
    for k, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 9 * k, np.uint8)).save(path, format="png")


def reason(path, **columns):
    """What is said, which is the same in `check`, begins with the reason, and does not list the layouts."""
    with pytest.raises(DataError) as caught:
        open_source(path, **columns)
    assert "No known layout" not in str(caught.value)
    found = [finding for finding in check(path, **columns).findings if finding.kind == "cannot-open"]
    assert [example.detail for finding in found for example in finding.examples] == [str(caught.value)]
    return str(caught.value)


NEEDS = "A table of texts needs a column of texts (text, sentence"


@pytest.mark.parametrize(
    ("content", "begins", "holds"),
    [
        (
            "v1,v2\nham,hello you\nspam,win it\n",
            NEEDS,
            ("{path}: received the columns v1, v2. Rename them, or set --data.text_column v2 --data.label_column v1."),
        ),
        ("v1;v2\nham;hello you\n", NEEDS, "{path}: received the columns v1, v2"),
        (
            "text,mood\nhello you,good\n",
            "A table of texts needs a column of labels (label",
            "--data.label_column mood.",
        ),
        (
            "words,label\nhello you,good\n",
            "A table of texts needs a column of texts",
            "or set --data.text_column words.",
        ),
        ("my text,mood\nhello you,good\n", NEEDS, "--data.text_column 'my text' --data.label_column mood"),
        (
            "hello you,good\nwhat for,bad\nis it,good\n",
            "A table begins with the names of its columns. ",
            (
                "{path}: received a first line that looks like a sample, 'hello you', 'good'. Add a line such as "
                "text,label above it, or set --data.text_column 0 --data.label_column 1."
            ),
        ),
        ("", "A table starts with a line that names its columns.", "{path}, line 1: received an empty file."),
        ("text,text\na,b\n", "Each column needs a name of its own", "Rename them"),
        (
            b"text,label\nx,1\n".decode().encode("utf-16-le"),
            "A table is UTF-8 text.",
            "{path}, line 1: received NUL bytes, as in UTF-16 without a byte order mark.",
        ),
        (
            "a,b,species\n5.1,3.2,setosa\n4.9,3,virginica\n",
            "A recording has the time in its first column (time",
            "the columns a, b, species, in {path}",
        ),
        ("a;b\n5,1;3,2\n4,9;3\n", "A recording has the time in its first column", "the columns a, b"),
    ],
)
def test_table_says_why_it_is_not_recognised(tmp_path, content, begins, holds):
    path = tmp_path / "a.csv"
    write(tmp_path, {"a.csv": content})
    message = reason(path)
    assert message.startswith(begins) and holds.format(path=path) in message and message.endswith(ALL)
    assert reason(tmp_path).startswith(begins)


def test_folder_of_only_train_says_the_tables_reason(tmp_path):
    write(tmp_path, {"train.csv": "v1,v2\nham,hello you\nspam,win it\n"})
    assert reason(tmp_path).startswith(NEEDS)
    message = reason(tmp_path, text_column="v3")
    assert message.startswith("data.text_column names a column of the table. ") and "received 'v3'" in message


@pytest.mark.parametrize("names", [("a.csv", "b.csv"), ("test.csv",), ("val.jsonl", "test.tsv")])
def test_tables_of_which_none_is_train(tmp_path, names):
    write(tmp_path, dict.fromkeys(names, "text\tlabel\nx\t1\n"))
    assert reason(tmp_path).startswith(
        f"A folder of tables has one named train, such as train.csv, or only one table. {tmp_path}: received "
        f"{', '.join(sorted(names))}."
    )


@pytest.mark.parametrize(
    ("content", "begins", "holds"),
    [
        (
            "img,kind\n0.png,x\n1.png,y\n",
            "A list of images needs a column for the file (file_name",
            (
                "the columns img, kind, in {path}. Rename them, or say which is which, such as --data.file_column img "
                "--data.label_column kind."
            ),
        ),
        (
            "img;label\n0.png;x\n",
            "A list of images needs a column",
            "--data.file_column img --data.label_column label",
        ),
        (
            "0.png,3,x\n1.png,4,y\n",
            "A list of images needs a column for the file",
            "named by their place because its first line looks like a sample. Add a line of names",
        ),
        (
            "file,label\n7,x\n",
            "A list names images that lie beside it",
            "Received: '7', 'x', the first row of {path}",
        ),
        ("", "A table starts with a line that names its columns", "{path}, line 1"),
        (
            "file,label\n\xe9.png,x\n".encode("cp1252"),
            "A table is UTF-8 text.",
            (
                "received byte 0xe9. Save it as UTF-8; if a spreadsheet wrote it as Windows-1252: "
                "iconv -f WINDOWS-1252 -t UTF-8 labels.csv > NEW.csv"
            ),
        ),
        ("file,age\n0.png,3\n", "A list of images needs a column for the file", "--data.label_column age"),
    ],
)
def test_table_beside_images_says_why_it_is_not_their_list(tmp_path, content, begins, holds):
    draw(tmp_path, "0.png", "1.png")
    write(tmp_path, {"labels.csv": content})
    message = reason(tmp_path)
    assert message.startswith(begins) and holds.format(path=tmp_path / "labels.csv") in message


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a.xlsx", "is a spreadsheet (.xlsx), which is not read. Save it as CSV (UTF-8)"),
        ("a.ODS", "is a spreadsheet (.ods)"),
        ("a.zip", "is an archive (.zip), which is not read. Unpack it, and give the folder"),
        ("a.rar", "is an archive (.rar)"),
        ("a.7z", "is an archive (.7z)"),
        ("a.v1.2.tar", "is an archive (.tar)"),
        ("a.mat", "is a file of arrays or tables of another program (.mat), which is not read. Save the arrays as x"),
        ("a.h5", "(.h5), which is not read. Save the arrays as x and y: numpy.savez"),
        ("a.pkl", "is a file of pickled objects (.pkl), which is not read. Nothing is unpickled"),
        ("a.pt", "Nothing is unpickled"),
        ("a.tfrecord", "Write its samples as tar or Parquet shards"),
        ("a.json", "is a JSON file (.json), which is not read. A table has one JSON object on each line"),
        ("a.mp4", "is a video (.mp4)"),
        ("a.pdf", "is a document (.pdf)"),
        ("a.png", "is a single image. A data set has many of them: FOLDER/CLASS/*.png."),
        ("a.WAV", "is a single sound. A data set has many of them: FOLDER/CLASS/*.wav."),
        ("a.txt", "is a single text"),
        ("a.gif", "is an image of a type that is not read (.gif). Convert to PNG"),
        ("a.heic", "is an image of a type that is not read (.heic)"),
        ("a.m4a", "is a sound of a type that is not read (.m4a). Convert to WAV or FLAC: ffmpeg -i FILE.m4a FILE.wav"),
    ],
)
def test_file_of_another_kind_is_called_by_its_name(tmp_path, name, what):
    write(tmp_path, {name: "x"})
    assert reason(tmp_path / name).startswith(f"{tmp_path / name} ") and what in reason(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("SMSSpamCollection", "ham\thello you\nspam\twin, win\nham\tno\n", "tabs"),
        ("a.txt", "text;label\ngood, really;1\nbad;0\n", "semicolons"),
        ("iris.data", "5.1,3.5,setosa\n4.9,3.0,setosa\n", "commas"),
    ],
)
def test_table_of_another_name_is_to_be_renamed(tmp_path, name, content, what):
    write(tmp_path, {name: content})
    assert reason(tmp_path / name).startswith(
        f"A table is called .csv, .tsv or .jsonl. Received: {tmp_path / name}, with columns separated by {what}."
    )


def test_images_in_one_folder_beside_a_table_are_a_list_that_does_not_fit(tmp_path):
    draw(tmp_path, "images/0.png", "images/1.png")
    write(tmp_path, {"labels.csv": "img,kind\n0.png,x\n1.png,y\n"})
    assert reason(tmp_path).startswith("A list of images needs a column for the file")
    assert open_source(tmp_path, file_column="img", label_column="kind").classes == ("x", "y")
    assert open_source(tmp_path, format="image-folder").classes == ("images",)
    draw(tmp_path, "more/0.png")
    assert open_source(tmp_path).classes == ("images", "more")


@pytest.mark.parametrize(
    ("content", "begins"),
    [
        ("x y\n1 2\n2 3\n", "A table in a class folder is a signal: a .csv file of numbers"),
        ("text\nhello you\n", "A table in a class folder is a signal"),
        ("", "A table starts with a line that names its columns. {path}/a/1.csv, line 1: received an empty file"),
    ],
)
def test_tables_by_class_that_are_not_signals(tmp_path, content, begins):
    write(tmp_path, {"a/1.csv": content, "b/1.csv": content})
    assert reason(tmp_path).startswith(begins.format(path=tmp_path))


def test_recording_without_column_names_is_told_to_name_them(tmp_path):
    write(tmp_path, {"a.csv": "".join(f"{k / 50:.2f},{k * k % 7 / 8},{'ab'[k // 9 % 2]}\n" for k in range(40))})
    assert reason(tmp_path / "a.csv").startswith("A recording begins with the names of its columns. Received: 0, 1, 2")


def test_table_beside_splits_is_not_their_list(tmp_path):
    draw(tmp_path, "train/a/0.png", "train/b/1.png")
    write(tmp_path, {"history.csv": "epoch,loss\n1,0.5\n"})
    assert open_source(tmp_path).classes == ("a", "b")


def test_empty_file_and_folder(tmp_path):
    write(tmp_path, {"a.png": ""})
    assert reason(tmp_path / "a.png").startswith(f"{tmp_path / 'a.png'} is empty")
    (tmp_path / "e").mkdir()
    assert reason(tmp_path / "e").startswith(f"{tmp_path / 'e'} is empty. Put images at")


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (
            ("0.png", "1.png"),
            "2 images in {root} itself, which has no folders. Move them to {root}/CLASS/*.png. Or list",
        ),
        (("0.wav",), "1 sound in {root} itself, which has no folders."),
        (("0.wav", "1.flac"), "2 sounds in {root} itself, which has no folders."),
        (("a.txt", "b.txt", "c/d.bin"), "2 texts in {root} itself, and no texts in its folders (c)."),
        (("a/1.gif", "b/2.gif"), "holds images of a type that is not read. Received: 2 .gif. Convert to PNG"),
        (("a/1.HEIC", "b/2.heic", "c/x.bin"), "Received: 2 .heic"),
        (("a/1.m4a",), "holds sounds of a type that is not read. Received: 1 .m4a. Convert to WAV or FLAC"),
        (("a.zip",), "holds no readable file. Received: 1 .zip: an archive. Unpack it"),
        (("a.tar.gz", "b.tar.gz", "c.md"), "Received: 2 .tar.gz: an archive"),
        (("x.xlsx",), "1 .xlsx: a spreadsheet. Save it as CSV"),
        (("a/1.mp4", "b/1.mp4"), "2 .mp4: a video. Extract frames"),
        (("a/1", "b/2"), "by the ends of their names, such as .png, .wav or .txt. Received: 2 files without"),
    ],
)
def test_folder_of_other_things_says_what_they_are(tmp_path, files, what):
    write(tmp_path, dict.fromkeys(files, "x"))
    assert what.format(root=tmp_path) in reason(tmp_path)


def test_layouts_are_listed_where_nothing_is_near(tmp_path):
    write(tmp_path, {"a/b.bin": "x", "a/c.bin": "x"})
    with pytest.raises(DataError, match=r"No known layout .* which holds a. Put images at .* idx, cifar, npz"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"label_column": "x"},
            "data.label_column names a column of a table. Received: 'x', for .*images in a folder",
        ),
        ({"text_column": "x"}, "data.text_column names a column of a table of texts"),
        ({"format": "image-folder", "file_column": "x"}, "data.file_column names a column of a table of files"),
    ],
)
def test_column_of_other_layouts_is_refused(tmp_path, columns, message):
    draw(tmp_path, "a/0.png", "b/1.png")
    with pytest.raises(ConfigError, match=f"A setting must have an effect. {message}"):
        open_source(tmp_path, **columns)
    with pytest.raises(ConfigError, match="A setting must have an effect"):
        open_source((np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]), label_column="x")
