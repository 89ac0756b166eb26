"""Runs that are given more epochs: bit by bit where the schedule allows, else by a new run from their model."""

import re
import shlex
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from neocog import evaluate, load, recipe, resume, train
from neocog.cli.app import main
from neocog.data import AugmentConfig
from neocog.errors import CheckpointError, ConfigError, RunError
from neocog.runs import Run
from neocog.runs.extend import same_rates
from neocog.training import Interrupted, OptimizerConfig, ScheduleConfig
from neocog.training.monitoring import MonitorConfig

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}


@pytest.fixture(scope="module")
def colours(tmp_path_factory, draw):
    root = tmp_path_factory.mktemp("data") / "colours"
    draw(root, COLOURS, count=12)
    return root


@pytest.fixture(scope="module")
def finished(colours, tmp_path_factory):
    """Runs of one, two and four epochs, by their number of epochs. Not to be changed."""
    runs = tmp_path_factory.mktemp("runs")
    return {epochs: train(config(colours, epochs), name=f"of_{epochs}", runs=runs) for epochs in (1, 2, 4)}


@pytest.fixture
def run_of(finished, tmp_path):
    """A copy of one of them, under the name r."""
    return lambda epochs: Run(shutil.copytree(finished[epochs].path, tmp_path / "r"))


def config(data, epochs, schedule="constant", *, lr=0.01, **settings):
    plain = recipe("lenet5_relu", str(data))
    course = {"name": schedule} if isinstance(schedule, str) else schedule
    return replace(
        plain,
        optimizer=OptimizerConfig(name="adamw", lr=lr),
        schedule=ScheduleConfig(**course),
        augment=AugmentConfig(shift=2),
        train=replace(plain.train, epochs=epochs, batch_size=8, ema_decay=0.9, device="cpu", **settings),
    )


def said(capsys):
    return " ".join(capsys.readouterr().err.split())


def tensors(run):
    return load_file(run.last), load(run.bundle).model.state_dict()


def all_equal(one, other):
    return all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
        for a, b in zip(tensors(one), tensors(other), strict=True)
    )


ALLOWED = {
    "constant with warm-up": {"name": "constant", "warmup_epochs": 1.5},
    "step": {"name": "step", "step_epochs": 2.0},
    "restarts": {"name": "restarts", "restart_epochs": 1.0, "warmup_epochs": 0.5},
}


@pytest.mark.parametrize(
    ("schedule", "allowed"),
    [
        ({"name": "constant"}, True),
        ({"name": "constant", "warmup_epochs": 2}, True),
        ({"name": "constant", "warmup_epochs": 2.5}, False),  # cut short by the end of a run of two epochs
        ({"name": "step", "step_epochs": 1}, True),
        ({"name": "restarts", "restart_epochs": 3}, True),
        ({"name": "cosine"}, False),
        ({"name": "cosine", "final": 1}, True),  # falls nowhere
        ({"name": "linear"}, False),
        ({"name": "polynomial"}, False),
        ({"name": "triangular"}, False),
        ({"name": "one_cycle"}, False),
        ({"name": "sequence", "phases": ("constant 2 at 1",)}, False),  # phases last as long as training
    ],
)
def test_same_rates_tells_which_schedules_allow_more_epochs(schedule, allowed, colours):
    assert same_rates(config(colours, 2, schedule), step=8, planned=2, wanted=4, epoch_steps=4) == allowed


@pytest.mark.parametrize("name", ALLOWED)
def test_extended_run_equals_one_planned_so_long_bit_by_bit(name, colours, tmp_path):
    whole = train(config(colours, 4, ALLOWED[name]), name="whole", runs=tmp_path)
    run = train(config(colours, 2, ALLOWED[name]), name="r", runs=tmp_path)
    before = run.bundle.read_bytes()
    extended = resume(run.path, epochs=4)
    assert all_equal(extended, whole)
    assert run.bundle.read_bytes() != before and Run(run.path).finished
    assert extended.evaluation.to_json() == whole.evaluation.to_json() | {"data": extended.evaluation.data}
    assert yaml.safe_load(run.config.read_text())["train"]["epochs"] == 4
    assert len(run.results.read_text().splitlines()) == 5
    assert not run.extension.exists()


def test_extended_run_says_that_its_test_figures_were_known(colours, run_of, capsys):
    run = run_of(1)
    assert "extended" not in run.report.read_text()
    resume(run.path, epochs=2)
    words = "The run was extended from 1 to 2 epochs when its test metrics were known"
    assert words in said(capsys) and words in run.report.read_text()
    resume(run.path, epochs=3)
    told = run.report.read_text()
    assert words in told and "from 2 to 3 epochs" in told
    assert len(load(run.bundle).manifest["extended"]) == 2
    assert evaluate(run.bundle, colours).count


REFUSED = {
    "one_cycle": "one_cycle",
    "sequence": {"name": "sequence", "phases": ("linear 1 from 0 to 1", "linear 1 to 0")},
    "a warm-up that was cut short": {"name": "constant", "warmup_epochs": 3.0},
}


@pytest.mark.parametrize("name", REFUSED)
def test_extend_refuses_a_spread_schedule_and_names_a_working_command(name, colours, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = train(config(colours, 2, REFUSED[name]), name="r r")  # a name that a shell has to be told as one word
    kept = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    capsys.readouterr()
    assert main(["train", "--resume", "r r", "--epochs", "4"]) == 2
    told = said(capsys)
    assert f"The schedule {run_schedule(run)} of runs/r r spreads its rates over 2 epochs, so a run of 4" in told
    command = shlex.split(re.search(r"start from its model: (.*)", told)[1])
    assert command[:3] == ["neocog", "train", str(colours)] and "runs/r r/model.neocog" in command
    assert ("--epochs" in command) == (name != "sequence")
    assert all(path.read_bytes() == content for path, content in kept.items()) and Run(run.path).finished
    assert main([*command[1:], "--name", "two"]) == 0
    assert "Weights start from" in said(capsys)
    assert load("runs/two/model.neocog").preprocess == load(run.bundle).preprocess


def run_schedule(run):
    return yaml.safe_load(run.config.read_text())["schedule"]["name"]


def test_resume_of_a_finished_run_names_the_command_that_trains_further(run_of, capsys):
    run = run_of(1)
    with pytest.raises(
        RunError,
        match=r"A finished run has nothing left to resume\. Found in .*, whose report is .*To train it further: ",
    ):
        resume(run.path)
    capsys.readouterr()
    assert main(["train", "--resume", str(run.path)]) == 2
    command = shlex.split(re.search(r"To train it further: (.*)", said(capsys))[1])
    assert command == ["neocog", "train", "--resume", str(run.path), "--epochs", "2"]
    assert main(command[1:]) == 0
    assert len(Run(run.path).results.read_text().splitlines()) == 3


@pytest.mark.parametrize(("epochs", "error"), [(2, RunError), (1, RunError), (0, ConfigError), ("many", ConfigError)])
def test_extend_refuses_fewer_epochs_and_non_numbers(epochs, error, run_of):
    run = run_of(2)
    words = {
        RunError: r"more epochs than it has\. .*r: received --epochs \d+, after 2 of 2 epochs",
        ConfigError: "epochs",
    }
    with pytest.raises(error, match=words[error]):
        resume(run.path, epochs=epochs)
    assert Run(run.path).finished


def test_extend_refuses_a_run_that_stopped_early(colours, tmp_path):
    run = train(config(colours, 9, lr=1e-9, patience=1), name="r", runs=tmp_path)
    done = len(run.results.read_text().splitlines()) - 1
    assert done < 9
    with pytest.raises(RunError, match=rf"stopped early after {done} epochs, and a run of 20 would have stopped there"):
        resume(run.path, epochs=20)


def stop_at(monkeypatch, step):
    def due(checkpointer, now):
        if now == step:
            signal.raise_signal(signal.SIGINT)
        return False

    monkeypatch.setattr("neocog.runs.checkpoints.RunCheckpointer.due", due)


def test_stopped_extension_keeps_the_finished_model_and_resumes(finished, run_of, monkeypatch):
    whole = finished[4]
    run = run_of(2)
    files = (run.bundle, run.figures, run.report, run.config)
    kept = [path.read_bytes() for path in files]
    with monkeypatch.context() as patched, pytest.raises(Interrupted, match="--resume"):
        stop_at(patched, 10)
        resume(run.path, epochs=4)
    assert [path.read_bytes() for path in files] == kept
    assert not Run(run.path).finished
    extended = resume(run.path)  # the number of epochs is kept
    assert all_equal(extended, whole) and Run(run.path).finished
    assert [path.read_bytes() for path in files] != kept


def test_unfinished_run_is_extended_or_shortened(colours, finished, tmp_path, monkeypatch):
    whole = finished[4]
    for planned in (3, 9):
        with monkeypatch.context() as patched, pytest.raises(Interrupted):
            stop_at(patched, 5)
            train(config(colours, planned), name=f"r{planned}", runs=tmp_path)
        run = resume(f"r{planned}", epochs=4, runs=tmp_path)
        assert all_equal(run, whole)
        assert "extended from" not in run.report.read_text()  # its test split had not been looked at


def test_unfinished_run_with_a_spread_schedule_must_be_finished_first(colours, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        stop_at(patched, 5)
        train(config(colours, 3, "cosine"), name="r", runs=tmp_path)
    with pytest.raises(RunError, match=r"start from its model: neocog train --resume .*/r, and once it is finished:"):
        resume("r", epochs=6, runs=tmp_path)
    assert resume("r", epochs=3, runs=tmp_path).finished  # as it was planned


def test_stopped_extension_is_extended_again(colours, run_of, tmp_path, monkeypatch):
    whole = train(config(colours, 5), name="whole", runs=tmp_path)
    run = run_of(2)
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        stop_at(patched, 10)
        resume(run.path, epochs=3)
    assert all_equal(resume(run.path, epochs=5), whole)


def test_extend_refuses_other_data_and_settings_and_stays_finished(colours, tmp_path, draw):
    moved = shutil.copytree(colours, tmp_path / "moved")
    run = train(config(moved, 1), name="r", runs=tmp_path)
    text = run.config.read_text()
    run.config.write_text(text.replace("lr: 0.01", "lr: 0.02"))
    with pytest.raises(CheckpointError, match=r"settings it began with\. .*config\.yaml was changed since"):
        resume(run.path, epochs=2)
    run.config.write_text(text)
    shutil.copy(moved / "red" / "00.png", moved / "red" / "more.png")
    with pytest.raises(CheckpointError, match="began with other samples or labels"):
        resume(run.path, epochs=2)
    assert Run(run.path).finished and not run.extension.exists()


def test_damaged_extension_file_is_named(run_of):
    run = run_of(1)
    run.extension.write_text("{}")
    with pytest.raises(
        RunError,
        match=r"to how many epochs a run is being extended\. .*extension\.json: received a file that can't be read",
    ):
        resume(run.path)


def test_run_on_python_data_is_extended_in_python(tmp_path, colours):
    draws = np.random.default_rng(0)
    labels = np.arange(40) % 2
    arrays = (draws.integers(0, 60, (40, 32, 32)) + 120 * labels[:, None, None]).astype(np.uint8), labels
    run = train(config("", 1), data=arrays, name="r", runs=tmp_path)
    with pytest.raises(RunError, match=r"To train it further: neocog\.resume\('.*/r', epochs=2, data=\.\.\)"):
        resume(run.path)
    assert len(resume(run.path, epochs=2, data=arrays).results.read_text().splitlines()) == 3
    cosine = train(config("", 1, "cosine"), data=arrays, name="c", runs=tmp_path)
    with pytest.raises(RunError, match=r"neocog\.train\(config, data=\.\.\) with model\.pretrained='.*c/model"):
        resume(cosine.path, epochs=2)


def test_still_improving_run_names_the_command_that_trains_further(colours, tmp_path, monkeypatch, capsys):
    # Three records validate, so that accuracies jump; what is read from the curves has a test of its own.
    monkeypatch.setattr("neocog.runs.finish.still_improving", lambda history: "Still improving: so it is.")
    for schedule, words in (("constant", "--resume {} --epochs 2"), ("cosine", "{1} --config {0}/config.yaml")):
        run = train(config(colours, 1, schedule), name=schedule, runs=tmp_path)
        told = f"Still improving: so it is. Train it further: neocog train {words.format(run.path, colours)}"
        assert told in said(capsys) and told in run.report.read_text()
    quiet = replace(config(colours, 1), monitor=MonitorConfig(warnings=False))
    assert "further" not in train(quiet, name="quiet", runs=tmp_path).report.read_text()
