import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.data import check_trainable, describe, fingerprint, open_source
from neocog.dataset.record import num_left_out
from neocog.errors import DataError
from neocog.modalities.text.text_folder import MAX_BYTES, TextFolder, holds_texts
from neocog.modalities.text.text_table import is_text_table, open_text_table

REVIEWS = b'text,label\n"A film, of sorts",1\n,0\nBad ,0\n"two\nlines",1\n'


def table(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def texts(folder, **files):
    """One file for each text; `train__pos__a` becomes train/pos/a.txt."""
    for name, content in files.items():
        table(folder / f"{name.replace('__', '/')}.txt", content)
    return folder


def test_table_gives_its_rows(tmp_path):
    source = open_source(table(tmp_path / "reviews.csv", REVIEWS))
    assert (source.name, source.modality, source.task, source.format) == (
        "reviews", "text", "classification", "text-table",
    )  # fmt: skip
    assert source.classes == ("0", "1") and source.targets.tolist() == [1, 0, 0, 1]
    assert [source.read(i).payload for i in range(4)] == ["A film, of sorts", "", "Bad ", "two\nlines"]
    assert [source.key(i) for i in range(4)] == [f"reviews.csv#{line}" for line in (2, 3, 4, 5)]
    assert (source.read(3).key, source.read(3).target) == ("reviews.csv#5", 1)
    assert source.splits["all"].tolist() == [0, 1, 2, 3] and source.splits.keys() == {"all"}
    assert describe(source) == "reviews (text-table): 4 samples; 2 classes: 0, 1"
    check_trainable(source)


def test_tab_separated_and_json_tables_are_the_same(tmp_path):
    rows = [("good", "yes", "train"), ("bad", "no", "test"), ("so so", "no", "valid")]
    lines = ["Split\tReview\tSentiment", *(f"{split}\t{text}\t{label}" for text, label, split in rows)]
    tsv = open_text_table(table(tmp_path / "a.tsv", "\n".join(lines).encode()))
    objects = [json.dumps({"Sentiment": label, "Review": text, "Split": split}) for text, label, split in rows]
    jsonl = open_text_table(table(tmp_path / "a.jsonl", "\n".join(objects).encode()))
    for source in (tsv, jsonl):
        assert {split: indices.tolist() for split, indices in source.splits.items()} == {
            "train": [0], "val": [2], "test": [1],
        }  # fmt: skip
        assert source.classes == ("no", "yes")
        assert [source.read(i).payload for i in range(3)] == ["good", "bad", "so so"]
        assert "train has no sample of 'no'" in source.notices


def test_labels_of_json_may_be_numbers_or_truths(tmp_path):
    rows = [{"text": "a", "label": 10}, {"text": "b", "label": 9}]
    source = open_text_table(table(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)).encode()))
    assert source.classes == ("9", "10") and source.targets.tolist() == [1, 0]
    rows = [{"text": "a", "label": True}, {"text": "b", "label": False}]
    source = open_text_table(table(tmp_path / "b.jsonl", "\n".join(map(json.dumps, rows)).encode()))
    assert source.classes == ("false", "true")


def test_folder_has_a_table_for_each_split(tmp_path):
    folder = tmp_path / "set"
    table(folder / "train.csv", REVIEWS)
    table(folder / "Validation.csv", b"content,class\nfine,1\n")
    table(folder / "test.jsonl", b'{"text": "worse", "label": "0"}\n')
    table(folder / "notes.csv", b"a,b\n1,2\n")
    assert is_text_table(folder)
    source = open_text_table(folder)
    assert source.name == "set"
    assert {split: indices.tolist() for split, indices in source.splits.items()} == {
        "train": [0, 1, 2, 3], "val": [4], "test": [5],
    }  # fmt: skip
    assert [source.key(i) for i in (0, 4, 5)] == ["train.csv#2", "Validation.csv#2", "test.jsonl#1"]
    assert source.read(4).target == 1


def test_folder_may_have_a_single_table(tmp_path):
    folder = table(tmp_path / "mr" / "reviews.csv", REVIEWS).parent
    (folder / "README").write_bytes(b"text,label")
    assert is_text_table(folder)
    source = open_text_table(folder)
    assert (source.name, source.splits["all"].tolist(), source.key(0)) == ("mr", [0, 1, 2, 3], "reviews.csv#2")
    table(folder / "more.csv", REVIEWS)
    assert not is_text_table(folder)
    with pytest.raises(DataError, match="has one named train"):
        open_text_table(folder)


def test_fingerprint_knows_the_texts(tmp_path):
    first = fingerprint(open_text_table(table(tmp_path / "a.csv", REVIEWS)))
    shutil.copytree(tmp_path, tmp_path / "again")
    assert first == fingerprint(open_text_table(tmp_path / "again" / "a.csv"))
    assert first != fingerprint(open_text_table(table(tmp_path / "a.csv", REVIEWS.replace(b"Bad", b"Sad"))))


@pytest.mark.parametrize(
    ("name", "content", "claimed"),
    [
        ("a.csv", REVIEWS, True),
        ("a.tsv", b"Tweet\tTARGET\nx\t1\n", True),
        ("a.jsonl", b'{"text": "x", "label": 1}\n', True),
        ("a.txt", REVIEWS, False),
        ("a.csv", b"", False),
        ("a.csv", b"\xff\xfe\0", False),
        ("a.csv", b"words,label\nx,1\n", False),
        ("a.csv", b"text,price\nx,1\n", False),
        ("a.tsv", b"1\t0.5\t0.7\n2\t0.5\t0.7\n", False),
        ("a.csv", b"file,text,label\na.png,a cat,cat\n", False),
        ("a.jsonl", b"[1]\n", False),
    ],
)
def test_table_is_recognised_by_its_header(tmp_path, name, content, claimed):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert is_text_table(table(tmp_path / name, content)) == claimed


def test_other_paths_are_not_tables(tmp_path):
    table(tmp_path / "test.csv", REVIEWS)
    assert not is_text_table(tmp_path) and not is_text_table(tmp_path / "missing")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            b"words,label\nx,1\n",
            r"needs a column for the text: text, sentence.*a\.csv: received words, label",
        ),
        ("a.csv", b"text,price\nx,1\n", "needs a column for the label: label, class.*received text, price"),
        ("a.csv", b"text,label\nx,\n", r"one label. .*a\.csv, line 2: received '' in column 'label'.*"),
        ("a.jsonl", b'{"text": "x", "label": [1]}', r"one label. .*received '\[1\]'"),
        ("a.jsonl", b'{"text": "x", "label": null}', "one label. .*received 'None'"),
        ("a.jsonl", b'{"text": 5, "label": 1}', r"must be letters. .*a\.jsonl, line 1: received '5'.*"),
        ("a.csv", b"text,label,split\nx,1,later\n", r"A split is one of train.*line 2: received 'later'"),
        ("a.csv", b"text,label,stars\nx,y,0.4\ny,,0.4\n", "Each text needs one label. .*line 3: received ''"),
        ("a.csv", b"text,label\n\xe9,1\n", "UTF-8 text. .*line 2: received byte 0xe9"),
        ("a.csv", b"text,label\nx,1,2\n", "one value for each column. .*received 3 values for 2 columns"),
        ("a.csv", b"text,label\n", "needs rows below its header"),
    ],
)
def test_table_that_cannot_be_meant_is_named(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        open_text_table(table(tmp_path / name, content))


GERMAN = 'Text;Label\r\n"Gut; sehr";1\r\nSo, so;0\r\n'


@pytest.mark.parametrize(
    ("name", "content", "notices"),
    [
        ("a.csv", GERMAN.encode("utf-8-sig"), ("a.csv is separated by semicolons",)),
        ("a.csv", GERMAN.encode("utf-16"), ("a.csv is separated by semicolons; is UTF-16",)),
        ("a.tsv", GERMAN.encode(), ("a.tsv is separated by semicolons",)),
        ("a.csv", b"Text\tLabel\nGut; sehr\t1\nSo, so\t0\n", ("a.csv is separated by tabs",)),
        ("a.csv", b"Text|Label\rGut; sehr|1\rSo, so|0\r", ("a.csv is separated by vertical bars",)),
        ("a.csv", b"sep=;\r\n" + GERMAN.encode(), ("a.csv is separated by semicolons",)),
        (
            "a.csv",
            b',Text,Label\n0,Gut; sehr,1\n1,"So, so",0\n',
            ("a.csv numbers its rows in a column without a name, which is left out",),
        ),
        ("a.csv", b'Id,Text,Label\nq,Gut; sehr,1\nr,"So, so",0\n', ("columns that are not read: Id",)),
    ],
)
def test_table_of_any_spreadsheet_is_read_and_said(tmp_path, name, content, notices):
    path = table(tmp_path / name, content)
    assert is_text_table(path)
    source = open_text_table(path)
    assert [(source.read(i).payload, source.classes[source.read(i).target]) for i in range(2)] == [
        ("Gut; sehr", "1"), ("So, so", "0"),
    ]  # fmt: skip
    assert source.notices == notices


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        (b"v1,v2\nham,hello you\nspam,win it\n", {"text_column": "v2", "label_column": "v1"}, ["ham", "spam"]),
        (b"V1;V2;;\nham;hello you;;\nspam;win it;;\n", {"text_column": "v2", "label_column": "v1"}, ["ham", "spam"]),
        (b"007,hello you\n07,win it\n", {"text_column": "1", "label_column": "0"}, ["007", "07"]),
        (b"text,mood\nhello you,a\nwin it,b\n", {"label_column": "mood"}, ["a", "b"]),
        (b"label,text,body\na,x,hello you\nb,y,win it\n", {"text_column": "body"}, ["a", "b"]),
    ],
)
def test_columns_that_the_user_names_are_read(tmp_path, content, columns, rows):
    path = table(tmp_path / "set" / "train.csv", content)
    for place in (path, path.parent):
        assert is_text_table(place, **columns)
        source = open_text_table(place, **columns)
        assert [(source.read(i).payload, source.classes[source.read(i).target]) for i in range(2)] == [
            ("hello you", rows[0]), ("win it", rows[1]),
        ]  # fmt: skip
    assert not is_text_table(path, text_column="none")


def test_columns_of_each_splits_table_that_are_not_read_are_reported(tmp_path):
    table(tmp_path / "train.csv", b"text,label,id,split\nx,a,7,train\ny,b,8,train\n")
    table(tmp_path / "test.csv", b"when;text;label\n2024;x;a\n2024;y;b\n")
    assert open_text_table(tmp_path).notices == (
        "test.csv is separated by semicolons",
        "columns that are not read: id, split, when",
    )


@pytest.mark.parametrize(
    ("train", "test", "columns"),
    [
        ("text,label\nx,a\ny,b\n", "text\nu\nv\nw\n", {}),
        ("id,text,label\n1,x,a\n2,y,b\n", "id;text\n1;u\n2;v\n3;w\n", {}),
        ("v1,v2\na,x\nb,y\n", "v2,v3\nu,1\nv,2\nw,3\n", {"text_column": "v2", "label_column": "v1"}),
    ],
)
def test_texts_of_a_test_without_labels_are_left_out_and_counted(tmp_path, train, test, columns):
    table(tmp_path / "train.csv", train.encode())
    table(tmp_path / "test.csv", test.encode())
    assert is_text_table(tmp_path, **columns)
    source = open_text_table(tmp_path, **columns)
    assert (list(source.splits), len(source), num_left_out(source)) == (["train"], 2, 3)
    assert "test.csv has no column of labels: its 3 texts are left out" in source.notices
    check_trainable(source)


@pytest.mark.parametrize("labels", [("cat", "cat "), (" cat", "cat"), ("cat", "\tcat")])
def test_labels_that_differ_in_spaces_alone_are_refused_not_merged(tmp_path, labels):
    rows = "".join(json.dumps({"text": "x", "label": label}) + "\n" for label in labels)
    with pytest.raises(DataError, match="differ in more than the spaces around them. .*line 2: received .*cat"):
        open_text_table(table(tmp_path / "a.jsonl", rows.encode()))
    path = table(tmp_path / "b.csv", b"text, label\nx, cat\ny, dog\nz, cat\n")
    assert open_text_table(path).classes == ("cat", "dog")


def test_names_of_columns_that_come_again_are_refused(tmp_path):
    path = table(tmp_path / "a.csv", b"text,label\nx,a\ntext,label\ny,b\n")
    with pytest.raises(DataError, match="A line repeats the names of the columns.*line 3"):
        open_text_table(path)


def test_folder_that_cannot_be_meant_is_named(tmp_path):
    table(tmp_path / "test.csv", REVIEWS)
    with pytest.raises(DataError, match="has one named train, such as train.csv.*has none"):
        open_text_table(tmp_path)
    table(tmp_path / "train.csv", REVIEWS)
    table(tmp_path / "train.tsv", REVIEWS)
    with pytest.raises(DataError, match=r"read in two ways: train\.csv and train\.tsv both mean train"):
        open_text_table(tmp_path)


@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from("abc")), min_size=1, max_size=8))
def test_texts_come_back_as_they_were_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("text") / "a.jsonl"
    rows = [(text.replace("\0", ""), label) for text, label in rows]
    lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
    source = open_text_table(table(path, "\n".join(lines).encode()))
    found = [(source.read(i).payload, source.classes[source.read(i).target]) for i in range(len(source))]
    assert found == rows


@given(st.binary(max_size=40), st.integers(0, len(REVIEWS)), st.integers(0, len(REVIEWS)))
def test_any_damage_ends_in_a_source_or_an_error(tmp_path_factory, patch, start, stop):
    path = table(tmp_path_factory.mktemp("text") / "a.csv", REVIEWS[:start] + patch + REVIEWS[stop:])
    is_text_table(path)
    try:
        source = open_text_table(path)
    except DataError:
        return
    assert all(isinstance(source.read(i).payload, str) for i in range(len(source)))


def test_folders_are_classes_and_splits(tmp_path):
    folder = texts(
        tmp_path / "aclImdb", train__pos__1="Schön!".encode(), train__neg__1=b"", train__unsup__1=b"?",
        test__pos__1=b"a", test__neg__deep__1=b"b",
    )  # fmt: skip
    (folder / "imdb.vocab").write_bytes(b"the")
    (folder / "README").write_bytes(b"the")
    assert holds_texts(folder)
    source = open_source(folder)
    assert (source.name, source.modality, source.task, source.format) == (
        "aclImdb", "text", "classification", "text-folder",
    )  # fmt: skip
    assert source.classes == ("neg", "pos") and source.targets.tolist() == [0, 1, 0, 1]
    assert {split: len(indices) for split, indices in source.splits.items()} == {"train": 2, "test": 2}
    assert [source.key(i) for i in range(4)] == [
        "train/neg/1.txt", "train/pos/1.txt", "test/neg/deep/1.txt", "test/pos/1.txt",
    ]  # fmt: skip
    assert (source.read(1).payload, source.read(1).target, source.read(0).payload) == ("Schön!", 1, "")
    assert source.notices == ("folders of texts without a class were skipped: unsup",)
    check_trainable(source)
    assert len(fingerprint(source)) == 16


def test_folders_without_splits_are_classes(tmp_path):
    folder = texts(tmp_path / "set", cats__a=b"meow", dogs__a=b"wuff", dogs__b=b"wuff")
    source = TextFolder(folder)
    assert source.splits["all"].tolist() == [0, 1, 2] and source.classes == ("cats", "dogs")
    assert source.targets.tolist() == np.repeat([0, 1], [1, 2]).tolist() and source.notices == ()


@pytest.mark.parametrize(
    "files",
    [
        {"a": b"x", "b": b"x"},
        {"only__a": b"x", "only__b": b"x"},
        {"train__signals__a": b"1 2", "test__signals__a": b"1 2"},
    ],
)
def test_other_folders_are_not_claimed(tmp_path, files):
    assert not holds_texts(texts(tmp_path / "set", **files))


def test_folders_with_images_beside_are_not_claimed(tmp_path):
    folder = texts(tmp_path / "set", cats__a=b"0 0.5 0.5 1 1", dogs__a=b"0 0.5 0.5 1 1")
    (folder / "cats" / "a.jpg").write_bytes(b"")
    assert not holds_texts(folder)
    assert not holds_texts(folder / "cats" / "a.txt") and not holds_texts(tmp_path / "missing")


def test_links_out_of_a_class_are_not_followed(tmp_path):
    folder = texts(tmp_path / "set", cats__a=b"meow", dogs__a=b"wuff")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (folder / "cats" / "b.txt").symlink_to(tmp_path / "secret.txt")
    source = TextFolder(folder)
    assert len(source) == 2
    assert source.notices == ("links that lead out of their folder were skipped: b.txt",)


def test_text_that_is_not_a_utf_8_is_named_with_its_place(tmp_path):
    source = TextFolder(texts(tmp_path / "set", cats__a=b"caf\xe9", dogs__a=b"\xef\xbb\xbfwuff"))
    with pytest.raises(DataError, match=r"must be UTF-8. .*cats/a\.txt: received byte 0xe9 at offset 3. Save it"):
        source.read(0)
    assert source.read(1).payload == "wuff"


def test_text_that_cannot_be_read_is_named(tmp_path):
    folder = texts(tmp_path / "set", cats__a=b"x", dogs__a=b"x")
    source = TextFolder(folder)
    with (folder / "cats" / "a.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 2**19)
    with pytest.raises(DataError, match=r"at most 16,777,216 bytes. .*a\.txt: received 17,\d+,\d+. Shrink"):
        source.read(0)
    (folder / "dogs" / "a.txt").unlink()
    with pytest.raises(DataError, match=r"dogs/a\.txt can't be read: No such file"):
        source.read(1)


def test_folder_without_texts_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no texts.* Put them at .*/train/CLASS/\*\.txt"):
        TextFolder(tmp_path)


SAMPLES = [
    ("a fine film, really", "pos"),
    ("so dull that I slept", "neg"),
    ("see it twice", "pos"),
    ("not at all", "neg"),
]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("a.csv", "".join(f'"{text}",{label}\n' for text, label in SAMPLES), (0, 1)),
        ("a.tsv", "".join(f"{label}\t{text}\n" for text, label in SAMPLES), (1, 0)),
        ("a.csv", "".join(f"{text};{label}\n" for text, label in SAMPLES), (0, 1)),
        ("a.csv", "".join(f'"{label == "pos":d}","{text}"\n' for text, label in SAMPLES), (1, 0)),
    ],
)
def test_table_of_texts_without_a_header_keeps_its_first_sample(tmp_path, name, content, where):
    source = open_text_table(table(tmp_path / name, content.encode()))
    assert [source.read(i).payload for i in range(4)] == [text for text, _ in SAMPLES]
    assert [source.classes[k] in ("pos", "1") for k in source.targets] == [True, False, True, False]
    texts, labels = where
    notice = f"{name} is read with its texts in column {texts} and its labels in column {labels}"
    assert f"{notice}, inferred from their content" in source.notices


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("".join(f'{label},"{text}","{text}"\n' for text, label in SAMPLES), id="two columns of texts"),
        pytest.param("".join(f'"{text}",{k / 7}\n' for k, (text, _) in enumerate(SAMPLES)), id="quantities"),
        pytest.param("".join(f'"{text}",not {label} at all\n' for text, label in SAMPLES), id="long labels"),
        pytest.param("0,1\n" + "".join(f'"{text}",{label == "pos":d}\n' for text, label in SAMPLES), id="numbered"),
        pytest.param("".join(f'"{text}.png",{label}\n' for text, label in SAMPLES), id="files"),
    ],
)
def test_columns_without_names_that_could_mean_something_else_are_not_guessed(tmp_path, content):
    assert not is_text_table(table(tmp_path / "a.csv", content.encode()))
