import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.data import check_trainable, open_source
from neocog.errors import DataError
from neocog.modalities.image.idx import read_idx


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_set(folder, *, train=40, test=20, classes=4, suffix=""):
    """A small set in MNIST's four files."""
    generator = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for stem, count in (("train", train), ("t10k", test)):
        pictures = generator.integers(0, 256, (count, 8, 6), dtype=np.uint8)
        labels = (np.arange(count) % classes).astype(np.uint8)
        for kind, axes, array in (("images", 3, pictures), ("labels", 1, labels)):
            content = idx_bytes(array)
            path = folder / f"{stem}-{kind}-idx{axes}-ubyte{suffix}"
            path.write_bytes(gzip.compress(content) if suffix else content)
    return folder


def test_mnist_is_what_was_published():
    source = open_source("mnist")
    assert (len(source), len(source.splits["train"]), len(source.splits["test"])) == (70_000, 60_000, 10_000)
    assert np.bincount(source.targets[:60_000]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    first = source.read(0)
    assert (first.key, first.target, first.payload.shape, first.payload.dtype) == ("train/0", 5, (28, 28), np.uint8)
    assert source.read(60_000).key == "test/0"
    assert source.read(60_000).target == 7
    pixels = source.pictures(source.splits["train"]) / 255
    assert round(float(pixels.mean()), 4) == 0.1307
    assert round(float(pixels.std()), 4) == 0.3081


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_plain_and_gzipped_files_are_read_alike(tmp_path, suffix):
    source = open_source(write_set(tmp_path / "set", suffix=suffix))
    assert {split: len(indices) for split, indices in source.splits.items()} == {"train": 40, "test": 20}
    assert source.classes == ("0", "1", "2", "3")
    assert source.read(41).payload.shape == (8, 6)
    assert source.read(41).target == 1


@given(st.sampled_from([(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]))
def test_every_type_is_read_in_its_byte_order(tmp_path_factory, kind):
    code, dtype = kind
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = tmp_path_factory.mktemp("idx") / "a"
    path.write_bytes(idx_bytes(values, code))
    assert np.array_equal(read_idx(path), values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with two zero bytes.*received nothing"),
        (b"\x00\x01\x08\x03", "starts with two zero bytes.*received 00 01 08 03"),
        (b"\x00\x00\x07\x03", "received 00 00 07 03"),
        (b"\x00\x00\x08\x00", "received 00 00 08 00"),
        (b"\x00\x00\x08\x03\x00\x00", "truncated: it ends within its header"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abc", "truncated. Its header promises 5 values, 5 bytes. Received: 3"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x02abc", "longer than its header says"),
        (b"\x00\x00\x08\x02" + b"\xff" * 8, "says that it holds .* more than"),
    ],
)
def test_damaged_file_is_named_with_what_it_holds(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_truncated_gzip_is_named(tmp_path):
    folder = write_set(tmp_path / "set", suffix=".gz")
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is truncated or damaged"):
        open_source(folder)


def test_missing_partner_is_named(tmp_path):
    folder = write_set(tmp_path / "set")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has t10k-images-idx3-ubyte for test, not its partner"):
        open_source(folder)


def test_two_sets_in_one_folder_are_named(tmp_path):
    folder = write_set(tmp_path / "set")
    (folder / "emnist-train-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(DataError, match="can be read in two ways: .*both hold the labels of train"):
        open_source(folder)


def test_different_counts_are_named(tmp_path):
    folder = write_set(tmp_path / "set")
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(19, np.uint8)))
    with pytest.raises(DataError, match="set, test: received 20 images, 19 labels"):
        open_source(folder)


def test_label_out_of_range_is_named(tmp_path):
    folder = write_set(tmp_path / "set")
    labels = (np.arange(20) % 4).astype(np.uint8)
    labels[7] = 200
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(
        DataError, match=r"Labels must be in 0\.\.3.*set, test: received 200 at sample 7; 1 out of range"
    ):
        open_source(folder)


def write_labels(folder, **labels):
    """A set in idx files with these labels by split."""
    folder.mkdir(exist_ok=True)
    for split, values in labels.items():
        pictures = np.random.default_rng(0).integers(0, 256, (len(values), 8, 6), dtype=np.uint8)
        (folder / f"emnist-letters-{split}-images-idx3-ubyte").write_bytes(idx_bytes(pictures))
        (folder / f"emnist-letters-{split}-labels-idx1-ubyte").write_bytes(idx_bytes(np.array(values, np.uint8)))
    return folder


@pytest.mark.parametrize(
    ("train", "test", "classes", "unused"),
    [
        ([*range(1, 27)], [*range(1, 27)], tuple(map(str, range(1, 27))), "0"),
        ([0, 1, 3, 3], [3, 0], ("0", "1", "3"), "2"),
        ([1, 4, 7], [2, 4], ("1", "2", "4", "7"), "0, 3, 5 and 1 more"),
    ],
)
def test_labels_without_samples_are_not_classes(tmp_path, train, test, classes, unused):
    source = open_source(write_labels(tmp_path / "letters", train=train, test=test))
    check_trainable(source)
    assert source.classes == classes
    written = [*train, *test]
    assert [int(source.classes[k]) for k in source.targets] == written
    assert [int(source.classes[source.read(i).target]) for i in range(len(source))] == written
    assert source.notices[0] == f"labels without samples are not classes: {unused}"


def test_labels_without_a_gap_need_no_word(tmp_path):
    source = open_source(write_labels(tmp_path / "digits", train=[0, 1, 2], test=[2, 1, 0]))
    assert (source.classes, source.notices, source.targets.tolist()) == (("0", "1", "2"), (), [0, 1, 2, 2, 1, 0])


def test_label_that_is_in_no_training_sample_is_named(tmp_path):
    with pytest.raises(DataError, match=r"Labels must be in 0\.\.3.*set, test: received 5 at sample 1"):
        open_source(write_labels(tmp_path / "set", train=[1, 3], test=[1, 5]))


def test_numbers_of_npz_files_and_of_arrays_lose_their_gaps_too(tmp_path):
    x, y = np.zeros((4, 8, 8), np.uint8), np.array([5, 7, 5, 7])
    np.savez(tmp_path / "pictures.npz", x=x, y=y)
    np.savez(tmp_path / "signals.npz", x=np.zeros((4, 1, 9), np.float32), y=y)
    pair, texts = open_source((x, y)), open_source((["a", "b", "c", "d"], y))
    for source in (open_source(tmp_path / "pictures.npz"), open_source(tmp_path / "signals.npz"), pair, texts):
        assert (source.classes, source.targets.tolist()) == (("5", "7"), [0, 1, 0, 1])
        check_trainable(source)
    assert pair.notices == texts.notices == ("labels without samples are not classes: 0, 1, 2 and 3 more",)


def mapping(folder, text):
    (folder / "emnist-letters-mapping.txt").write_text(text)
    return folder


def test_mapping_names_the_classes(tmp_path):
    folder = write_labels(tmp_path / "letters", train=[1, 2, 3, 3], test=[3, 1])
    source = open_source(mapping(folder, "1 65 97\n2 66 98\n3 49\n"))
    assert source.classes == ("A/a", "B/b", "1")
    assert source.targets.tolist() == [0, 1, 2, 2, 2, 0]
    assert source.notices[0] == "emnist-letters-mapping.txt names the classes"
    check_trainable(source)
    with pytest.raises(
        DataError, match=r"no sample of 1 of them, first 'D'\. Add its samples, or remove the file that nam"
    ):
        check_trainable(open_source(mapping(folder, "1 65 97\n2 66 98\n3 49\n4 68\n")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 65\n2 66\n", r"names each label\. .*mapping\.txt has no line for 3, of train\. Add them"),
        ("1 65\n1 66\n", "each label once.*the line '1 66'"),
        ("1 65\n2\n3 67\n", "a label and code points on each line.*the line '2'"),
        ("a b\n", "a label and code points on each line.*invalid literal"),
        ("1 99999999\n", "can't be read as one: "),
        ("99999999 65\n", "the line '99999999 65'"),
        ("1 65\n2 65\n3 66\n", "gives two labels the same characters"),
        ("1 10\n2 65\n3 66\n", "unprintable ones"),
        ("", "has none, or unprintable"),
    ],
)
def test_mapping_that_cannot_be_meant_is_named(tmp_path, text, message):
    folder = write_labels(tmp_path / "letters", train=[1, 2, 3], test=[3, 1])
    with pytest.raises(DataError, match=message):
        open_source(mapping(folder, text))


def test_mapping_of_other_files_is_skipped(tmp_path):
    folder = write_labels(tmp_path / "letters", train=[1, 2], test=[2, 1])
    (folder / "emnist-digits-mapping.txt").write_text("0 48\n")
    assert open_source(folder).classes == ("1", "2")
