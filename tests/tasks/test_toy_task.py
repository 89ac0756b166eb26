"""A task that is registered from outside is trained, killed, resumed, evaluated, predicted and reported.

It predicts the mean brightness of an image: a regression, of which no part of the program knows.
"""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

import neocog
from neocog.cli import main
from neocog.cli.output import show_evaluation
from neocog.data import AugmentConfig, Record
from neocog.errors import ConfigError, DataError
from neocog.evaluation import Estimate, Evaluation, Exhibit, bootstrap
from neocog.recipes import recipe
from neocog.runs import evaluate, resume, train
from neocog.tasks import TASKS, Criterion, LossConfig, Prediction, Task, register_task
from neocog.training.speed import SpeedConfig

SPLITS = {"train": np.arange(60), "val": np.arange(60, 76), "test": np.arange(76, 100)}


@dataclass(frozen=True, slots=True)
class Brightness(Prediction):
    value: float

    def to_json(self):
        return {"brightness": self.value}

    def cells(self):
        return {"brightness": f"{self.value:.3f}"}


@dataclass(frozen=True, slots=True)
class BrightnessError:
    key: str
    target: float
    prediction: float

    @property
    def target_text(self):
        return f"{self.target:.3f}"

    @property
    def prediction_text(self):
        return f"{self.prediction:.3f}"


class Extremes(Exhibit):
    anchor, title = "extremes", "Darkest and brightest"

    def __init__(self, targets):
        self.targets = targets

    def rows(self):
        return [("", "brightness"), ("least", f"{min(self.targets):.4f}"), ("most", f"{max(self.targets):.4f}")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrightnessEvaluation(Evaluation):
    targets: list[float]
    mae: Estimate
    worst_errors: list[BrightnessError]

    @property
    def exhibits(self):
        return (Extremes(self.targets),)

    @property
    def metrics(self):
        return {"MAE": self.mae}


class MeanBrightness(Task):
    name = "mean brightness"
    criterion = Criterion("MAE", "min")
    progress_metric = "MAE"
    columns = ("brightness",)

    @classmethod
    def encode(cls, targets):
        return super().encode(targets)[:, None]

    def logits_loss(self, logits, targets):
        return F.mse_loss(logits, targets)

    def progress_sum(self, logits, targets):
        return (logits - targets).abs().sum().item()

    def validation(self, logits, targets):
        loss = F.mse_loss(logits, targets).item()
        return {"loss": loss, "MAE": self.progress_sum(logits, targets) / len(targets)}

    def decode(self, logits):
        return logits.double()

    def predictions(self, names: Sequence[str], logits, top):
        return [Brightness(name, value) for name, (value,) in zip(names, self.decode(logits).tolist(), strict=True)]

    def evaluate(self, logits, targets, keys, *, data, split):
        errors = np.abs(logits[:, 0] - targets)
        worst = [BrightnessError(keys[i], float(targets[i]), float(logits[i, 0])) for i in np.argsort(-errors)[:3]]
        mae = bootstrap(lambda values: float(values.mean()), errors)
        return BrightnessEvaluation(
            data=data, split=split, count=len(targets), targets=targets.tolist(), mae=mae, worst_errors=worst
        )


class Squares:
    """Noisy grey images, each with the mean of its pixels, from 0 to 1, as its target."""

    name, classes, modality, task, format = "squares", ("brightness",), "image", "mean brightness", "squares"
    splits, notices = SPLITS, ()

    def __init__(self):
        generator = np.random.default_rng(0)
        levels = generator.integers(20, 236, 100)
        self.images = (levels[:, None, None] + generator.integers(-20, 20, (100, 28, 28))).astype(np.uint8)
        self.targets = self.images.mean(axis=(1, 2)) / 255

    def __len__(self):
        return len(self.images)

    def key(self, index):
        return f"square {index}"

    def content(self):
        yield self.images.tobytes()

    def read(self, index):
        return Record(self.key(index), self.images[index], float(self.targets[index]))


def settings(**changes):
    config = recipe("lenet5_relu", "squares")
    config = replace(config, augment=AugmentConfig(), speed=SpeedConfig(mode="exact"), **changes)
    small = {"epochs": 3, "batch_size": 10, "checkpoint_seconds": 0.0, "checkpoint_steps": 2}
    return replace(config, train=replace(config.train, **small))


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Only here: other tests ask which tasks there are."""
    register_task(MeanBrightness)
    yield
    del TASKS[MeanBrightness.name]


@pytest.fixture(scope="module")
def run(registered, tmp_path_factory):
    return train(settings(), data=Squares(), name="whole", runs=tmp_path_factory.mktemp("runs"))


def test_metrics_are_those_of_the_task(run):
    source, predictor = Squares(), neocog.load(run.bundle)
    found = predictor.predict_values(source.images[SPLITS["test"]])[:, 0]
    errors = np.abs(found - source.targets[SPLITS["test"]])
    assert run.evaluation.mae.value == pytest.approx(errors.mean(), rel=1e-5)
    assert run.evaluation.worst_errors[0].key == f"square {76 + errors.argmax()}"
    assert json.loads((run.path / "evaluation.json").read_text())["mae"] == asdict(run.evaluation.mae)


def test_criterion_of_the_task_chooses_the_checkpoint(run):
    rows = list(csv.DictReader(run.results.read_text().splitlines()))
    errors = [float(row["val_MAE"]) for row in rows]
    assert len(errors) == 3 and all(float(row["train_MAE"]) > 0 for row in rows)
    best, weights = load_file(run.best), neocog.load(run.bundle).model.state_dict()
    assert all((best[f"model/{key}"] == value).all() for key, value in weights.items())
    events = [json.loads(line) for line in run.events.read_text().splitlines()]
    kept = [event["epoch"] for event in events if event["event"] == "epoch" and event["best"]]
    assert kept[-1] == 1 + int(np.argmin(errors))


def test_bundle_stores_the_task_and_evaluates_as_the_run_did(run):
    predictor = neocog.load(run.bundle)
    assert predictor.manifest["task"] == "mean brightness" and isinstance(predictor.task, MeanBrightness)
    assert evaluate(run.bundle, Squares()).to_json() == run.evaluation.to_json()


def test_predictor_gives_values_and_no_probabilities(run):
    predictor, image = neocog.load(run.bundle), Squares().images[80]
    (found,) = predictor.predict(image)
    assert found.value == pytest.approx(predictor.predict_values(image)[0, 0])
    with pytest.raises(ConfigError, match=r"Only classifiers have probabilities. Received: a network for mean bright"):
        predictor.predict_proba(image)
    images = torch.from_numpy(np.stack([predictor.preprocess.decode(image).numpy()] * 2))
    mean = (predictor.logits(images) + predictor.logits(images.flip(3))) / 2
    torch.testing.assert_close(predictor.logits(images, "flip"), mean)


def test_command_line_shows_predictions_of_the_task(run, tmp_path, capsys):
    Image.fromarray(Squares().images[80]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    outputs = []
    for flag in (["--json"], ["--csv"], []):
        assert main(["predict", str(run.bundle), str(tmp_path), *flag]) == 2  # one image can't be read
        outputs.append(capsys.readouterr().out.splitlines())
    (value,) = neocog.load(run.bundle).predict(tmp_path / "a.png")
    assert json.loads(outputs[0][0]) == {"file": str(tmp_path / "a.png"), "brightness": value.value}
    assert outputs[1][0] == "file,brightness,error"
    assert outputs[1][1] == f"{tmp_path / 'a.png'},{value.value:.6f},"
    assert outputs[2][0].split() == ["file", "brightness"] and outputs[2][1].endswith(f"{value.value:.3f}")


def test_report_shows_the_metrics_of_the_task_and_nothing_of_classes(run):
    page = run.report.read_text().partition('<section id="config">')[0]
    assert "<h3>test MAE</h3>" in page and f'<div class="big">{run.evaluation.mae.value:.4f}</div>' in page
    assert "<h3>MAE</h3>" in page and "squares: brightness, 60 training and 16 validation images" in page
    for words in ("Confusion matrix", "Per-class", "Calibration", "accuracy"):
        assert words not in page
    assert '<section id="extremes">\n<h2>Darkest and brightest</h2>' in page and "<td>least</td>" in page
    assert page.count("<figure><img") == 3 and run.evaluation.worst_errors[0].prediction_text in page


def test_evaluation_is_printed_with_the_tables_of_the_task(run, capsys):
    show_evaluation(run.evaluation)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["test,", "24", "samples", "95%", "interval", "method"]
    assert lines[1].startswith(f"MAE               {run.evaluation.mae.value:.4f}") and "bootstrap" in lines[1]
    assert [line.split() for line in lines[3:]] == [["brightness"], *map(list, run.evaluation.exhibits[0].rows()[1:])]


def test_data_with_other_targets_is_refused(run):
    other, empty, waves, named = Squares(), Squares(), Squares(), Squares()
    other.classes, waves.modality, named.task = ("darkness",), "signal", "classification"
    empty.splits, empty.targets = {**SPLITS, "val": np.empty(0, np.int64)}, empty.targets + 0.1
    with pytest.raises(DataError, match=r"on the targets .* squares: received darkness instead of brightness"):
        evaluate(run.bundle, other, split="test")
    with pytest.raises(DataError, match=r"Evaluation needs at least one sample. squares, val: received none"):
        evaluate(run.bundle, empty, split="val")
    with pytest.raises(DataError, match=r"on data for mean brightness. squares \(squares\): received data for class"):
        evaluate(run.bundle, named)
    with pytest.raises(DataError, match=r"kind of data that it was trained on: images. squares: received signals"):
        evaluate(run.bundle, waves)


def test_killed_run_resumes_with_equal_bits(run, tmp_path):
    """The other process is killed while it validates its second epoch."""
    killed = subprocess.run([sys.executable, __file__, str(tmp_path)], env=os.environ, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = resume(tmp_path / "killed", data=Squares())
    found, whole = (neocog.load(each.bundle).model.state_dict() for each in (resumed, run))
    assert found.keys() == whole.keys() and all(torch.equal(found[key], whole[key]) for key in whole)
    assert resumed.evaluation.to_json() == run.evaluation.to_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loss": LossConfig(label_smoothing=0.1)},
            r"label_smoothing .* would be ignored.* is for mean brightness",
        ),
        (
            {"augment": AugmentConfig(mixup=0.2)},
            "augment.cutmix needs classes. squares: received data for mean brightness",
        ),
    ],
)
def test_settings_of_classes_are_refused(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train(replace(settings(), **changes), data=Squares(), runs=tmp_path)


def test_name_of_a_task_is_taken_once():
    with pytest.raises(ConfigError, match=r"Each task needs a name of its own. Received: a second task 'mean bright"):
        register_task(type("Other", (MeanBrightness,), {}))
    assert TASKS["mean brightness"] is MeanBrightness


if __name__ == "__main__":
    validation, calls = MeanBrightness.validation, []

    def validate_and_die(self, logits, targets):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return validation(self, logits, targets)

    MeanBrightness.validation = validate_and_die
    register_task(MeanBrightness)
    train(settings(), data=Squares(), name="killed", runs=Path(sys.argv[1]))
