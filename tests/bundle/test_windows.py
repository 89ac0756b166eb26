"""A time line of a recording: windows, their times, and merged spans."""

import json

import numpy as np
import pytest

from neocog.bundle import Predictor, windows
from neocog.bundle.windows import WindowFailure, merge_windows, predict_windows, window_samples
from neocog.cli import main
from neocog.cli import predict as predict_verb
from neocog.errors import ConfigError, DataError
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.signal import on_disk, pieces
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.tasks import Classification, MultiLabel, Regression, SignalSegmentation


def backend(inputs):
    """Logits from the mean of each channel: class k if channel k is the larger."""
    return 20 * inputs.mean(dim=2)


def predictor(task=None, channels=2, length=10, **settings):
    names = ("x", "y")[:channels]
    spec = SignalPreprocess(channels=channels, length=length, scale="none", names=names, **settings)
    return Predictor(backend, spec, task or Classification(("rest", "move")))


def recording(tmp_path, values, times, name="r.csv"):
    rows = [f"{t},{x},{y}" for t, (x, y) in zip(times, values, strict=True)]
    (tmp_path / name).write_text("\n".join(["time,x,y", *rows]) + "\n")
    return tmp_path / name


def classes_of(found):
    return [each.prediction.class_name for each in found]


def spans(found):
    return [(each.span.start, each.span.end) for each in found]


def moves(*runs):
    """Rows of two channels for (class, number of samples)."""
    return np.concatenate([np.tile(np.eye(2)[k], (count, 1)) for k, count in runs])


@pytest.mark.parametrize("chunk", [2, 3, 7, 4096])
@pytest.mark.parametrize(("size", "hop"), [(10, None), (10, 5), (4, 7), (10, 3)])
def test_windows_are_those_that_brute_force_finds(tmp_path, monkeypatch, chunk, size, hop):
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    values = np.random.default_rng(0).normal(size=(53, 2)).round(5)
    path = recording(tmp_path, values, np.arange(53) / 50 + 3)
    model = predictor()
    found = list(predict_windows(model, path, f"{size / 50}s", hop and f"{hop * 20}ms"))
    starts = list(range(0, 53 - size + 1, hop or size))
    expected = model.predict([values[start : start + size].T for start in starts])
    assert classes_of(found) == [each.class_name for each in expected]
    assert [each.prediction.probability for each in found] == pytest.approx([each.probability for each in expected])
    assert spans(found) == [pytest.approx((3 + k / 50, 3 + (k + size) / 50)) for k in starts]


def test_window_is_by_default_the_input_and_the_hop_a_window(tmp_path):
    path = recording(tmp_path, moves((0, 25)), range(25))
    assert spans(predict_windows(predictor(), path)) == [(0, 10), (10, 20)]


@pytest.mark.parametrize("chunk", [3, 4096])
def test_no_window_reaches_over_a_gap(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    times = [*range(9), *range(20, 25), *range(40, 42)]
    path = recording(tmp_path, moves((0, len(times))), times)
    assert spans(predict_windows(predictor(), path, 4)) == [(0, 4), (4, 8), (20, 24), (40, 42)]


def test_arrays_have_times_by_their_rate_only(tmp_path):
    values = moves((0, 25)).T
    assert spans(predict_windows(predictor(), values, "10")) == [(0, 10), (10, 20)]
    timed = spans(predict_windows(predictor(), values, "200ms", rate=50))
    assert timed == [pytest.approx((0, 0.2)), pytest.approx((0.2, 0.4))]
    np.save(tmp_path / "a.npy", values.T)
    assert spans(predict_windows(predictor(), tmp_path / "a.npy", 10, 15)) == [(0, 10), (15, 25)]


def test_large_array_is_read_in_pieces(tmp_path, monkeypatch):
    values = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    expected = classes_of(predict_windows(predictor(), values, 10, 3))
    monkeypatch.setattr(on_disk, "LARGE", 1)
    monkeypatch.setattr(windows, "PIECE", 37)
    monkeypatch.setattr(windows, "BATCH", 8)
    assert classes_of(predict_windows(predictor(), tmp_path / "a.npy", 10, 3)) == expected


def test_window_that_can_not_be_read_is_reported_and_the_others_are_predicted(tmp_path):
    values = moves((0, 30))
    values[12, 0] = np.inf
    found = list(predict_windows(predictor(), values.T, 10))
    assert [isinstance(each, WindowFailure) for each in found] == [False, True, False]
    assert "must be finite. the recording, from 10: received inf" in found[1].error


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": "2s"}, r"A window of 2s needs times, and the recording has none\. .*Add --rate"),
        ({"window": 4, "hop": "0.5s"}, "A hop of 0.5s needs times"),
        ({"window": "2 weeks"}, "a number of samples, or a time such as 2s, 500ms or 1min. Received: '2 weeks'"),
        ({"window": "1ms", "rate": 50}, "at least one whole sample.*1ms, which is 0.05 samples"),
        ({"window": "2.5"}, "2.5, which is 2.5 samples.*add a unit"),
        ({"window": 4, "rate": -1.0}, "--rate must be above 0"),
    ],
)
def test_lengths_that_are_none_are_named(given, message):
    with pytest.raises(ConfigError, match=message):
        list(predict_windows(predictor(), np.zeros((2, 50)), **given))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, r"gone\.csv can't be read: it is not a file"),
        ("a.wav", b"RIFF", r"is a \.csv, \.tsv or \.npy file\. Received: .*a\.wav"),
        ("a.npy", b"nothing", r"a\.npy can't be read as a NumPy array"),
        ("r.csv", b"time,x,z\n0,1,1\n1,1,1\n", "missing: y; not known: z"),
    ],
)
def test_recordings_that_can_not_be_read_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(predict_windows(predictor(), tmp_path / name, 2))


def test_other_networks_are_refused():
    dense = predictor(SignalSegmentation(("a", "b")))
    with pytest.raises(
        ConfigError,
        match="has events instead of windows. Received: a network for signal segmentation. Use predict_events",
    ):
        list(predict_windows(dense, np.zeros((2, 50)), 4))
    images = Predictor(backend, ImagePreprocess(size=(4, 4), channels=1), Classification(("a", "b")))
    with pytest.raises(ConfigError, match="Windows are cut from signals. Received: a network that takes image inputs"):
        list(predict_windows(images, np.zeros((2, 50)), 4))


def test_windows_longer_than_the_input_are_told(capsys):
    list(predict_windows(predictor(), np.zeros((2, 50)), 20))
    assert "Windows of 20 samples are cropped to their middle 10" in capsys.readouterr().err
    list(predict_windows(predictor(fit="resample"), np.zeros((2, 50)), 20))
    assert "cropped" not in capsys.readouterr().err


def test_length_in_every_unit():
    found = [window_samples(text, 0.1, "window", "r") for text in ("1", "500ms", "2s", "0.5min", "0.001h", "3 sec")]
    assert found == [1, 5, 20, 300, 36, 30]


def test_merged_spans_meet_halfway_between_their_windows():
    found = list(merge_windows(predict_windows(predictor(), moves((0, 40), (1, 30)).T, 10, 5, rate=10)))
    assert [(each.classes, each.num_windows) for each in found] == [(("rest",), 8), (("move",), 5)]
    assert [(each.span.start, each.span.end) for each in found] == [(0, 4.25), (4.25, 7)]
    assert all(0.5 < each.probability <= 1 for each in found)


def test_merged_spans_of_one_class_end_at_a_gap(tmp_path):
    path = recording(tmp_path, moves((0, 20)), [*range(10), *range(50, 60)])
    assert spans(merge_windows(predict_windows(predictor(), path, 5))) == [(0, 10), (50, 60)]


def test_windows_with_the_same_labels_are_merged():
    model = predictor(MultiLabel(("x", "y")))
    values = moves((0, 20), (1, 20)).T
    values[:, 20:] = 1
    found = list(merge_windows(predict_windows(model, values - 0.5, 10)))
    assert [(each.to_json()["labels"], each.num_windows) for each in found] == [(["x"], 2), (["x", "y"], 2)]


def test_numbers_have_a_time_line_and_are_not_merged():
    model = predictor(Regression(("a", "b")))
    found = list(predict_windows(model, np.ones((2, 30)), 10))
    assert [each.to_json()["a"] for each in found] == pytest.approx([20, 20, 20])
    with pytest.raises(ConfigError, match="Only windows of equal class can be merged. Received: numbers"):
        list(merge_windows(predict_windows(model, np.ones((2, 30)), 10)))


@pytest.fixture
def verb(monkeypatch):
    """`neocog predict` with a network that is not from a file."""
    monkeypatch.setattr(predict_verb, "load", lambda _: predictor())

    def run(capsys, *given):
        code = main(["predict", "model.neocog", *map(str, given)])
        return code, capsys.readouterr()

    return run


def test_command_line_shows_a_table_json_and_csv(verb, tmp_path, capsys):
    path = recording(tmp_path, moves((0, 20), (1, 10)), np.arange(30) / 10)
    code, shown = verb(capsys, path, "--window", "1s")
    lines = [line.split() for line in shown.out.splitlines()]
    assert code == 0 and lines[0] == ["start", "[s]", "end", "[s]", "class", "probability", "next"]
    assert [line[:3] for line in lines[1:]] == [
        ["0.000", "1.000", "rest"], ["1.000", "2.000", "rest"], ["2.000", "3.000", "move"],
    ]  # fmt: skip
    _, shown = verb(capsys, path, "--window", "10", "--json")
    first = json.loads(shown.out.splitlines()[0])
    assert (first["file"], first["start"], first["end"], first["class"]) == (str(path), 0, 1, "rest")
    _, shown = verb(capsys, path, "--window", "10", "--csv", "--merge")
    assert shown.out.splitlines() == [
        "file,start,end,class,probability,windows,error",
        f"{path},0.000000,2.000000,rest,1.000000,2,",
        f"{path},2.000000,3.000000,move,1.000000,1,",
    ]


def test_command_line_reports_windows_that_fail(verb, tmp_path, capsys):
    values = moves((0, 20))
    values[3, 1] = np.inf
    np.save(tmp_path / "a.npy", values.T)
    code, shown = verb(capsys, tmp_path / "a.npy", "--window", "10", "--csv")
    assert code == 2 and "error: Signals must be finite" in shown.err
    assert shown.out.splitlines()[1].startswith(f'{tmp_path / "a.npy"},0.000000,10.000000,,,"Signals must be finite')


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a.csv", "--merge"], "--hop, --rate, --merge and --shortest are for windows of a recording. Received: no"),
        (["-", "--window", "5"], "A recording that is cut into windows is a file. Received: standard input"),
    ],
)
def test_command_line_refuses_what_has_no_effect(verb, capsys, given, message):
    code, shown = verb(capsys, *given)
    assert code == 2 and message in shown.err


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    """No more than a batch of windows and a piece are held: the cutter's buffer stays below a window and a piece."""
    held = []
    extend = windows.Cutter.extend

    def watch(self, signal, times):
        yield from extend(self, signal, times)
        held.append(self.signal.shape[1])

    monkeypatch.setattr(windows.Cutter, "extend", watch)
    monkeypatch.setattr(windows, "PIECE", 64)
    found = list(predict_windows(predictor(), np.zeros((2, 5000)), 10, 5))
    assert len(found) == 999 and max(held) < 10
    assert isinstance(found[0].prediction.probability, float)
