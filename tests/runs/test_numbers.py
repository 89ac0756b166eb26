"""Each layout with numbers or several labels: trained for an epoch, evaluated, predicted; from the command line."""

import json

import numpy as np
import pytest

import neocog
from neocog.cli import main
from neocog.data.python_objects import as_source
from neocog.errors import ConfigError, DataError
from neocog.recipes.resolve import resolve_config
from neocog.tasks import TASKS
from tests.support.small_sets import npz, picture, sound, write_set

NUM, NAN = 24, np.nan
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(NUM, 40)).astype(np.float32)
IMAGES = GENERATOR.integers(0, 256, (NUM, 32, 32)).astype(np.uint8)
Y = X[:, :3].sum(axis=1) * 2.5
MARKS = np.stack([Y > 0, np.arange(NUM) % 3 == 0], axis=1)


def table(head, name, *columns):
    rows = "".join(f"{name.format(k)},{','.join(row)}\n" for k, row in enumerate(zip(*columns, strict=True)))
    return f"{head}\n{rows}".encode()


WRITTEN, OTHER = [f"{y:.3f}" for y in Y], ["" if k == 5 else f"{k * 1.5:g}" for k in range(NUM)]
SKY, SEA = ([f"{int(mark)}" for mark in column] for column in MARKS.T)
SEA_UNKNOWN = ["" if k == 4 else mark for k, mark in enumerate(SEA)]
PICTURES = {f"{k}.png": picture(k, size=(32, 32)) for k in range(NUM)}
SOUNDS = {f"{k}.wav": sound("WAV") for k in range(NUM)}
TS = "@problemName T\n@univariate true\n@targetLabel true\n@data\n"
TS += "".join(",".join(f"{v:.4g}" for v in x) + f":{y:.3f}\n" for x, y in zip(X, Y, strict=True))
IMAGE, SIGNAL, SOUND, TEXT = ("lenet5_relu", "spectrum_cnn", "speech_res8", "text_cnn")
SETS = {
    "images, a number": ({"a.csv": table("file,age", "{}.png", WRITTEN), **PICTURES}, ".", IMAGE, "regression"),
    "images, numbers": (
        {"a.csv": table("file,fat (%),water", "{}.png", WRITTEN, OTHER), **PICTURES}, ".", IMAGE, "regression",
    ),
    "images, labels": (
        {"a.csv": table("file,sky,sea", "{}.png", SKY, SEA_UNKNOWN), **PICTURES}, ".", IMAGE, "multi-label",
    ),
    "image arrays": ({"a.npz": npz(x=IMAGES, y=Y)}, "a.npz", IMAGE, "regression"),
    "signals, ts": ({"T.ts": TS.encode()}, "T.ts", SIGNAL, "regression"),
    "signals, labels": ({"a.npz": npz(x=X, y=MARKS)}, "a.npz", "time_series_fcn", "multi-label"),
    "sounds, a number": ({"a.csv": table("file,age", "{}.wav", WRITTEN), **SOUNDS}, ".", SOUND, "regression"),
    "sounds, labels": ({"a.csv": table("file,sky,sea", "{}.wav", SKY, SEA), **SOUNDS}, ".", SOUND, "multi-label"),
    "texts, a number": ({"a.csv": table("text,score", "film {}", WRITTEN)}, "a.csv", TEXT, "regression"),
    "texts, labels": ({"a.csv": table("text,topic", "film {}", ["a|b" if m == "1" else "b" for m in SKY])}, "a.csv",
                      TEXT, "multi-label"),
}  # fmt: skip


@pytest.mark.parametrize("layout", SETS)
def test_set_is_checked_trained_evaluated_and_predicted(layout, tmp_path, capsys, monkeypatch):
    files, place, network, task = SETS[layout]
    monkeypatch.chdir(tmp_path)
    path = str(write_set(tmp_path / "set", files) / place)
    flags = ["--task", task] if layout == "texts, labels" else []
    assert main(["check", path, "--no-skip-list", *flags]) in (0, 1)
    capsys.readouterr()
    recipe = ["--recipe", "general"] if network == IMAGE else []
    made = ["train", path, "--epochs", "1", "--model", network, "--name", "r", "--speed.mode", "exact", *recipe, *flags]
    assert main(made) == 0, capsys.readouterr().err
    bundle = "runs/r/model.neocog"
    assert neocog.load(bundle).task.name == task
    capsys.readouterr()
    assert main(["eval", bundle, path, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    run = json.loads((tmp_path / "runs/r/evaluation.json").read_text())
    name = "MAE" if task == "regression" else "mAP"
    assert figures["metrics"][name] == run["metrics"][name] if "metrics" in figures else figures == run
    inputs = {IMAGE: "0.png", SOUND: "0.wav"}.get(network)
    if inputs and (tmp_path / "set" / inputs).exists():
        assert main(["predict", bundle, str(tmp_path / "set" / inputs), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        outputs = neocog.load(bundle).classes
        assert {*outputs} <= {*found} if task == "regression" else {"labels", "top"} <= {*found}


def test_pairs_of_arrays_are_trained_as_numbers(tmp_path):
    run = neocog.train((X, Y), runs=tmp_path, epochs=1, overrides={"speed.mode": "exact"})
    assert run.path.name == "data-spectrum_cnn-1"
    assert run.evaluation.outputs == ("target",)
    assert neocog.evaluate(run.bundle, (X, Y)).outputs == ("target",)
    grades = (np.arange(NUM) % 5, {"data.task": "regression", "speed.mode": "exact"})
    run = neocog.train((X, grades[0]), runs=tmp_path, epochs=1, overrides=grades[1])
    assert neocog.load(run.bundle).task.name == "regression"
    assert neocog.evaluate(run.bundle, (X, grades[0])).outputs == ("target",)  # read as the network was trained


def test_recipe_follows_from_the_task(tmp_path):
    path = write_set(tmp_path / "set", {"T.ts": TS.encode()}) / "T.ts"
    resolved, _ = resolve_config(str(path), epochs=2)
    assert resolved.config.model.name == "spectrum_cnn"
    assert resolved.config.train.epochs == 2
    stars = write_set(tmp_path / "b", {"a.npz": npz(x=X, y=np.arange(NUM) % 5)}) / "a.npz"
    assert resolve_config(str(stars), epochs=2)[0].config.model.name != "spectrum_cnn"
    assert resolve_config(str(stars), epochs=2, task="regression")[0].config.model.name == "spectrum_cnn"


def test_task_is_given_once(tmp_path):
    with pytest.raises(ConfigError, match="A setting is given once. task and data.task are the same setting"):
        resolve_config("mnist", task="regression", overrides={"data.task": "regression"})


def test_unknown_task_is_refused(tmp_path, capsys):
    path = write_set(tmp_path / "set", {"T.ts": TS.encode()}) / "T.ts"
    assert main(["train", str(path), "--task", "ranking", "--epochs", "1"]) == 2
    assert "data.task must be 'classification', 'multi-label', 'regression'" in capsys.readouterr().err
    assert main(["train", str(path), "--task", "multi-label", "--epochs", "1"]) == 2
    message = "These data can be read for classification or regression. "
    assert message in capsys.readouterr().err
    assert main(["check", str(path), "--task", "classification", "--no-skip-list"]) == 2
    assert "These data can be read for regression." in capsys.readouterr().err


def test_targets_are_matched_by_the_names_of_the_outputs(capsys):
    task = TASKS["regression"](("fat", "water"))
    values = np.stack([np.arange(4) * 1.5, np.arange(4) + 10.5], axis=1)
    x = np.zeros((4, 8))
    swapped = as_source((x, values[:, ::-1].copy()), classes=("water", "fat"))
    np.testing.assert_array_equal(task.match_targets(swapped, np.arange(4)), values)
    one = as_source((x, values[:, 1]), classes=("water",))
    found = task.match_targets(one, np.arange(4))
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_array_equal(found[:, 1], values[:, 1])
    assert "has no values of fat, which are not measured" in "".join(capsys.readouterr())
    evaluation = task.evaluate(np.zeros((4, 2), np.float32), found, list("abcd"), data="d", split="test")
    assert [one.mae is None for one in evaluation.per_output] == [True, False]
    assert evaluation.mae.value == pytest.approx(values[:, 1].mean())
    with pytest.raises(DataError, match="on the numbers that it predicts. .*received salt, ash instead of fat, water"):
        task.match_targets(as_source((x, values), classes=("salt", "ash")), np.arange(4))


def test_single_output_is_matched_whatever_it_is_called(capsys):
    task = TASKS["regression"](("fat",))
    found = task.match_targets(as_source((np.zeros((3, 8)), np.array([0.5, 1, 2]))), np.arange(3))
    assert found.tolist() == [[0.5], [1], [2]]
    assert "'target' of data is compared with the output 'fat'" in "".join(capsys.readouterr())
