import numpy as np
import pytest
import torch

from neocog import doctor
from neocog.data import open_source
from neocog.data.pack import pack
from neocog.dataset.record import fingerprint
from neocog.dataset.split import divide
from neocog.errors import ConfigError, DataError
from neocog.modalities.signal.augment import SignalAugmentConfig, augment_signals, move_labels
from neocog.modalities.signal.choose import SignalConfig, choose_signal
from neocog.modalities.signal.csv_windows import open_csv_windows
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.signal.segments import SegmentSource, SignalTiles, cut_tiles, place_labels
from neocog.tasks.stitch import Stitcher


def npz(tmp_path, **arrays):
    np.savez(tmp_path / "s.npz", **arrays)
    return tmp_path / "s.npz"


def test_labels_for_each_sample_make_a_task_of_their_own(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(4, 2, 9)), np.tile([0, 0, 1, 1, 2, 2, -1, 0, 1], (4, 1))
    source = open_source(npz(tmp_path, x=x, y=y, classes=np.array(["rest", "p", "qrs"])))
    assert (source.task, source.classes, source.format) == ("signal segmentation", ("rest", "p", "qrs"), "signal-npz")
    record = source.read(2)
    assert record.payload.shape == (2, 9)
    assert record.target.tolist() == [0, 0, 1, 1, 2, 2, 255, 0, 1]


def test_labels_of_signals_of_several_lengths_follow_each_other(tmp_path):
    source = open_source(npz(tmp_path, x=np.arange(12.0), lengths=[5, 7], y=np.array(["b"] * 5 + ["a"] * 6 + [""])))
    assert source.classes == ("a", "b")
    assert [source.read(i).target.tolist() for i in range(2)] == [[1] * 5, [0] * 6 + [255]]


def test_a_label_for_each_signal_is_a_class_of_the_signal(tmp_path):
    assert open_source(npz(tmp_path, x=np.zeros((4, 2, 9)), y=[0, 1, 0, 1])).task == "classification"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": [[0, 1, 2]], "classes": np.array(["a", "b"])}, "number the 2 classes from 0; .*received 2"),
        ({"y": [[0, -2, 1]]}, "received -2"),
        ({"y": [["a", "b", "c"]], "classes": np.array(["a", "b"])}, "among the classes that the file names.*'c'"),
    ],
)
def test_wrong_labels_are_named(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        open_source(npz(tmp_path, x=np.zeros((1, 1, 3)), **arrays))


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.zeros(3, np.uint8), r"needs a label\. tiny: train/0: received 4 samples, and labels \(3,\)"),
     (np.full(4, 7, np.uint8), "number the 2 classes from 0; 255 is a sample without a label.*received 7")],
)  # fmt: skip
def test_source_checks_its_labels(labels, message):
    with pytest.raises(DataError, match=message):
        SegmentSource("tiny", {"train": [(np.zeros((1, 4)), labels)]}, ["a", "b"])


def recording(tmp_path, labels, times=None):
    times = range(len(labels)) if times is None else times
    rows = [f"{t},{(-1) ** k * 0.5},{name}" for k, (t, name) in enumerate(zip(times, labels, strict=True))]
    (tmp_path / "r.csv").write_text("\n".join(["time,x,label", *rows]))
    return tmp_path / "r.csv"


def test_recording_is_cut_with_the_label_of_each_sample(tmp_path):
    path = recording(tmp_path, [*"aaabbb", "", *"baab"])
    source = open_csv_windows(path, window=5, task="signal segmentation")
    assert (source.task, source.classes, source.groups) == ("signal segmentation", ("a", "b"), None)
    assert [source.read(i).target.tolist() for i in range(2)] == [[0, 0, 0, 1, 1], [1, 255, 1, 0, 0]]
    assert open_csv_windows(path, window=3).task == "classification"
    gap = recording(tmp_path, "aabbab", [0, 1, 2, 9, 10, 11])
    assert [open_csv_windows(gap, window=3, task="signal segmentation").key(i) for i in range(2)] == ["0", "3"]


def test_task_is_called_segmentation_by_users(tmp_path):
    path = recording(tmp_path, [*"aaabbb", "", *"baab"])
    assert open_source(path, window=5, task="segmentation").task == "signal segmentation"
    assert open_source(path, window=3).task == "classification"
    with pytest.raises(ConfigError, match=r"classification or signal segmentation\. .*received data.task=regression"):
        open_source(path, window=5, task="regression")


def test_windows_of_segments_do_not_overlap(tmp_path):
    with pytest.raises(ConfigError, match=r"don't overlap.*Received: signal\.window 4 and signal\.step 2"):
        open_csv_windows(recording(tmp_path, "aabbab"), window=4, step=2, task="signal segmentation")
    with pytest.raises(DataError, match="no gap in time.*received no stretch of 7 samples without a gap"):
        open_csv_windows(recording(tmp_path, "aabbab"), window=7, task="signal segmentation")


def test_recording_is_split_in_blocks(tmp_path):
    source = open_csv_windows(recording(tmp_path, "ab" * 100), window=5, task="signal segmentation")
    splits = divide(source, val_fraction=0.2, test_fraction=0.2, seed=0)
    for part in (splits.val, splits.test):
        assert 6 <= len(part) <= 8
        assert (np.diff(part) > 1).sum() <= 1  # neighbours, but for the border of two blocks


def test_fingerprint_depends_on_labels():
    x = np.zeros((1, 4))
    sources = [
        SegmentSource("s", {"train": [(x, np.array(labels, np.uint8))]}, ["a", "b"])
        for labels in ([0, 0, 1, 1], [0, 1, 1, 1])
    ]
    assert fingerprint(sources[0]) != fingerprint(sources[1])


def test_check_and_pack_read_segments(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 2, 30))
    y = np.arange(30) // 5 % 3 + np.zeros((12, 1), np.int64)
    path = npz(tmp_path, x=x, y=np.where(y == 2, -1, y))
    report = doctor.check(path)
    assert not [finding for finding in report.findings if finding.kind.level == "error"]
    pack(str(path), tmp_path / "shards")
    source, packed = open_source(path), open_source(tmp_path / "shards")
    assert packed.task == "signal segmentation" and packed.classes == source.classes == ("0", "1")
    assert [packed.read(i).target.tolist() for i in range(12)] == [source.read(i).target.tolist() for i in range(12)]


def long_source(length=3000):
    labels = (np.arange(length) // 100 % 2).astype(np.uint8)
    signal = np.arange(float(length))[None]
    return SegmentSource("long", {"train": [(signal, labels), (signal[:, :700], labels[:700])]}, ["a", "b"])


def test_long_signals_are_cut_into_tiles():
    source = long_source()
    spec, reasons = choose_signal(source, np.arange(2), SignalConfig(), (1, 1024), network="unet_1d", dense=True)
    assert (spec.length, spec.fit, spec.mask) == (1024, "tile", False)
    assert reasons["length"] == "a tile of a signal of up to 3,000 samples"
    tiles, indices = cut_tiles(source, np.arange(2), spec)
    assert isinstance(tiles, SignalTiles) and tiles.task == source.task
    assert tiles.key(1) == "train/0@659"
    assert indices.tolist() == [0, 1, 2, 3, 4]
    for i in indices.tolist():
        record = tiles.read(i)
        assert np.array_equal(record.payload[0].astype(int) // 100 % 2, record.target)
    whole, _ = cut_tiles(source, np.array([1]), spec)
    assert whole is source


@pytest.mark.parametrize("flag_missing", [False, True])
def test_missing_values_of_a_tile_are_filled_as_in_the_whole_signal(flag_missing):
    signal = np.stack([np.arange(30.0), np.arange(30.0)])
    signal[1, 8:22] = np.nan
    source = SegmentSource("s", {"train": [(signal, np.zeros(30, np.uint8))]}, ["a"])
    spec = SignalPreprocess(channels=2, length=8, fit="tile", flag_missing=flag_missing)
    tiles, indices = cut_tiles(source, np.array([0]), spec)
    assert any(8 <= tiles.tiles[i][1] <= 14 for i in indices)
    for i in indices.tolist():
        start = tiles.tiles[i][1]
        decoded = spec.decode(tiles.read(i).payload)
        if not flag_missing or 8 <= start <= 14:
            assert decoded[1].tolist() == list(range(start, start + 8))


@pytest.mark.parametrize("length", [5, 10, 11, 37, 64])
def test_views_put_together_are_the_labels_themselves(length):
    """A network that knows the class from the value: each sample has its own."""
    values = np.random.default_rng(0).integers(0, 3, length)
    spec = SignalPreprocess(channels=1, length=10, fit="tile", scale="none")
    views = spec.views(values[None].astype(np.float64))
    stitcher = Stitcher(views.size, 3)
    count = 0
    for view in views:
        classes = view.inputs[0].nan_to_num(0).long()
        stitcher.add(view, 9.0 * torch.nn.functional.one_hot(classes, 3).T)
        count += 1
    labels, confidence = stitcher.finish()
    assert np.array_equal(labels, values) and confidence > 0.99 and count == views.num


def test_resampled_signal_is_one_view():
    spec = SignalPreprocess(channels=1, length=10, fit="resample", scale="none")
    (view,) = spec.views(np.arange(20.0)[None])
    assert (view.scale, view.inputs.shape) == ((0.5,), (1, 10))
    assert place_labels((np.arange(20) // 10).astype(np.uint8), spec).tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize(
    "settings", [{"shift": 5}, {"shift": 5, "border": "wrap"}, {"warp": 2.0}, {"shift": 3, "warp": 1.0}]
)
def test_labels_move_with_their_signals(settings):
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (40, 6)).repeat(8, axis=1).astype(np.uint8))
    config, samples = SignalAugmentConfig(**settings), np.arange(40, dtype=np.uint64)
    key = {"seed": 1, "epoch": 2, "samples": samples}
    signals = augment_signals(labels[:, None].float(), config=config, fill=torch.tensor(255.0), **key)[:, 0]
    moved = move_labels(labels, config, key, 255)
    sure = (signals - signals.round()).abs() < 1e-3  # not between two labels
    assert sure.float().mean() > 0.8
    assert torch.equal(signals.round()[sure], moved[sure].float())
