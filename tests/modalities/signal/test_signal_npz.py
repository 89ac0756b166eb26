import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.modalities.image.npz import is_image_npz
from neocog.modalities.signal.signal_npz import is_signal_npz, open_signal_npz

LABELS = np.array([0, 1, 0])


def saved(folder, name="set.npz", **arrays):
    folder.mkdir(exist_ok=True)
    np.savez(folder / name, **arrays)
    return folder / name


def ragged():
    """Three signals of 13 channels, one behind another, as spoken digits are often kept."""
    x = np.random.default_rng(0).normal(size=(9, 13)).astype(np.float32)
    return {"x": x, "lengths": np.array([2, 4, 3]), "y": LABELS}


@pytest.mark.parametrize("by_folder", [False, True])
def test_ragged_signals_open_by_file_and_by_folder(tmp_path, by_folder):
    arrays = ragged()
    path = saved(tmp_path / "digits", **arrays)
    place = path.parent if by_folder else path
    assert is_signal_npz(place)
    source = open_signal_npz(place)
    assert (source.name, len(source), source.channels, list(source.splits)) == ("set", 3, 13, ["all"])
    assert np.array_equal(source.read(1).payload, arrays["x"][2:6].T)
    assert np.array_equal(source.read(2).payload, arrays["x"][6:].T)


def test_equal_signals_with_and_without_channels_and_splits(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 2, 7))
    source = open_signal_npz(saved(tmp_path, x=x, y=LABELS, classes=["still", "moving"]))
    assert source.classes == ("still", "moving")
    assert np.array_equal(source.read(1).payload, x[1].astype(np.float32))
    flat = open_signal_npz(saved(tmp_path, x_train=x[:, 0], y_train=LABELS[:, None], x_test=x[:, 1], y_test=LABELS))
    assert {split: len(part) for split, part in flat.splits.items()} == {"train": 3, "test": 3}
    assert flat.read(4).payload.shape == (1, 7)
    assert np.array_equal(flat.read(4).payload[0], x[1, 1].astype(np.float32))


def test_more_channels_than_samples_are_turned_and_told(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 9, 2))
    source = open_signal_npz(saved(tmp_path, x=x, y=LABELS))
    assert np.array_equal(source.read(0).payload, x[0].T.astype(np.float32))
    assert source.notices == ("signals of 9 x 2 are read as 2 channels of 9 samples",)
    assert open_signal_npz(saved(tmp_path, x=x.swapaxes(1, 2), y=LABELS)).notices == ()


def test_labels_may_be_texts(tmp_path):
    source = open_signal_npz(saved(tmp_path, x=np.zeros((3, 4)), y=np.array(["b", "a", "b"])))
    assert (source.classes, source.targets.tolist()) == (("a", "b"), [1, 0, 1])


@pytest.mark.parametrize(
    "labels", [["007", "7"], ["01", "1"], ["1_0", "10"], ["1E2", "100"], ["1.0", "1"], [" a", "a"]]
)
@pytest.mark.parametrize("dtype", ["U", "S"])
def test_labels_that_look_like_numbers_stay_as_written(tmp_path, labels, dtype):
    source = open_signal_npz(saved(tmp_path, x=np.zeros((4, 4)), y=np.array(labels * 2, dtype)))
    assert sorted(source.classes) == sorted(labels)
    assert [source.classes[k] for k in source.targets] == labels * 2


def test_labels_that_are_numbers_are_numbers(tmp_path):
    for dtype in (np.int8, np.uint16, bool):
        y = np.array([1, 0, 1]).astype(dtype)
        assert open_signal_npz(saved(tmp_path, x=np.zeros((3, 4)), y=y)).classes == ("0", "1")


def test_texts_are_matched_with_the_classes_of_the_file(tmp_path):
    y, classes = np.array(["b", "a", "b"]), np.array(["b", "c", "a"])
    source = open_signal_npz(saved(tmp_path, x=np.zeros((3, 4)), y=y, classes=classes))
    assert (source.classes, source.targets.tolist()) == (("b", "c", "a"), [0, 2, 0])
    with pytest.raises(DataError, match="set.npz has no class 'a'. Known: b, c"):
        open_signal_npz(saved(tmp_path, x=np.zeros((3, 4)), y=y, classes=np.array(["b", "c"])))


def test_npy_files_of_the_same_names_are_read_in_any_case(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 5))
    for name, array in {"X_train": x, "y_train": LABELS, "X_test": x, "y_test": LABELS, "other": x}.items():
        np.save(tmp_path / f"{name}.npy", array)
    assert is_signal_npz(tmp_path)
    source = open_signal_npz(tmp_path)
    assert list(source.splits) == ["train", "test"]
    assert np.array_equal(source.read(2).payload[0], x[2].astype(np.float32))
    np.save(tmp_path / "x_train.npy", x)
    with pytest.raises(DataError, match="can be read in two ways: it holds X_test, X_train"):
        open_signal_npz(tmp_path)


def test_array_that_runs_by_columns_is_read_right(tmp_path):
    x = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    assert np.array_equal(open_signal_npz(saved(tmp_path, x=x, y=LABELS)).read(1).payload[0], x[1])


@pytest.mark.parametrize(
    ("arrays", "signals"),
    [
        ({"x": np.zeros((3, 5)), "y": LABELS}, True),
        ({"x": np.zeros((3, 2, 5), np.int16), "y": LABELS}, True),
        ({"x_train": np.zeros((3, 5), np.float16), "y_train": LABELS}, True),
        ({"x": np.zeros((9, 2), np.uint8), "lengths": [3, 3, 3], "y": LABELS}, True),
        ({"x": np.zeros((3, 5, 5), np.uint8), "y": LABELS}, False),
        ({"x": np.zeros((3, 5, 5), np.uint16), "y": LABELS}, False),
        ({"x": np.zeros((3, 5, 5, 3)), "y": LABELS}, False),
        ({"x": np.zeros(3), "y": LABELS}, False),
        ({"x": np.array(["a", "b"]), "y": [0, 1]}, False),
        ({"a": np.zeros((3, 5))}, False),
    ],
)
def test_signals_are_told_from_images_by_the_header(tmp_path, arrays, signals):
    path = saved(tmp_path, **arrays)
    assert is_signal_npz(path) is signals
    assert is_image_npz(path) or signals  # no file is left to nobody


def test_other_places_are_not_claimed(tmp_path):
    assert not is_signal_npz(tmp_path)
    assert not is_signal_npz(tmp_path / "missing")
    (tmp_path / "set.npz").write_bytes(b"PK\x03\x04 nothing more")
    assert not is_signal_npz(tmp_path / "set.npz")
    saved(tmp_path, "other.npz", x=np.zeros((3, 5)), y=LABELS)
    assert not is_signal_npz(tmp_path)  # two files: which?
    with pytest.raises(DataError, match="x.npy and y.npy. .*: received neither"):
        open_signal_npz(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 5))}, r"holds x and y, or x_train and y_train.*set\.npz: received x"),
        ({"a": [1]}, "received none of them"),
        ({"x": np.zeros((3, 5)), "y": LABELS, "y_test": LABELS}, "received x, y, y_test"),
        ({"x": np.zeros((3, 5)), "y": LABELS, "x_train": np.zeros((3, 5)), "y_train": LABELS}, "in two ways: x and y"),
        ({"x": np.zeros((3, 5), complex), "y": LABELS}, "must be real numbers. .*received complex128"),
        ({"x": np.zeros(3), "y": LABELS}, r"Signals are \(N, length\) or \(N, channels, length\). .*received \(3,\)"),
        (ragged() | {"lengths": np.array([2, 4, 4])}, r"lengths must add up to the rows of x. .*received 10 and 9"),
        (ragged() | {"lengths": np.array([2, 7, 0])}, "whole numbers of at least 1.*int64"),
        (ragged() | {"lengths": np.array([2.0, 4, 3])}, "whole numbers of at least 1.*float64"),
        (ragged() | {"lengths": np.array([2**63 - 1, 2**63 - 1, 11])}, "must add up to the rows"),
        (ragged() | {"x": np.zeros((9, 2, 2))}, r"With lengths, x is \(sum of lengths, channels\)"),
        (ragged() | {"y": np.array([0, 1])}, "Each signal needs one label. .*received 3 signals, 2 labels"),
    ],
)
def test_arrays_that_do_not_match_are_named(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        open_signal_npz(saved(tmp_path, **arrays))


def test_objects_are_never_loaded(tmp_path):
    path = saved(tmp_path, x=np.array([[1], [1, 2]], dtype=object), y=[0, 1])
    with pytest.raises(DataError, match=r"set\.npz, x can't be read.*Python objects, which can be programs"):
        open_signal_npz(path)


def header(shape, dtype="<f4"):
    """The header of an .npy file, whatever it says."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**4, 1000)) + bytes(100), "promises 40,000,000 bytes of values, and it holds 100"),
        (header((10**6, 1000)) + bytes(100), "says that its 558 bytes hold 4,000,000,000, more than 200 times as many"),
        (header((10**12,)) + bytes(100), "says that it holds 4,000,000,000,000 bytes, more than"),
        (header((3, 1)) + bytes(100), "promises 12 bytes of values, and it holds more"),
        (header((-1, -3)), r"shape is \(-1, -3\)"),
        (b"\x93NUMPY\x03\x00" + bytes(200), r"of version 3\.0"),
        (b"no array", "can't be read as a NumPy array"),
        (b"", "can't be read as a NumPy array"),
    ],
)
def test_header_that_lies_is_refused_before_memory_is_taken(tmp_path, content, message):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", header((1,), "<i8") + bytes(8))
    with pytest.raises(DataError, match=message) as error:
        open_signal_npz(path)
    assert "set.npz, x" in str(error.value)


def whole() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **ragged())
    return file.getvalue()


@settings(max_examples=150)
@given(st.integers(0, len(whole()) - 1), st.integers(1, 255), st.booleans())
def test_damaged_file_is_read_or_refused(tmp_path_factory, place, change, cut):
    content = bytearray(whole())
    content[place] ^= change
    path = tmp_path_factory.mktemp("damaged") / "set.npz"
    path.write_bytes(content[:place] if cut else content)
    is_signal_npz(path)
    try:
        source = open_signal_npz(path)
    except DataError:
        return
    assert [source.read(i).payload.shape[0] for i in range(len(source))] == [13] * len(source)
