"""A time line of events: the runs of one class along a recording that is longer than the network's input."""

import json
from itertools import groupby, pairwise

import numpy as np
import pytest
import torch

from neocog.bundle import Predictor, windows
from neocog.bundle.events import Run, merge_runs, predict_events
from neocog.bundle.windows import WindowFailure
from neocog.cli import main
from neocog.cli import predict as predict_verb
from neocog.errors import ConfigError
from neocog.modalities.signal import pieces
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.tasks import Classification, SignalSegmentation
from neocog.tasks.stitch import edge_weights

CLASSES = ("rest", "move", "jump")
LENGTH = 16


def pointwise(inputs):
    """Each sample's channels as its logits."""
    return 20 * inputs[:, :3]


def by_place(inputs):
    """Logits that depend on where in its window a sample is, so that blending matters."""
    ramp = torch.linspace(-1, 1, inputs.shape[2])
    return 3 * inputs + torch.stack([ramp, -ramp, ramp**2])


def predictor(backend=pointwise, length=LENGTH, task=None, **settings):
    names = ("x", "y", "z")
    spec = SignalPreprocess(channels=3, length=length, scale="none", names=names, fit="tile", **settings)
    return Predictor(backend, spec, task or SignalSegmentation(CLASSES))


def signal(*runs):
    """(3, L) for runs of (class, samples)."""
    return np.concatenate([np.tile(np.eye(3)[:, [k]], count) for k, count in runs], axis=1)


def table(path, values, times):
    rows = [",".join(map(str, (t, *row))) for t, row in zip(times, values.T.tolist(), strict=True)]
    path.write_text("\n".join(["time,x,y,z", *rows]) + "\n")
    return path


def spans(found):
    return [(each.span.start, each.span.end, each.class_name) for each in found]


RUNS = ((0, 23), (1, 9), (0, 30), (2, 41), (1, 4))


@pytest.mark.parametrize("chunk", [3, 4096])
@pytest.mark.parametrize("hop", [None, 1, 5, LENGTH])
def test_events_are_the_runs_of_the_recording_whatever_the_windows(tmp_path, monkeypatch, chunk, hop):
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    values = signal(*RUNS)
    path = table(tmp_path / "a.csv", values, np.arange(values.shape[1]) / 10)
    found = list(predict_events(predictor(), path, hop=hop))
    ends = (np.cumsum([count for _, count in RUNS]) / 10).tolist()
    assert [each.class_name for each in found] == [CLASSES[k] for k, _ in RUNS]
    assert [each.span.end for each in found] == pytest.approx(ends)
    assert [each.span.start for each in found] == pytest.approx([0, *ends[:-1]])
    share = 1 / (1 + 2 * np.exp(-20))
    assert all(each.span.in_seconds and each.probability == pytest.approx(share) for each in found)


@pytest.mark.parametrize(("size", "hop"), [(16, 12), (16, 5), (11, 3)])
def test_overlapping_windows_are_blended(size, hop):
    """By brute force: the weighted mean of the probabilities of all windows that hold a sample."""
    values = np.random.default_rng(0).normal(size=(3, 90))
    model = predictor(by_place)
    starts = [*range(0, 90 - size, hop), 90 - size]
    sums, total = np.zeros((3, 90)), np.zeros(90)
    for start in starts:
        part = model.preprocess.decode(values[:, start : start + size])
        probs = model.logits(part[None])[0].softmax(dim=0)[:, :size]
        sums[:, start : start + size] += (probs * edge_weights((size,))).numpy()
        total[start : start + size] += edge_weights((size,)).numpy()
    probs = sums / total
    labels = probs.argmax(axis=0).tolist()
    found = list(predict_events(model, values, size, hop))
    expected, at = [], 0
    for label, group in groupby(labels):
        count = len(list(group))
        expected.append((at, at + count, CLASSES[label]))
        at += count
    assert len(expected) > 10 and spans(found) == expected
    for each, (start, end, name) in zip(found, expected, strict=True):
        assert each.probability == pytest.approx(probs[CLASSES.index(name), start:end].mean(), rel=1e-5)


def test_short_recording_is_one_window_and_the_end_is_covered():
    assert spans(predict_events(predictor(), signal((1, 5)))) == [(0, 5, "move")]
    assert spans(predict_events(predictor(), signal((0, 16), (2, 1)))) == [(0, 16, "rest"), (16, 17, "jump")]


def test_no_event_reaches_over_a_gap(tmp_path):
    times = [*range(20), *range(50, 55), *range(80, 120)]
    path = table(tmp_path / "a.csv", signal((1, 65)), times)
    assert spans(predict_events(predictor(), path)) == [(0, 20, "move"), (50, 55, "move"), (80, 120, "move")]


def test_windows_that_fail_leave_their_samples_out():
    values = signal((1, 100))
    values[0, 50] = np.inf
    found = list(predict_events(predictor(), values, hop=LENGTH))
    failures = [each for each in found if isinstance(each, WindowFailure)]
    assert [(each.span.start, each.span.end) for each in failures] == [(48, 64)]
    assert "must be finite. the recording, from 48" in failures[0].error
    assert spans(each for each in found if each not in failures) == [(0, 48, "move"), (64, 100, "move")]


def test_first_window_of_a_stretch_that_fails_does_not_touch_the_stretch_before(tmp_path):
    values = signal((1, 20), (0, 40))
    path = table(tmp_path / "a.csv", values, [*range(20), *range(100, 140)])
    text = path.read_text().replace("102,", "102,inf,0,0#").split("\n")
    path.write_text("\n".join(line.split("#")[0] for line in text))
    found = [each for each in predict_events(predictor(), path, hop=LENGTH) if not isinstance(each, WindowFailure)]
    assert spans(found) == [(0, 20, "move"), (116, 140, "rest")]


def test_resampled_windows_come_back_to_their_samples():
    values = signal((0, 64), (1, 64), (0, 64))
    model = predictor()
    model.preprocess = SignalPreprocess(channels=3, length=LENGTH, scale="none", names=("x", "y", "z"), fit="resample")
    found = spans(predict_events(model, values, 192))
    assert [name for *_, name in found] == ["rest", "move", "rest"]
    assert found[0][1] == pytest.approx(64, abs=7) and found[1][1] == pytest.approx(128, abs=7)


def test_short_events_are_left_out_or_merged():
    values = signal((0, 30), (1, 2), (0, 20), (2, 3), (1, 25))
    all_of_it = [(0, 30, "rest"), (30, 32, "move"), (32, 52, "rest"), (52, 55, "jump"), (55, 80, "move")]
    assert spans(predict_events(predictor(), values)) == all_of_it
    assert spans(predict_events(predictor(), values, shortest=4)) == [all_of_it[0], all_of_it[2], all_of_it[4]]
    merged = list(predict_events(predictor(), values, shortest=4, merge=True))
    assert spans(merged) == [(0, 55, "rest"), (55, 80, "move")]
    assert merged[0].probability == pytest.approx(50 / 55, abs=1e-6)


def runs_of(labels):
    found, at = [], 0
    for label, group in groupby(labels):
        count = len(list(group))
        found.append(Run(float(at), float(at + count - 1), label, count, np.zeros(3)))
        at += count
    return found


def merged_by_brute_force(labels, least):
    """The rule on a list of labels: the shortest run first, the first of equal ones, until none is short."""
    labels = list(labels)
    while True:
        runs = runs_of(labels)
        short = [(run.count, i) for i, run in enumerate(runs) if run.count < least]
        if not short or len(runs) == 1:
            return runs
        i = min(short)[1]
        left = runs[i - 1] if i else None
        right = runs[i + 1] if i + 1 < len(runs) else None
        kept = left if right is None or (left is not None and left.count >= right.count) else right
        if left is not None and right is not None and left.label == right.label:
            kept = left
        labels[int(runs[i].start) : int(runs[i].last) + 1] = [kept.label] * runs[i].count


@pytest.mark.parametrize("seed", range(20))
def test_merged_runs_are_those_of_brute_force_between_long_runs(seed):
    """A long run settles what is before it, so brute force is applied from one long run to the next."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, 3, 40), rng.choice([1, 2, 3, 9], 40)).tolist()
    found = list(merge_runs(runs_of(labels), 4))
    assert sum(run.count for run in found) == len(labels)
    assert all(run.count >= 4 for run in found)
    assert all(one.label != other.label and one.last + 1 == other.start for one, other in pairwise(found))
    if seed < 10:  # no long run but at the ends
        inner = np.repeat(rng.integers(0, 3, 12), rng.choice([1, 2, 3], 12)).tolist()
        inner = [0] * 9 + [1, *inner, 0] + [2] * 9
        if all(run.count < 10 for run in runs_of(inner)[1:-1]):
            expected = merged_by_brute_force(inner, 10)
            assert [(r.start, r.last, r.label) for r in merge_runs(runs_of(inner), 10)] == [
                (r.start, r.last, r.label) for r in expected
            ]


def test_run_without_neighbours_stays():
    assert [run.count for run in merge_runs(runs_of([1, 1]), 5)] == [2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"merge": True}, "--merge joins short events with those beside them, and --shortest says which are short"),
        ({"hop": 17}, "a hop is at most a window. the recording: received a hop of 17 samples, and windows of 16"),
        ({"shortest": "2s"}, "A shortest of 2s needs times, and the recording has none"),
    ],
)
def test_settings_that_make_no_time_line_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        list(predict_events(predictor(), signal((0, 40)), **given))


def test_other_networks_are_refused():
    model = predictor(task=Classification(CLASSES))
    with pytest.raises(ConfigError, match=r"Events come from .* each sample its class\. .* Use predict_windows"):
        list(predict_events(model, signal((0, 40))))


def test_longer_windows_are_told(capsys):
    assert len(list(predict_events(predictor(), signal((0, 40)), 30))) == 1
    assert "Windows of 30 samples are longer than the network's input, so windows have 16" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_recording(monkeypatch):
    held = []
    extend = windows.Cutter.extend
    from neocog.bundle.events import CoveringCutter

    extend = CoveringCutter.extend

    def watch(self, values, times):
        yield from extend(self, values, times)
        held.append(self.signal.shape[1])

    monkeypatch.setattr(CoveringCutter, "extend", watch)
    monkeypatch.setattr(windows, "PIECE", 64)
    assert len(list(predict_events(predictor(), signal((0, 5000))))) == 1
    assert max(held) <= 2 * LENGTH


@pytest.fixture
def verb(monkeypatch, capsys):
    """`neocog predict` with a network that is not from a file."""
    monkeypatch.setattr(predict_verb, "load", lambda _: predictor())

    def run(*given):
        code = main(["predict", "model.neocog", *map(str, given)])
        return code, capsys.readouterr()

    return run


def test_command_line_shows_events(verb, tmp_path):
    values = signal((0, 30), (1, 2), (2, 20))
    path = table(tmp_path / "a.csv", values, np.arange(52) / 10)
    code, shown = verb(path, "--window", "1.6s")
    lines = [line.split() for line in shown.out.splitlines()]
    assert code == 0 and lines[0] == ["start", "[s]", "end", "[s]", "class", "probability"]
    assert [line[:3] for line in lines[1:]] == [
        ["0.000", "3.000", "rest"], ["3.000", "3.200", "move"], ["3.200", "5.200", "jump"],
    ]  # fmt: skip
    _, shown = verb(path, "--window", "16", "--csv", "--shortest", "500ms", "--merge")
    rows = shown.out.splitlines()
    assert rows[0] == "file,start,end,class,probability,error" and len(rows) == 3
    assert rows[1].startswith(f"{path},0.000000,3.200000,rest,0.937500,")
    _, shown = verb(path, "--window", "16", "--json", "--shortest", "5")
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [(row["start"], row["class"]) for row in found] == [(0, "rest"), (pytest.approx(3.2), "jump")]


def test_shortest_is_refused_for_classes(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(predict_verb, "load", lambda _: predictor(task=Classification(CLASSES)))
    path = table(tmp_path / "a.csv", signal((0, 30)), range(30))
    assert main(["predict", "m", str(path), "--window", "5", "--shortest", "3"]) == 2
    assert (
        "--shortest is for networks that give each sample its class. Received: a network for" in capsys.readouterr().err
    )
