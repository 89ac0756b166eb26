import numpy as np
import pytest

from neocog.errors import DataError
from neocog.modalities.signal.channel_names import match_names, order_channels
from neocog.modalities.signal.signal_folder import is_signal_folder, open_signal_folder
from neocog.modalities.signal.signal_npz import is_signal_npz, open_signal_npz

X, Y = np.random.default_rng(0).normal(size=(2, 8)).round(3).astype(np.float32)
BY_NAME = {"x": X, "y": Y}


def table(names, **columns):
    columns = BY_NAME | columns
    rows = [",".join(str(columns[name.strip().lower()][i]) for name in names) for i in range(8)]
    return "\n".join([",".join(names), *rows])


def write(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (tmp_path / name).write_text(content)
        else:
            np.save(tmp_path / name, content)
    return tmp_path


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (["y", "x"], "channels in another order are matched by name: x, y (in 1 of 4 files: b/1.csv)"),
        (["X", "y"], "names are matched whatever their case and spaces: X is x (in 1 of 4 files: b/1.csv)"),
        ([" Y", "x"], "names are matched whatever their case and spaces: Y is y (in 1 of 4 files: b/1.csv)"),
        (["x", "y"], None),
        (["index", "y", "x"], "channels in another order"),
    ],
)
def test_files_of_a_folder_come_into_one_order_by_name(tmp_path, other, said):
    files = {f"{c}/{k}.csv": table("xy") for c in "ab" for k in range(2)}
    files["b/1.csv"] = table(other, index=np.arange(8))
    source = open_signal_folder(write(tmp_path, files))
    assert (source.channel_names, source.notices[0]) == (("x", "y"), "channels: x, y")
    for i in range(4):
        np.testing.assert_array_equal(source.read(i).payload, [X, Y])
    matched = [notice for notice in source.notices if "matched" in notice]
    assert bool(matched) is bool(said) and (not said or any(said in notice for notice in matched))


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["x", "z"], r"a.0.csv has x, y. .*b.1.csv: received x, z \(missing: y; not known: z\)"),
        (["x"], r".*b.1.csv: received x \(missing: y\). Rename, add or remove columns"),
        (["x", "y", "z"], r".*b.1.csv: received x, y, z \(not known: z\)"),
        (["x", "X"], r".*: received x, X \(missing: y; not known: X\)"),
        (["x", "x"], "Each column needs a name of its own. .*received 'x', 'x'"),
    ],
)
def test_files_of_a_folder_with_other_names_are_refused(tmp_path, names, wrong):
    files = {f"{c}/{k}.csv": table("xy") for c in "ab" for k in range(2)}
    with pytest.raises(DataError, match=wrong):
        open_signal_folder(write(tmp_path, files | {"b/1.csv": table(names, z=X)}))


def test_splits_of_a_folder_come_into_one_order(tmp_path):
    files = {f"train/{c}/0.csv": table("xy") for c in "ab"} | {f"test/{c}/0.csv": table("yx") for c in "ab"}
    source = open_signal_folder(write(tmp_path, files))
    for i in range(4):
        np.testing.assert_array_equal(source.read(i).payload, [X, Y])


def test_arrays_among_tables_are_read_by_place_and_that_is_reported(tmp_path):
    source = open_signal_folder(
        write(tmp_path, {"a/0.csv": table("xy"), "a/1.npy": np.stack([X, Y]), "b/2.csv": table("xy")})
    )
    np.testing.assert_array_equal(source.read(1).payload, [X, Y])
    assert "1 file does not name its channels, which are read as x, y" in source.notices


def test_tables_without_a_header_have_no_names(tmp_path):
    files = {f"{c}/{k}.csv": table("xy").partition("\n")[2] for c in "ab" for k in range(2)}
    source = open_signal_folder(write(tmp_path, files))
    assert (source.channel_names, source.channels) == ((), 2)
    np.testing.assert_array_equal(source.read(0).payload, [X, Y])
    chosen = open_signal_folder(tmp_path, columns=("1",))
    assert chosen.channel_names == ("1",)
    np.testing.assert_array_equal(chosen.read(0).payload, [Y])


def test_semicolons_and_decimal_commas_are_read_as_signals(tmp_path):
    files = {f"{c}/{k}.csv": table("xy").replace(",", ";").replace(".", ",") for c in "ab" for k in range(2)}
    source = open_signal_folder(write(tmp_path, files))
    np.testing.assert_array_equal(source.read(0).payload, [X, Y])
    assert any("is separated by semicolons; has decimal commas" in notice for notice in source.notices)


def fields(names):
    array = np.empty(8, [(name, "f4") for name in names])
    for name in names:
        array[name] = BY_NAME[name]
    return array


def test_fields_of_structured_arrays_are_channels(tmp_path):
    root = write(tmp_path, {"a/0.npy": fields("xy"), "b/1.npy": fields("yx")})
    assert is_signal_folder(root)
    source = open_signal_folder(root)
    assert source.channel_names == ("x", "y")
    for i in range(2):
        np.testing.assert_array_equal(source.read(i).payload, [X, Y])


SIGNALS = np.stack([np.stack([X, Y]) + k for k in range(4)])
LABELS = np.array(["a", "b", "a", "b"])


@pytest.mark.parametrize("key", ["channels", "channel_names", "names"])
def test_archive_may_name_its_channels(tmp_path, key):
    np.savez(tmp_path / "s.npz", x=SIGNALS, y=LABELS, **{key: np.array(["acc x", "acc y"])})
    source = open_signal_npz(tmp_path / "s.npz")
    assert (source.channel_names, source.notices[0]) == (("acc x", "acc y"), "channels: acc x, acc y")
    chosen = open_signal_npz(tmp_path / "s.npz", columns=("Acc Y",))
    np.testing.assert_array_equal(chosen.read(2).payload, SIGNALS[2, 1:])
    assert chosen.notices[:2] == ("channels: acc y", "not channels: acc x, which signal.columns does not name")
    with pytest.raises(DataError, match=r"signal.columns names channels. .*s: received z; there are acc x, acc y"):
        open_signal_npz(tmp_path / "s.npz", columns=("z",))


def test_names_tell_which_axis_is_that_of_the_channels(tmp_path):
    short = SIGNALS[:, :, :1]  # two channels of one sample, which look like one channel of two samples
    np.savez(tmp_path / "s.npz", x=short, y=LABELS, channels=np.array(["x", "y"]))
    assert open_signal_npz(tmp_path / "s.npz").read(0).payload.shape == (2, 1)
    np.savez(tmp_path / "t.npz", x=short.swapaxes(1, 2), y=LABELS, channels=np.array(["x", "y"]))
    assert open_signal_npz(tmp_path / "t.npz").read(0).payload.shape == (2, 1)


def test_splits_of_an_archive_come_into_one_order(tmp_path):
    np.savez(
        tmp_path / "s.npz",
        x_train=SIGNALS, y_train=LABELS, channels_train=np.array(["x", "y"]),
        x_test=SIGNALS[:, ::-1], y_test=LABELS, channels_test=np.array(["y", "x"]),
    )  # fmt: skip
    source = open_signal_npz(tmp_path / "s.npz")
    for i in range(8):
        np.testing.assert_array_equal(source.read(i).payload, SIGNALS[i % 4])
    assert "test: channels in another order are matched by name: x, y" in source.notices
    np.savez(
        tmp_path / "t.npz",
        x_train=SIGNALS, y_train=LABELS, channels_train=np.array(["x", "y"]),
        x_test=SIGNALS, y_test=LABELS, channels_test=np.array(["x", "z"]),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"train has x, y. .*t.npz, test: received x, z \(missing: y; not known: z\)"):
        open_signal_npz(tmp_path / "t.npz")


@pytest.mark.parametrize("ragged", [False, True])
def test_fields_of_an_archive_are_channels(tmp_path, ragged):
    def structured(names):
        array = np.empty((4, 8), [(name, "f4") for name in names])
        for name in names:
            array[name] = SIGNALS[:, "xy".index(name)]
        return {"x": array.reshape(-1) if ragged else array} | ({"lengths": np.array([8] * 4)} if ragged else {})

    parts = {
        f"{key}_{split}": value
        for split, names in (("train", "xy"), ("test", "yx"))
        for key, value in structured(names).items()
    }
    np.savez(tmp_path / "s.npz", y_train=LABELS, y_test=LABELS, **parts)
    assert is_signal_npz(tmp_path / "s.npz")
    source = open_signal_npz(tmp_path / "s.npz")
    assert source.channel_names == ("x", "y")
    for i in range(8):
        np.testing.assert_array_equal(source.read(i).payload, SIGNALS[i % 4])


@pytest.mark.parametrize(
    "other",
    [
        {"names": np.array(["ann", "bob", "eve", "joe"])},  # of the records
        {"names": np.array(["a", "b"])},  # of the classes
        {"channels": np.array(2)},
        {"channels": np.array([{}, {}])},  # which is not read
        {"channels": np.array([1, 2])},
    ],
)
def test_other_arrays_are_not_names_of_channels(tmp_path, other):
    np.savez(tmp_path / "s.npz", x=SIGNALS, y=LABELS, **other)
    source = open_signal_npz(tmp_path / "s.npz")
    assert (source.channel_names, source.notices) == ((), ())


def test_names_that_do_not_fit_an_archive_are_reported_or_refused(tmp_path):
    np.savez(tmp_path / "s.npz", x=SIGNALS, y=LABELS, channels=np.array(["x", "y", "z"]))
    assert open_signal_npz(tmp_path / "s.npz").notices == ("names of 3 channels are not used, because signals have 2",)
    np.savez(tmp_path / "t.npz", x=SIGNALS, y=LABELS, channels=np.array(["x", "x"]))
    with pytest.raises(
        DataError, match="Each channel needs a name of its own. .*t.npz, all: received 'x', 'x' for 2 channels"
    ):
        open_signal_npz(tmp_path / "t.npz")


def test_names_are_matched_one_to_one():
    assert match_names(["x", "X"], ["X", "x"]) == {"x": "x", "X": "X"}
    assert match_names(["x", "X"], ["X", "y"]) == {"X": "X"}
    assert match_names(["acc  x"], ["ACC X", "acc_x"]) == {"acc  x": "ACC X"}
    with pytest.raises(DataError, match=r"The network has x, X. a.csv: received X, y \(missing: x; not known: y\)"):
        order_channels(["x", "X"], ["X", "y"], "a.csv", "The network")
