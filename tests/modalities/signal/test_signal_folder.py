import os

import numpy as np
import pytest

from neocog.errors import ConfigError, DataError
from neocog.modalities.audio.audio_folder import is_audio_folder
from neocog.modalities.signal.signal_folder import is_signal_folder, open_signal_folder

GENERATOR = np.random.default_rng(0)


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (root / name).write_text(content)
        else:
            np.save(root / name, content)
    return root


def table(length, columns="time,x,y"):
    return "\n".join([columns, *(f"{i},{2 * i},{3 * i}" for i in range(length))])


def test_arrays_and_tables_by_class(tmp_path):
    a = GENERATOR.normal(size=(2, 7))
    root = write(
        tmp_path / "set", {"run/a.npy": a, "run/deep/b.npy": a[:, :3], "walk/c.csv": table(4), "walk/no.txt": "-"}
    )
    assert is_signal_folder(root)
    assert not is_audio_folder(root)
    source = open_signal_folder(root)
    assert (source.name, source.classes, list(source.splits)) == ("set", ("run", "walk"), ["all"])
    assert [source.key(i) for i in range(3)] == ["run/a.npy", "run/deep/b.npy", "walk/c.csv"]
    assert np.array_equal(source.read(0).payload, a.astype(np.float32))
    assert source.read(2).payload.tolist() == [[0, 2, 4, 6], [0, 3, 6, 9]]
    assert "files other than signals (.npy, .csv) were skipped: 1 .txt" in source.notices
    assert source.groups is None


def test_splits_and_one_axis(tmp_path):
    files = {f"{split}/{name}/0.npy": np.arange(4) for split in ("train", "test") for name in "ab"}
    source = open_signal_folder(write(tmp_path, files))
    assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1], "test": [2, 3]}
    assert source.read(1).payload.tolist() == [[0, 1, 2, 3]]


def test_files_are_cut_into_windows_that_stay_together(tmp_path):
    files = {"train/a/0.csv": table(7), "train/b/1.csv": table(2), "test/b/2.csv": table(4)}
    source = open_signal_folder(write(tmp_path, files), window=4, step=2, rate=1)
    assert [source.key(i) for i in range(len(source))] == ["train/a/0.csv:0", "train/a/0.csv:2", "test/b/2.csv:0"]
    assert (source.groups.tolist(), source.targets.tolist()) == ([0, 0, 2], [0, 0, 1])
    assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1], "test": [2]}
    assert source.read(1).payload.tolist() == [[4, 6, 8, 10], [6, 9, 12, 15]]
    assert "files that are shorter than a window were skipped: 1" in source.notices
    assert "3 windows of 4 samples were cut; neighbours share 2" in source.notices
    with pytest.raises(DataError, match="No file below .* has 50 values"):
        open_signal_folder(tmp_path, window=50)


def test_rate_needs_times(tmp_path):
    with pytest.raises(ConfigError, match="checked against a column of times. a/0.npy: received none"):
        open_signal_folder(write(tmp_path, {"a/0.npy": np.zeros(9)}), window=3, rate=10)


@pytest.mark.parametrize(
    ("shapes", "channels", "turned"),
    [
        ([(2, 9), (2, 5)], 2, False),
        ([(9, 2), (5, 2)], 2, True),
        ([(9, 13), (20, 13)], 13, True),  # shorter than wide, and still told by what all files share
        ([(2, 9), (2, 9)], 2, False),
        ([(9, 2), (9, 2)], 2, True),
        ([(3, 3), (3, 3)], 3, False),
    ],
)
def test_axis_of_channels_is_the_one_that_all_files_share(tmp_path, shapes, channels, turned):
    arrays = [GENERATOR.normal(size=shape).astype(np.float32) for shape in shapes]
    source = open_signal_folder(write(tmp_path, {f"a/{i}.npy": array for i, array in enumerate(arrays)}))
    assert source.channels == channels
    for i, array in enumerate(arrays):
        assert np.array_equal(source.read(i).payload, array.T if turned else array)
    assert any("are read as (length, channels)" in notice for notice in source.notices) is turned


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a/0.npy": np.zeros((2, 5)), "a/1.npy": np.zeros((3, 6))},
            r"Received: \(2, 5\) in .*0.npy, \(3, 6\) in .*1.npy",
        ),
        ({"a/0.npy": np.zeros((2, 5, 5))}, r"A signal is \(length,\) or.*0.npy: received float64 \(2, 5, 5\)"),
        ({"a/0.npy": np.zeros(0)}, "with at least one value. .*received"),
        ({"a/0.npy": np.zeros(3, complex)}, "of real numbers.*complex128"),
        ({"a/0.npy": np.array([{}, {}])}, "0.npy can't be read.*Python objects"),
        ({"a/0.npy": "no array"}, "0.npy can't be read as a NumPy array"),
        ({"a/0.npy": np.zeros((2, 5)), "b/1.csv": "x\n1\n"}, "the same channels. .*received 2 at sample 0 and 1"),
        ({"a/0.csv": "x,label\n1,1\n"}, "needs no label.*0.csv: received a column of labels"),
        ({"a/0.csv": "x\none\n"}, ".*0.csv, line 2, x: received 'one'"),
        ({"0.npy": np.zeros(3)}, r"holds no signals \(.npy, .csv\).* Put them at"),
    ],
)
def test_faults_are_named(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        open_signal_folder(write(tmp_path, files))


def test_other_folders_are_not_claimed(tmp_path):
    assert not is_signal_folder(tmp_path / "missing")
    assert not is_signal_folder(write(tmp_path / "pictures", {"a/0.npy": np.zeros((5, 5, 3))}))
    assert not is_signal_folder(write(tmp_path / "grey", {"a/0.npy": np.zeros((5, 5), np.uint8)}))
    assert is_signal_folder(write(tmp_path / "floats", {"a/0.npy": np.zeros((5, 5))}))
    assert not is_signal_folder(write(tmp_path / "texts", {"a/0.csv": "title,text\nA,long ago\n"}))
    assert not is_signal_folder(write(tmp_path / "objects", {"a/0.npy": np.array([{}, {}])}))
    assert not is_signal_folder(write(tmp_path / "garbage", {"a/0.npy": "no array"}))
    assert not is_signal_folder(write(tmp_path / "flat", {"0.npy": np.zeros(3)}))


def test_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "0.npy")
    assert not is_signal_folder(tmp_path)
    with pytest.raises(DataError, match="holds no signals"):
        open_signal_folder(tmp_path)
