import base64
import io
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import neocog
from neocog.cli import main
from neocog.dataset.record import Record
from neocog.modalities.signal.augment import SignalAugmentConfig
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.signal.segments import SegmentSource
from neocog.recipes import recipe, recipe_for
from neocog.runs import PYTHON, evaluate, resolve, train
from neocog.tasks import TASKS, SignalSegmentation, SignalSegmentPrediction
from neocog.tasks.loss import LossConfig


def bursts(num=36, length=300):
    """A slow wave with bursts of a fast one, which are the second class."""
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(num):
        labels = np.zeros(length, np.uint8)
        for start in rng.integers(0, length - 60, 2).tolist():
            labels[start : start + 40] = 1
        times = np.arange(length)
        signal = np.sin(times / 20) + labels * np.sin(times * 1.5) + 0.1 * rng.normal(size=length)
        pairs.append((signal[None].astype(np.float32), labels))
    return SegmentSource("bursts", {"train": pairs[:20], "val": pairs[20:28], "test": pairs[28:]}, ["rest", "burst"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    given = {"train.epochs": 6, "train.batch_size": 5, "speed.mode": "exact", "optimizer.lr": 0.01}
    settings = resolve(recipe("signal_segmentation", "bursts"), PYTHON, [(PYTHON, given)])
    return train(settings, data=bursts(), name="whole", runs=tmp_path_factory.mktemp("runs"))


def test_network_learns_where_the_bursts_are(run):
    found = run.evaluation.metrics
    assert list(found) == ["F1", "event F1", "sample accuracy"]
    assert found["F1"].value > 0.9 and found["event F1"].value > 0.7
    assert "val_F1" in run.results.read_text().splitlines()[0]
    assert 'section id="classes"' in run.report.read_text()


def test_bundle_evaluates_as_the_run_did(run):
    assert evaluate(run.bundle, bursts()).to_json() == run.evaluation.to_json()


def test_signals_of_any_length_get_a_class_for_each_sample(run):
    model = neocog.load(run.bundle)
    source = bursts()
    signal = np.concatenate([source.read(i).payload for i in range(28, 33)], axis=1)
    truth = np.concatenate([source.read(i).target for i in range(28, 33)])
    for length in (40, 300, 1500):
        (found,) = model.predict([signal[:, :length]])
        assert found.labels.shape == (length,)
    assert (found.labels == truth).mean() > 0.9
    shown = found.to_json()
    assert shown["length"] == 1500
    assert [part["end"] for part in shown["segments"][:-1]] == [part["start"] for part in shown["segments"][1:]]


def test_command_line_gives_segments(run, tmp_path, capsys):
    np.save(tmp_path / "a.npy", bursts().read(30).payload)
    assert main(["predict", str(run.bundle), str(tmp_path / "a.npy"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["length"] == 300 and {part["class"] for part in found["segments"]} == {"rest", "burst"}
    assert main(["predict", str(run.bundle), str(tmp_path / "a.npy")]) == 0
    assert "segments" in capsys.readouterr().out.splitlines()[0]


def test_loss_is_that_of_images_of_one_row():
    logits, labels = torch.randn(3, 4, 20), torch.randint(0, 4, (3, 20), dtype=torch.uint8)
    labels[0, :5] = 255
    task = SignalSegmentation(("a", "b", "c", "d"))
    flat = [F.cross_entropy(x[None], y[None].long(), ignore_index=255) for x, y in zip(logits, labels, strict=True)]
    cross = SignalSegmentation(task.classes, LossConfig(kind="cross_entropy"))
    torch.testing.assert_close(cross.logits_loss(logits, labels), torch.stack(flat).mean())
    both = task.logits_loss(logits, labels) - cross.logits_loss(logits, labels)
    rows = SignalSegmentation(task.classes, LossConfig(kind="dice")).logits_loss(logits[:, :, None], labels[:, None])
    torch.testing.assert_close(both, rows)


def test_validation_metric_is_the_macro_f1_of_all_samples():
    logits = torch.zeros(2, 2, 4)
    logits[:, 1, :2] = 1.0
    targets = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 255]], dtype=torch.uint8)
    task = SignalSegmentation(("a", "b"))
    found = task.validation(task.score(logits, targets), targets)
    assert found["sample accuracy"] == pytest.approx(6 / 7)
    assert found["F1"] == pytest.approx((2 * 3 / 7 + 2 * 3 / 7) / 2)


def test_targets_move_only_if_the_signals_do():
    spec = SignalPreprocess(channels=1, length=8)
    assert SignalSegmentation.mover(SignalAugmentConfig(jitter=0.1), spec) is None
    assert SignalSegmentation.mover(None, spec) is None
    move = SignalSegmentation.mover(SignalAugmentConfig(shift=3), spec)
    key = {"seed": 0, "epoch": 0, "samples": np.arange(4, dtype=np.uint64)}
    assert move(torch.ones(4, 8, dtype=torch.uint8), key).unique().tolist() == [1, 255]


def test_trace_is_drawn_in_the_colours_of_the_classes():
    task = SignalSegmentation(("rest", "burst"))
    labels = np.array([0] * 50 + [1] * 50, np.uint8)
    prediction = SignalSegmentPrediction("a", task.classes, labels, 0.9)
    drawing = task.draw(Record("a", np.sin(np.arange(100.0))[None], labels), prediction)
    image = Image.open(io.BytesIO(base64.b64decode(drawing.address.partition(",")[2]))).convert("RGB")
    colours = dict(task.legend)
    for row in (102, 114):  # the true classes, then the predicted ones
        shown = ["#{:02x}{:02x}{:02x}".format(*image.getpixel((x, row))) for x in (40, 320)]
        assert shown == [colours["rest"], colours["burst"]]
    assert prediction.cells() == {"samples": "100", "segments": "rest 0-50, burst 50-100", "confidence": "90.0%"}


def test_recipe_and_task_are_those_of_signals_with_a_class_for_each_sample():
    assert recipe_for(None, "signal", "signal segmentation") == "signal_segmentation"
    assert TASKS["signal segmentation"] is SignalSegmentation
