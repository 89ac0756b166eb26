"""Large recordings stay on disk, and give the same windows as small ones."""

import gc
from pathlib import Path

import numpy as np
import pytest

from neocog.errors import DataError
from neocog.modalities.signal import csv_windows, on_disk, pieces
from neocog.modalities.signal.csv_windows import open_csv_windows
from neocog.modalities.signal.on_disk import DiskSignal, open_npy
from neocog.modalities.signal.signal_folder import open_signal_folder


@pytest.fixture
def small_limits(monkeypatch, tmp_path):
    """Every file is large, and a piece has seven rows."""
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    for module in (on_disk, csv_windows):
        monkeypatch.setattr(module, "LARGE", 1)
    monkeypatch.setattr(pieces, "CHUNK", 7)


def table(times, labels, persons):
    values = np.random.default_rng(0).normal(size=(len(labels), 2)).round(4)
    lines = [f"{t},{x},{y},{p},{k}" for t, (x, y), p, k in zip(times, values, persons, labels, strict=True)]
    return "\n".join(["time,x,y,subject,activity", *lines]) + "\n"


def write(tmp_path, clock=lambda k: f"{k / 10:.1f}"):
    labels = ["sit"] * 13 + ["walk"] * 17 + [""] * 3 + ["run"] * 20
    places = [k if k < 40 else k + 5 for k in range(len(labels))]  # a gap of half a second
    persons = ["a"] * 25 + ["b"] * 10 + ["c"] * 18
    path = tmp_path / "walk.csv"
    path.write_text(table([clock(k) for k in places], labels, persons))
    return path


def described(source):
    records = [source.read(i) for i in range(len(source))]
    return (
        source.classes, source.targets.tolist(), [r.key for r in records], [r.payload.tolist() for r in records],
        source.groups.tolist(), source.channel_names, source.unused,
    )  # fmt: skip


CLOCKS = {
    "seconds": lambda k: f"{k / 10:.1f}",
    "since 1970": lambda k: str(1_700_000_000_000 + 100 * k),
    "ISO 8601": lambda k: f"2024-03-01 10:00:{k // 10:02}.{k % 10}",
}


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize(("window", "step"), [(4, None), (6, 2)])
def test_large_table_gives_the_windows_of_a_small_one(tmp_path, clock, window, step, request):
    path = write(tmp_path, CLOCKS[clock])
    whole = open_csv_windows(path, window=window, step=step)
    request.getfixturevalue("small_limits")
    found = open_csv_windows(path, window=window, step=step)
    assert described(found) == described(whole)
    assert isinstance(found.signals[0], DiskSignal) and not isinstance(whole.signals[0], DiskSignal)
    assert list(found.content()) == list(whole.content())
    assert set(whole.notices) <= set(found.notices)
    assert described(found.with_channels(["y", "x"])) == described(whole.with_channels(["y", "x"]))


@pytest.mark.usefixtures("small_limits")
def test_values_go_from_the_cache_when_nothing_needs_them(tmp_path):
    source = open_csv_windows(write(tmp_path), window=4)
    assert len(list((tmp_path / "cache/recordings").rglob("*.f32"))) == 1
    del source
    gc.collect()
    assert not list((tmp_path / "cache/recordings").iterdir())


@pytest.mark.usefixtures("small_limits")
def test_missing_values_and_damage_are_told(tmp_path):
    path = tmp_path / "r.csv"
    rows = [f"{k},{'' if k % 4 == 0 else k}.5,a" if k % 4 else f"{k},,a" for k in range(20)]
    path.write_text("\n".join(["t,x,label", *rows, "20,1,b"]))
    assert "23.8% of all values are missing (x 23.8%)" in open_csv_windows(path, window=2).notices
    path.write_text("\n".join(["t,x,label", *[f"{k},1,a" for k in range(20)], "20,wrong,a"]))
    with pytest.raises(DataError, match=r"r\.csv, line 22, x: received 'wrong'"):
        open_csv_windows(path, window=2)
    path.write_text("\n".join(["t,x,label", *[f"{k},1,a" for k in range(20)]]))
    with pytest.raises(DataError, match="a rate of 1, and signal.rate 50"):
        open_csv_windows(path, window=2, rate=50)


@pytest.mark.parametrize("shape", [(2, 30), (30, 2), (30,)])
@pytest.mark.parametrize("dtype", ["<i2", "<f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_large_arrays_give_the_windows_of_small_ones(tmp_path, shape, dtype, order, request):
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        values = np.random.default_rng(len(name)).integers(-99, 99, shape).astype(dtype)
        np.save(folder / "1.npy", np.asarray(values, order=order))
    whole = open_signal_folder(tmp_path, window=7, step=5)
    request.getfixturevalue("small_limits")
    (tmp_path / "cache").mkdir(exist_ok=True)
    found = open_signal_folder(tmp_path, window=7, step=5)
    assert isinstance(found.signals[0], DiskSignal)
    assert [found.read(i).payload.tolist() for i in range(len(found))] == [
        whole.read(i).payload.tolist() for i in range(len(whole))
    ]
    assert found.targets.tolist() == whole.targets.tolist() and found.channels == whole.channels


@pytest.mark.usefixtures("small_limits")
def test_truncated_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 50)))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-8])
    with pytest.raises(
        DataError, match=r"a\.npy can't be read.*Received: 792 bytes of values, and its header promises 80"
    ):
        open_npy(tmp_path / "a.npy")


def test_file_that_went_away_is_named(tmp_path):
    signal = DiskSignal(Path(tmp_path, "gone.f32"), np.dtype("<f4"), 0, (3, 1), turned=True)
    with pytest.raises(DataError, match=r"gone\.f32 can't be read: .*It was moved or changed: start again"):
        signal.read()
