"""Members with further dots in their names, and labels as they are written in members."""

import gc
import warnings

import numpy as np
import pytest
import webdataset

from neocog.data.open import open_source
from neocog.errors import DataError
from neocog.shards import open as opening
from neocog.shards import open_shards

LAST_DOT = "keys end at the last dot of the members' names, and not at the first"


@pytest.fixture
def shard(tmp_path, tar, png):
    """Write one shard: a PNG for each name that ends so, for other names the given bytes or a class by turns."""

    def write(*names, name="train-000000.tar", **contents):
        members = {}
        for place, member in enumerate(names):
            label = str(place // 2 % 2).encode()
            members[member] = contents.get(member) or (png(place) if member.lower().endswith("png") else label)
        (tmp_path / name).write_bytes(tar(members))
        return tmp_path

    return write


def found(source):
    return {source.key(k).partition("/")[2]: source.read(k).target for k in range(len(source))}


@pytest.mark.parametrize(
    ("names", "expected", "notice"),
    [
        (
            ("a.2024.05.png", "a.2024.05.cls", "a.2024.06.png", "a.2024.06.cls", "b.1.png", "b.1.cls"),
            {"a.2024.05": 0, "a.2024.06": 1, "b.1": 0},
            f"{LAST_DOT}: a.2024.05.png has the key a.2024.05, as in 3",
        ),
        (
            ("0001.input.png", "0001.cls", "0002.input.png", "0002.cls"),
            {"0001": 0, "0002": 1},
            "members are known by their last suffix: 0001.input.png has the key 0001, as in 2",
        ),
        (
            ("1.in.png", "1.out.cls", "2.in.png", "2.out.cls"),
            {"1": 0, "2": 1},
            "members are known by their last suffix: 1.in.png has the key 1, as in 2",
        ),
        (
            tuple(f"frame.{k:04}.{kind}" for k in range(6) for kind in ("png", "cls")),
            {f"frame.{k:04}": k % 2 for k in range(6)},
            f"{LAST_DOT}: frame.0000.png has the key frame.0000, as in 6",
        ),
        (
            ("v1.2/x.y/IMG.2.PNG", "v1.2/x.y/IMG.2.CLS", "v1.2/x.y/b.png", "v1.2/x.y/b.cls"),
            {"v1.2/x.y/IMG.2": 0, "v1.2/x.y/b": 1},
            f"{LAST_DOT}: v1.2/x.y/IMG.2.PNG has the key v1.2/x.y/IMG.2, as in 1",
        ),
        (
            ("1.png", "1.cls", "1.depth.png", "1.depth.txt", "2.png", "2.cls"),
            {"1": 0, "2": 0},
            "members beside a record's payload are not read: depth.png (1), depth.txt (1)",
        ),
    ],
)
def test_dotted_names_are_read_if_they_pair_up_in_one_way(shard, names, expected, notice):
    folder = shard(*names)
    source = open_source(folder)
    assert (source.format, found(source)) == ("shards", expected)
    assert source.notices[0] == notice


def test_records_with_dotted_names_keep_their_own_images(shard, png):
    source = open_shards(shard("a.1.png", "a.1.cls", "a.2.png", "a.2.cls", "b.x.png", "b.cls"))
    assert [source.read(k).payload for k in (2, 0, 1)] == [png(4), png(0), png(2)]
    assert [r.payload for r in source.read_many(np.array([1, 0]))] == [png(2), png(0)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("1.left.png", "1.right.png", "1.cls"),
            r"one name up to the first dot: .* .*received '1.left.png', '1.right.png' and 1 more, .* Rename",
        ),
        (
            ("1.png", "1.cls", "1.copy.png", "1.copy.cls"),
            "received '1.png', '1.cls' and 2 more, which can't be paired",
        ),
        (("1.a.png", "1.a.cls", "1.b.json"), "received '1.a.png', '1.a.cls' and 1 more, which can't be paired"),
        (("1.a.png", "1.b.png", "1.a.cls", "1.b.cls"), "'1.a.png', '1.b.png' and 2 more do not. Sort the names"),
        (("1.seg.png", "1.cls"), "A record needs an image, a sound, an array or a text"),
    ],
)
def test_dotted_names_that_do_not_pair_up_are_refused(shard, names, message):
    with pytest.raises(DataError, match=message):
        open_source(shard(*names))


def test_plain_names_have_the_keys_of_webdataset(shard):
    names = [f"{stem}.{kind}" for stem in ("a/b.c/1", "2-x", "é_3") for kind in ("png", "cls")]
    folder = shard(*names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        path = str(folder / "train-000000.tar")
        samples = list(webdataset.WebDataset([path], shardshuffle=False, empty_check=False))
        gc.collect()
    source = open_shards(folder)
    assert found(source) == {sample["__key__"]: int(sample["cls"]) for sample in samples}
    assert source.notices == ()


def test_cached_index_of_an_earlier_version_is_rebuilt(foreign, cache, monkeypatch):
    open_shards(foreign)
    monkeypatch.setattr(opening, "READING", "1")
    open_shards(foreign)
    assert len(list((cache / "neocog" / "indexes").iterdir())) == 2


def labelled(*labels):
    members = {}
    for place, label in enumerate(labels):
        members |= {f"{place}.txt": b"word", f"{place}.cls": label.encode()}
    return members


@pytest.mark.parametrize(
    ("labels", "classes", "targets"),
    [
        (("2", "0", "1"), ("0", "1", "2"), [2, 0, 1]),
        (("007", "7", "007", "10"), ("007", "7", "10"), [0, 1, 0, 2]),
        (("02", "00", "10", "01"), ("00", "01", "02", "10"), [2, 0, 3, 1]),
        (("1_0", "+7", "dog"), ("+7", "1_0", "dog"), [1, 0, 2]),
        (("٣", "三"), ("٣", "三"), [0, 1]),
        (("1", "3", "3"), ("1", "3"), [0, 1, 1]),
    ],
)
def test_class_names_keep_their_spelling(tmp_path, tar, labels, classes, targets):
    (tmp_path / "a.tar").write_bytes(tar(labelled(*labels)))
    source = open_shards(tmp_path)
    assert (source.classes, source.targets.tolist()) == (classes, targets)
    assert [source.classes[source.read(k).target] for k in range(len(labels))] == list(labels)
    left = [notice for notice in source.notices if "not classes" in notice]
    assert left == (["labels without a sample are not classes: 0, 2"] if labels == ("1", "3", "3") else [])


@pytest.mark.parametrize(
    ("lines", "labels", "classes"),
    [
        ("a b c", ("0", "2", "1"), ["a", "c", "b"]),
        ("a b c", ("00", "02", "01"), ["a", "c", "b"]),
        ("1 2 3", ("1", "3", "2"), ["1", "3", "2"]),
        ("1 2 3", ("0", "2", "1"), ["1", "3", "2"]),
        ("007 7 8", ("007", "7", "8"), ["007", "7", "8"]),
    ],
)
def test_labels_number_or_name_lines_of_classes_txt(tmp_path, tar, lines, labels, classes):
    (tmp_path / "classes.txt").write_text(lines.replace(" ", "\n"))
    (tmp_path / "a.tar").write_bytes(tar(labelled(*labels)))
    source = open_shards(tmp_path)
    assert source.classes == tuple(lines.split())
    assert [source.classes[source.read(k).target] for k in range(3)] == classes


@pytest.mark.parametrize(
    ("lines", "labels", "message"),
    [
        ("1 2 3", ("1", "2"), r"read in two ways: the label 1 may be the class of this name, or number 1, .* is '2'"),
        ("a b", ("00", "0"), r"may not mean one class. Received: '00' and 0, which both are line 1 of classes.txt"),
        ("a b", ("a", "0"), r"Received: 'a' and 0, which both are line 1"),
        ("a b", ("0", "9"), r"Labels number the classes from 0 to 1. .*received 9"),
        ("1 2 5", ("0", "5"), r"Labels number the classes from 0 to 2. Received: 5"),
        ("a b", ("0", "x"), r"one of the 2 classes: a, b. .*received 'x'.*Add it to classes.txt"),
    ],
)
def test_labels_that_do_not_fit_classes_txt_are_refused(tmp_path, tar, lines, labels, message):
    (tmp_path / "classes.txt").write_text(lines.replace(" ", "\n"))
    (tmp_path / "a.tar").write_bytes(tar(labelled(*labels)))
    with pytest.raises(DataError, match=message):
        open_shards(tmp_path)
