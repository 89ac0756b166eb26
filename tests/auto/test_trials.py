"""Trials and probes on a hundred images, and what becomes of those that fail."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import neocog
from neocog.auto.candidate import Candidate
from neocog.auto.probe import FEWEST, learning_curve, run_probe
from neocog.auto.trials import failed, interval_of, run_trial, seal_so_far
from neocog.data import Opened, open_source
from neocog.errors import ConfigError, DataError, DivergenceError
from neocog.recipes import resolve_config
from neocog.runs import Run
from neocog.runs.config import read_run_config
from neocog.tasks import TASKS
from neocog.training.distributed import SINGLE_PROCESS
from neocog.zoo import create_model
from tests.support.textures import blobs

QUICK = {"model.name": "resnet20_cifar", "image.size": (16, 16), "optimizer.lr": 0.01, "train.batch_size": 16}


@pytest.fixture
def common(spots):
    resolved, _ = resolve_config(spots)
    return {"base": resolved, "opened": Opened(open_source(spots)), "world": SINGLE_PROCESS}


@pytest.fixture
def try_out(common, tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.auto.trials.PREPARING", 100.0)  # the first preparation of a process takes seconds

    def attempt(settings=QUICK, seconds=2.0, name="trial", scored=2000):
        folder = Run(tmp_path / name)
        return run_trial(Candidate("c", settings), 3, 1, seconds, folder=folder, scored=scored, **common)

    return attempt


def test_trial_has_its_validations_and_a_folder_of_its_own(try_out, tmp_path):
    trial, (prepared, training) = try_out()
    assert (trial.name, trial.candidate, trial.rung, trial.error, trial.by) == ("c", 3, 1, "", "validation data")
    assert trial.scored == len(prepared.val) == 10 + 26  # of few, 30% of the training samples validate a trial, too
    assert len(prepared.train) == 60 and not set(prepared.splits.train) & set(prepared.splits.val)
    assert trial.passes == pytest.approx(training.state.step * prepared.resolved.config.train.batch_size / 60)
    values = [value for _, value in trial.history]
    assert values == [row["val_accuracy"] for row in training.state.history]
    assert min(values) <= trial.value <= max(values)
    assert trial.low <= trial.value <= trial.high
    assert [seconds for seconds, _ in trial.history] == sorted(seconds for seconds, _ in trial.history)
    assert trial.samples <= 60 and 0 < trial.seconds <= trial.total_seconds
    kept = read_run_config(tmp_path / "trial/config.yaml")
    assert kept.config.train.minutes >= 2 / 60 and not kept.config.train.search  # more if preparation was slow
    assert str(kept.provenance["model.name"]) == "chosen automatically: candidate c"


def test_trial_that_is_run_again_is_not_trained_again(try_out):
    one, (_, training) = try_out()
    other, (_, again) = try_out()
    assert (other.value, len(other.history)) == (one.value, len(one.history))
    assert again.state.step == training.state.step


def test_trial_without_time_after_its_preparation_is_left_out(try_out, tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.auto.trials.PREPARING", 1.5)
    trial, found = try_out(seconds=1e-6)
    message = r"There was no time for a trial\. Received: \d+\.\d of 0\.0 s for preparation\. Give it more --minutes\."
    assert found is None and re.fullmatch(message, trial.error)
    assert not (tmp_path / "trial/config.yaml").exists()


def test_network_of_a_trial_becomes_a_bundle(try_out, tmp_path):
    trial, found = try_out()
    run = Run(tmp_path)
    seal_so_far(run, *found, trial)
    bundle = neocog.load(run.bundle)
    assert bundle.manifest["unfinished"] == f"c, a trial of {trial.total_seconds:.0f} s"
    assert bundle.manifest["evaluation"] == {"split": "validation", "accuracy": trial.value}
    images, _ = blobs(2, 16, spread=1.5)
    assert len(bundle.predict(list(images))) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**QUICK, "train.freeze_epochs": 1}, "train.freeze_epochs needs pretrained weights"),
        ({**QUICK, "model.name": "lenet5_relu", "image.size": (28, 28)}, "does not fit"),
        ({**QUICK, "optimizer.lr": 1e30, "speed.mode": "manual"}, "The loss|diverged|NaN"),
    ],
)
def test_trial_that_fails_has_its_error(try_out, settings, message):
    trial, found = try_out(settings)
    assert found is None and re.search(message, trial.error), trial.error
    assert (trial.samples, trial.scored, trial.history) == (0, 0, ())


def test_failed_trial_keeps_the_time_that_it_took():
    trial = failed(Candidate("c", {}), 1, 2, 3.5, DivergenceError("It diverged."))
    assert (trial.candidate, trial.rung, trial.total_seconds, trial.error) == (1, 2, 3.5, "It diverged.")


def test_interval_is_for_shares_alone():
    task = TASKS["classification"].for_training(("a", "b"), resolve_config("mnist")[0].config.loss, None)
    low, high = interval_of(0.9, 100, task)
    assert (low, high) == pytest.approx((0.8256, 0.9448), abs=1e-4)


def clusters(num, dim=20, classes=3):
    draw = np.random.default_rng(0)
    labels = np.arange(num) % classes
    features = draw.normal(size=(classes, dim))[labels] + 0.1 * draw.normal(size=(num, dim))
    return torch.from_numpy(features.astype(np.float32)), labels


def test_learning_curve_is_of_a_quarter_a_half_and_all():
    features, labels = clusters(120)
    curve, seconds = learning_curve(features, labels, 3)
    assert seconds > 0
    assert [num for num, _ in curve] == [30.0, 60.0, 120.0]
    assert all(value == 1.0 for _, value in curve)
    draw = np.random.default_rng(0)
    chance = learning_curve(features, draw.permutation(labels), 3)[0][-1][1]
    assert chance < 0.6


def test_learning_curve_needs_a_class_with_two_images():
    features, _ = clusters(3)
    with pytest.raises(DataError, match=r"A probe needs a class with at least two images\. Received: none"):
        learning_curve(features, np.arange(3), 3)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(create_model("resnet20_cifar").state_dict(), path)
    return {**QUICK, "model.pretrained": str(path), "model.head": "logistic"}


def test_probe_scores_frozen_features_by_cross_validation(common, weights):
    trial = run_probe(Candidate("c", weights), 2, 5.0, **common)
    assert (trial.name, trial.candidate, trial.rung, trial.by) == ("c, frozen", 2, 0, "cross-validation")
    assert trial.scored == trial.samples == 86 and trial.error == ""
    assert trial.history[-1] == (86.0, trial.value) and len(trial.history) == 3
    assert 0.6 < trial.value <= trial.high  # the features of a random network


def test_probe_stops_in_time_but_not_below_what_says_something(weights):
    images, labels = blobs(900, 16, spread=1.5)
    resolved, held = resolve_config((images, labels))
    trial = run_probe(
        Candidate("c", weights), 0, 0.0, base=resolved, opened=Opened(open_source(held)), world=SINGLE_PROCESS
    )
    assert FEWEST <= trial.samples <= 2 * FEWEST


def test_probe_that_fails_has_its_error(common, weights):
    trial = run_probe(Candidate("c", {**weights, "model.name": "lenet5_relu"}), 0, 1.0, **common)
    assert trial.error and trial.samples == 0


def test_limit_of_the_user_stays(common, weights):
    base = common["base"]
    limited = replace(base, config=replace(base.config, data=replace(base.config.data, limit=60)))
    assert run_probe(Candidate("c", weights), 0, 5.0, **{**common, "base": limited}).samples <= 60


def test_unforeseen_errors_are_raised(common, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("neocog.auto.trials.prepare", broken)
    with pytest.raises(ZeroDivisionError):
        run_trial(Candidate("c", QUICK), 0, 1, 1.0, folder=Run(tmp_path / "t"), scored=9, **common)
    monkeypatch.setattr("neocog.auto.trials.prepare", lambda *a, **b: (_ for _ in ()).throw(ConfigError("no")))
    assert run_trial(Candidate("c", QUICK), 0, 1, 1.0, folder=Run(tmp_path / "t"), scored=9, **common)[0].error == "no"
