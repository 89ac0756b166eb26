"""A study: the same trials however often it is killed, never a look at the test data, and results that repeat."""

import csv
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import neocog
from neocog.cli import main
from neocog.errors import ConfigError, RunError
from neocog.files import folder_lock
from neocog.training import Interrupted
from neocog.tuning import Study, open_study, resume_study, run_study
from neocog.tuning import trial as trials
from tests.tuning.kills import kill_often, same

FLAGS = ("--model", "lenet5_relu", "--epochs", 4, "--trials", 8)


@pytest.mark.slow
def test_study_killed_three_times_has_the_same_trials(whole, spots, tmp_path):
    study, killed = kill_often(tmp_path / "killed", spots, 3, 14, *FLAGS)
    assert killed == 3
    assert [same(trial) for trial in study.trials] == [same(trial) for trial in whole.trials]
    assert study.best.number == whole.best.number and study.test == whole.test


def test_study_has_whole_and_pruned_trials_and_a_tested_run(whole):
    assert [trial.number for trial in whole.trials] == list(range(8))
    assert {trial.outcome for trial in whole.trials} >= {"complete", "pruned"}
    pruned = next(trial for trial in whole.trials if trial.outcome == "pruned")
    assert 1 <= len(pruned.history) < 4 and pruned.value == max(pruned.history)
    assert whole.best.value == max(trial.value for trial in whole.trials if trial.outcome == "complete")
    assert whole.finished and whole.run.bundle.is_file() and 0 <= whole.test["accuracy"]["value"] <= 1


def test_first_trial_has_the_values_of_the_recipe(whole):
    recipe = neocog.recipe("lenet5_relu", data="x")
    assert whole.trials[0].params["optimizer.lr"] == recipe.optimizer.lr
    assert whole.trials[0].params["train.batch_size"] == recipe.train.batch_size


def test_trials_never_decode_or_score_test_samples(tune_spots, monkeypatch):
    seen = []
    prepare = trials.prepare

    def spy(*given, **named):
        prepared = prepare(*given, **named)
        seen.append(len(prepared.splits.test))
        return prepared

    monkeypatch.setattr(trials, "prepare", spy)
    study = tune_spots(trials=2, final=False)
    assert seen == [0, 0] and study.run is None and study.finished


def test_best_settings_are_repeated_by_config(whole, tmp_path):
    run = neocog.train(config_file=whole.config, runs=tmp_path)
    assert run.evaluation.metrics["accuracy"].value == whole.test["accuracy"]["value"]


def test_table_and_page_have_every_trial(whole):
    rows = list(csv.DictReader(whole.table.read_text().splitlines()))
    assert [int(row["trial"]) for row in rows] == list(range(8))
    assert float(rows[3]["accuracy"]) == whole.trials[3].value
    page = whole.report.read_text()
    assert page.count("<svg") == 1 + len(whole.plan.ranges) and "<script" not in page and "src=" not in page
    assert all(f"<td>{trial.number}</td>" in page for trial in whole.trials) and "final/report.html" in page


def test_resume_of_a_stopped_study_continues_in_the_same_trial(tune_spots, whole, monkeypatch, tmp_path):
    real, calls = trials.train_network, []

    def stop(run, *given, **named):
        calls.append(run.path.name)
        if len(calls) == 3:
            raise Interrupted("Stopped")
        return real(run, *given, **named)

    monkeypatch.setattr(trials, "train_network", stop)
    with pytest.raises(Interrupted, match=r"Resume with: neocog tune --resume .*/stopped"):
        tune_spots(trials=8, name="stopped", final=False)
    study = resume_study("stopped", studies=tmp_path)
    assert calls[2] == calls[3] == "002"
    assert [same(trial) for trial in study.trials] == [same(trial) for trial in whole.trials]


def test_torn_record_in_the_journal_is_dropped(whole, tmp_path):
    copy = Path(shutil.copytree(whole.path, tmp_path / "copy"))
    journal = copy / "journal.log"
    content = journal.read_bytes()
    journal.write_bytes(content + content[: len(content) // 3].rpartition(b"\n")[2][:20] + b'{"op')
    assert [same(trial) for trial in open_study(copy, writes=True).trials] == [same(trial) for trial in whole.trials]
    assert journal.read_bytes() == content


def test_second_process_on_a_study_is_refused(tune_spots, monkeypatch, tmp_path):
    def interrupt(*_given, **_named):
        raise Interrupted("Stopped")

    monkeypatch.setattr(run_study, "run_trial", interrupt)
    with pytest.raises(Interrupted):
        tune_spots(trials=2, name="busy")
    with (
        folder_lock(tmp_path / "busy"),
        pytest.raises(RunError, match=r"Only one process at a time can work on a study"),
    ):
        resume_study(tmp_path / "busy")


def test_resume_of_a_finished_study_is_refused(whole):
    with pytest.raises(RunError, match=r"is finished, with 8 trials\. See its results with: neocog tune --show"):
        resume_study(whole.path)


def test_minutes_bound_the_study(tune_spots, monkeypatch):
    study = tune_spots(minutes=0.02, final=False)
    assert study.trials and len(study.trials) < 50 and study.finished


def test_trial_out_of_time_keeps_its_values(tune_spots, monkeypatch):
    monkeypatch.setattr(run_study.Clock, "is_up", lambda _self, _needed=0.0: True)
    study = tune_spots(minutes=5, final=False)
    assert [trial.outcome for trial in study.trials] == ["stopped"]
    assert len(study.trials[0].history) == 1 and study.best.error == "the time was up"


def test_networks_over_the_size_are_rejected_before_training(tune_spots):
    study = tune_spots(
        trials=5, max_size="300kB", final=False, model=None, recipe="general", epochs=1,
        ranges={"model.name": ["lenet5_relu", "resnet18"]},
    )  # fmt: skip
    rejected = [trial for trial in study.trials if trial.outcome == "rejected"]
    assert rejected and all("more than 0.30 MB" in trial.error and trial.value is None for trial in rejected)
    assert not any((study.folder(trial.number) / "checkpoints").exists() for trial in rejected)
    assert study.best.params["model.name"] == "lenet5_relu"


def test_all_trials_rejected_is_an_error(tune_spots):
    with pytest.raises(RunError, match=r"All 2 trials were rejected\. .*MB, more than 0\.00 MB\. Raise the limits"):
        tune_spots(trials=2, max_size="1kB")


def test_latency_is_measured_and_limits(tune_spots):
    study = tune_spots(trials=1, max_latency="10s", final=False)
    assert 0 < study.trials[0].latency < 10
    with pytest.raises(RunError, match=r"All 1 trials were rejected\. .* ms, more than 0\.00 ms"):
        tune_spots(trials=1, max_latency="0.001us", name="slow")


def test_all_trials_failed_is_an_error(tune_spots, monkeypatch):
    def fail(*_given, **_named):
        raise ConfigError("It can't be.")

    monkeypatch.setattr(trials, "prepare", fail)
    with pytest.raises(RunError, match=r"All 2 trials failed\. .*: received trial 0: It can't be\. Fix a setting"):
        tune_spots(trials=2)


def test_show_prints_the_table_and_refuses_settings(whole, capsys):
    assert main(["tune", "--show", str(whole.path)]) == 0
    shown = capsys.readouterr().out
    assert "recipe lenet5_relu: accuracy on validation data" in shown and "test    accuracy" in shown
    assert f"best    trial {whole.best.number}, accuracy" in shown and "--config" in shown
    assert main(["tune", "--show", str(whole.path), "--trials", "3"]) == 2
    assert "A study keeps its settings. --trials would be ignored." in capsys.readouterr().err


def test_show_of_another_folder_names_the_studies(whole, capsys):
    assert main(["tune", "--show", "nothing", "--studies", str(whole.path.parent)]) == 2
    shown = capsys.readouterr().err
    assert "nothing is not a study: study.yaml is missing. Studies here: whole." in " ".join(shown.split())


def test_name_that_is_taken_is_refused(whole, spots):
    with pytest.raises(RunError, match=r"A study needs a folder of its own"):
        neocog.tune(str(spots), studies=whole.path.parent, name="whole", trials=1)


def test_name_that_is_a_path_is_refused(tune_spots):
    with pytest.raises(RunError, match=r"The name of a study is a single folder name\. .*--studies"):
        tune_spots(trials=1, name="a/b")


def test_damaged_study_is_refused(whole, tmp_path):
    (tmp_path / "study.yaml").write_text("data: x\n")
    with pytest.raises(RunError, match=r"study\.yaml is damaged\. Start a new study"):
        open_study(tmp_path)


def test_study_without_a_finished_trial_says_how_to_resume(whole, tmp_path):
    (tmp_path / "study.yaml").write_bytes((whole.path / "study.yaml").read_bytes())
    with pytest.raises(RunError, match=r"has no finished trial yet\. neocog tune --resume "):
        _ = open_study(tmp_path).best
    assert not (tmp_path / "journal.log").exists()


def test_all_fixed_leaves_nothing_to_tune(tune_spots):
    fixed = {"optimizer.lr": 0.1, "optimizer.weight_decay": 0, "train.batch_size": 32, "loss.label_smoothing": 0.1}
    with pytest.raises(ConfigError, match=r"There is nothing to tune: every setting is fixed\. Add a --range"):
        tune_spots(trials=1, overrides=fixed)


def test_several_processes_are_refused(tune_spots, monkeypatch):
    @contextmanager
    def two(_config):
        yield SimpleNamespace(size=2)

    monkeypatch.setattr(run_study, "session", two)
    with pytest.raises(ConfigError, match=r"A study trains in a single process\. Start it without torchrun"):
        tune_spots(trials=1)


def test_final_training_that_was_killed_resumes(tune_spots, whole, monkeypatch, tmp_path):
    def stop(*_given, **_named):
        raise Interrupted("Stopped")

    with monkeypatch.context() as patched:
        patched.setattr("neocog.runs.train_run.carry_out", stop)
        with pytest.raises(Interrupted, match="Resume with: neocog tune --resume"):
            tune_spots(trials=8, name="final")
    assert not open_study("final", tmp_path).finished
    assert resume_study(tmp_path / "final").test == whole.test


def test_study_of_arrays_and_numbers(tmp_path):
    """Regression is minimised, from a recipe of its own kind and task."""
    pytest.importorskip("optuna")
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(80, 1, 64)).astype(np.float32)
    study = neocog.tune(
        (signals, signals.mean(axis=(1, 2)) * 3), studies=tmp_path, trials=2, epochs=1, final=False, task="regression"
    )
    assert isinstance(study, Study) and study.plan.mode == "min" and study.plan.task == "regression"
    assert study.best.value == min(trial.value for trial in study.trials)
    assert json.loads(study.clock.read_text())["seconds"] > 0
