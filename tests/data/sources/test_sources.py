import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from neocog.data import ArraySource, check_trainable, describe, fingerprint, open_source, sample_ids
from neocog.dataset.record import record_ids
from neocog.errors import DataError


def cifar10(folder, *, count=20, labels=None):
    folder.mkdir()
    generator = np.random.default_rng(0)
    (folder / "batches.meta.txt").write_text(
        "\n".join(["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"])
    )
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        rows = generator.integers(0, 256, (count, 3073), dtype=np.uint8)
        rows[:, 0] = np.arange(count) % 10 if labels is None else labels
        rows.tofile(folder / f"{name}.bin")
    return folder


def test_cifar10_planes_become_channels(tmp_path):
    folder = cifar10(tmp_path / "c")
    source = open_source(folder)
    assert (len(source.splits["train"]), len(source.splits["test"])) == (100, 20)
    assert source.classes[3] == "cat"
    raw = np.fromfile(folder / "test_batch.bin", np.uint8).reshape(-1, 3073)[4]
    record = source.read(104)
    assert (record.key, record.target) == ("test/4", raw[0])
    assert record.payload[5, 9].tolist() == [raw[1 + plane * 1024 + 5 * 32 + 9] for plane in range(3)]


def test_cifar10_is_found_in_its_published_folder(tmp_path):
    (tmp_path / "cifar10").mkdir()
    cifar10(tmp_path / "cifar10" / "cifar-10-batches-bin")
    assert open_source(tmp_path / "cifar10").name == "cifar10"


def test_cifar100_takes_the_fine_label(tmp_path):
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"class{k}" for k in range(100)))
    rows = np.zeros((200, 3074), np.uint8)
    rows[:, 1] = np.arange(200) % 100
    for name in ("train.bin", "test.bin"):
        rows.tofile(tmp_path / name)
    source = open_source(tmp_path)
    assert len(source.classes) == 100
    assert source.read(117).target == 17


def test_cifar_truncated_missing_or_out_of_range(tmp_path):
    folder = cifar10(tmp_path / "a")
    path = folder / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(
        DataError, match=r"data_batch_2\.bin is truncated: records have 3,073 bytes.*19 records and 3,068"
    ):
        open_source(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"has a file data_batch_2\.bin. It is missing"):
        open_source(folder)
    with pytest.raises(DataError, match=r"Labels must be in 0\.\.9.*received 10 at sample 3"):
        open_source(cifar10(tmp_path / "b", labels=[0, 1, 2, 10, *range(10), *range(6)]))


def test_cifar_names_that_are_not_text(tmp_path):
    folder = cifar10(tmp_path / "a")
    next(folder.rglob("batches.meta.txt")).write_bytes(b"cat\n\xff\n")
    with pytest.raises(
        DataError, match=r"batches\.meta\.txt names the classes, a word for each. It can't be read: 'utf-8'"
    ):
        open_source(folder)


def test_npz_with_and_without_splits(tmp_path):
    x, y = np.zeros((6, 5, 5), np.uint8), np.array([0, 1, 2, 0, 1, 2])
    np.savez(tmp_path / "a.npz", x=x, y=y, classes=["ape", "bee", "cow"])
    source = open_source(tmp_path / "a.npz")
    assert (source.name, source.classes, list(source.splits)) == ("a", ("ape", "bee", "cow"), ["all"])
    np.savez(tmp_path / "b.npz", x_train=x, y_train=y[:, None], x_test=x, y_test=y)
    assert {k: len(v) for k, v in open_source(tmp_path / "b.npz").splits.items()} == {"train": 6, "test": 6}


def test_npz_labels_that_are_texts_are_names_of_classes(tmp_path):
    x = np.zeros((4, 8, 8), np.uint8)
    np.savez(
        tmp_path / "a.npz", x_train=x, y_train=np.array([["007"], ["7"], ["10"], ["1_0"]]), x_test=x[:1], y_test=["7"]
    )
    source = open_source(tmp_path / "a.npz")
    assert [source.classes[k] for k in source.targets] == ["007", "7", "10", "1_0", "7"]
    np.savez(tmp_path / "b.npz", x=x, y=np.array([b"b", b"a", "caf\u00e9".encode(), b"a"]))
    assert open_source(tmp_path / "b.npz").classes == ("a", "b", "caf\u00e9")
    np.savez(tmp_path / "c.npz", x=x, y=np.array(["b", "a", "b", "a"]), classes=["b", "a"])  # their own order holds
    source = open_source(tmp_path / "c.npz")
    assert source.classes == ("b", "a") and source.targets.tolist() == [0, 1, 0, 1]
    np.savez(tmp_path / "d.npz", x=x, y=np.array(["b", "a", "B", "a"]), classes=["b", "a"])
    with pytest.raises(DataError, match=r"d\.npz has no class 'B'\. Known: a, b"):
        open_source(tmp_path / "d.npz")


def test_npz_channels_first_is_turned(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 3, 8, 8), np.uint8), y=[0, 1, 0, 1])
    assert open_source(tmp_path / "a.npz").read(0).payload.shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": [1]}, "holds x and y.*a.npz: received a"),
        ({"x": np.zeros((2, 4, 4), np.uint8)}, "holds x and y.*a.npz: received x"),
        ({"x": np.zeros((2, 4, 4, 3)), "y": [0, 1]}, r"8 or 16 bits \(uint8, uint16\). .*received float64"),
        ({"x": np.zeros((2, 4), np.uint8), "y": [0, 1]}, r"must be \(N, H, W\).*received \(2, 4\)"),
        ({"x": np.zeros((2, 4, 4, 300), np.uint8), "y": [0, 1]}, "1 to 256 channels"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": [0, 1, 1]}, "2 images, 3 labels"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": [0, -1]}, r"Labels must be in 0\.\.0.*received -1 at sample 1"),
        (
            {"x": np.zeros((2, 4, 4), np.uint8), "y": [0, 2], "classes": ["a", "b", "c"]},
            "no sample of 1 of them, first 'b'. Add samples of it; or remove its name",
        ),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": [0, 0]}, "at least two classes. a: received one: 0"),
        ({"x": np.zeros((0, 4, 4), np.uint8), "y": np.zeros(0, int)}, "at least one sample"),
        ({"x": np.zeros((2, 1, 4), np.uint8), "y": [0, 1]}, "at least 2 pixels on each side"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": [0, 10**10]}, "at most 65,536 are read. Received: 10000000000"),
        (
            {"x": np.zeros((2, 4, 4), np.uint8), "y": [0, 1], "classes": ["c", "c"]},
            "a name of its own. a: received 'c', 'c'",
        ),
    ],
)
def test_npz_that_is_wrong_says_what_it_holds(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        check_trainable(open_source(tmp_path / "a.npz"))


def test_npz_splits_must_agree(tmp_path):
    x, y = np.zeros((2, 4, 4), np.uint8), np.array([0, 1])
    for other in (x.astype(np.uint16), np.zeros((2, 5, 5), np.uint8)):
        np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=other, y_test=y)
        with pytest.raises(DataError, match="images of one type and size. a: received train: uint8"):
            open_source(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=x, y=y, x_train=x, y_train=y)
    with pytest.raises(DataError, match="can be read in two ways: x and y, or by split"):
        open_source(tmp_path / "b.npz")


def test_npz_never_unpickles(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match=r"can't be read as \.npz"):
        open_source(path)
    np.savez(path, x=np.array([{}, {}], dtype=object), y=[0, 1])
    with pytest.raises(DataError, match=r"can't be read as \.npz"):
        open_source(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"can't be read as \.npz"):
        open_source(path)


def test_a_folder_of_classes(pictures):
    source = open_source(pictures)
    assert source.classes == ("blue", "green", "red")
    assert list(source.splits) == ["all"]
    assert len(source) == 36
    record = source.read(35)
    assert (record.key, record.target) == ("red/11.png", 2)
    assert record.payload.startswith(b"\x89PNG")


def test_splits_share_one_class_map_and_a_missing_class_is_reported(tmp_path, draw):
    colours = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}
    draw(tmp_path / "train", colours, count=3)
    draw(tmp_path / "valid", {"red": (200, 0, 0), "blue": (0, 0, 200)}, count=2)
    draw(tmp_path / "test", {**colours, "yellow": (200, 200, 0)}, count=1)
    source = open_source(tmp_path)
    assert source.classes == ("blue", "green", "red", "yellow")
    assert {split: len(indices) for split, indices in source.splits.items()} == {"train": 9, "val": 4, "test": 4}
    assert source.targets[source.splits["val"]].tolist() == [0, 0, 2, 2]
    assert source.notices == ("train has no sample of 'yellow'", "val has no sample of 'green', 'yellow'")


def test_two_readings_are_an_error_that_shows_both(tmp_path, draw):
    draw(tmp_path / "train", {"a": (0, 0, 0), "b": (9, 9, 9)}, count=1)
    draw(tmp_path / "val", {"a": (0, 0, 0), "b": (9, 9, 9)}, count=1)
    draw(tmp_path / "validation", {"a": (0, 0, 0), "b": (9, 9, 9)}, count=1)
    with pytest.raises(DataError, match="read in two ways: val and validation both mean val"):
        open_source(tmp_path)
    (tmp_path / "validation").rename(tmp_path / "cats")
    with pytest.raises(DataError, match=r"as splits \(train, val\) or as classes, because it also has cats"):
        open_source(tmp_path)


def test_other_files_are_counted_not_hidden(pictures):
    (pictures / "red" / "notes.txt").write_text("x")
    (pictures / "red" / "Thumbs.db").write_text("x")
    (pictures / "red" / "deeper").mkdir()
    Image.new("RGB", (9, 9)).save(pictures / "red" / "deeper" / "a.JPG", format="jpeg")
    source = open_source(pictures)
    assert len(source) == 37
    assert source.notices == ("files other than images were skipped: 1 .txt",)


def test_folders_without_anything_to_learn(tmp_path, draw):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="empty is empty. Put images at"):
        open_source(empty)
    (empty / "a").mkdir()
    with pytest.raises(DataError, match="holds folders, but no file in them. Received: a. Put each class's files"):
        open_source(empty)
    draw(tmp_path / "one", {"only": (1, 2, 3)}, count=3)
    with pytest.raises(DataError, match="at least two classes. one: received one: only"):
        check_trainable(open_source(tmp_path / "one"))
    draw(tmp_path / "s" / "train", {"a": (1, 2, 3), "b": (1, 2, 3)}, count=3)
    (tmp_path / "s" / "test").mkdir()
    with pytest.raises(DataError, match="at least one sample. s: received none in test"):
        check_trainable(open_source(tmp_path / "s"))


def test_a_file_that_is_not_a_data_set(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"a.txt is a single text. A data set has many of them: FOLDER/CLASS/\*.txt"):
        open_source(tmp_path / "a.txt")
    (tmp_path / "a.bin").write_text("x")
    with pytest.raises(DataError, match="No known layout of a data set is recognised at .*a.bin. Put images at"):
        open_source(tmp_path / "a.bin")


def test_clutter_is_skipped_and_links_are_followed(pictures, tmp_path):
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (pictures / "red" / name).mkdir()
        shutil.copy(pictures / "red" / "00.png", pictures / "red" / name / "00.png")
    shutil.copytree(pictures / "red", tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__*", ".*"))
    (pictures / "red" / "linked").symlink_to(tmp_path / "elsewhere")
    (pictures / "red" / "loop").symlink_to(pictures)
    shutil.copy(pictures / "red" / "00.png", pictures / "stray.png")
    source = open_source(pictures)
    assert len(source) == 48
    assert source.notices == ("images outside the class folders were skipped: stray.png",)


def test_links_to_nothing_are_skipped(pictures):
    before = fingerprint(open_source(pictures))
    (pictures / "red" / "lost.png").symlink_to("nowhere.png")
    (pictures / "red" / "self.png").symlink_to("self.png")
    source = open_source(pictures)
    assert (len(source), fingerprint(source)) == (36, before)
    assert source.notices == ("files other than images were skipped: 2 broken links or pipes",)
    (pictures / "red" / "00.png").unlink()
    with pytest.raises(DataError, match=r"red/00\.png can't be read: No such file"):
        fingerprint(source)


def test_a_name_that_is_not_a_text_is_read(pictures):
    name = b"caf\xe9.png"
    shutil.copy(pictures / "red" / "00.png", os.fsencode(pictures / "red") + b"/" + name)
    source = open_source(pictures)
    assert len(fingerprint(source)) == 16
    assert len(sample_ids(source.key(i) for i in range(len(source)))) == 37


def test_array_source_numbers_samples_by_their_keys():
    x, y = np.zeros((5, 8, 8), np.uint8), np.array([0, 1, 0, 1, 1])
    source = ArraySource("a", {"train": (x[:3], y[:3]), "test": (x[3:], y[3:])})
    keys = ["train/0", "train/1", "train/2", "test/0", "test/1"]
    assert [source.key(i) for i in range(5)] == keys
    chosen = np.array([4, 0, 3])
    assert record_ids(source, chosen).tolist() == sample_ids(keys[i] for i in chosen).tolist()


def test_fingerprint_knows_every_key_label_class_and_pixel():
    x, y = np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    base = fingerprint(ArraySource("a", {"train": (x, y)}))
    assert base == fingerprint(ArraySource("renamed", {"train": (x, y)}))
    others = [
        ArraySource("a", {"train": (x, y[::-1])}),
        ArraySource("a", {"all": (x, y)}),
        ArraySource("a", {"train": (x, y)}, ["p", "q"]),
        ArraySource("a", {"train": (x + np.uint8(1), y)}),
    ]
    assert base not in [fingerprint(other) for other in others]


def test_sample_ids_follow_keys():
    ids = sample_ids(f"train/{i}" for i in range(10_000))
    assert len(set(ids.tolist())) == 10_000
    assert ids[7] == sample_ids(["train/7"])[0]


def test_describe_is_one_line(pictures):
    assert describe(open_source(pictures)) == "pictures (image-folder): 36 samples; 3 classes: blue, green, red"
