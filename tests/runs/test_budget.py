"""Runs whose number of steps the clock set: repeated without it, and what they refuse."""

import re
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from neocog import resume
from neocog import train as train_data
from neocog.cli.app import main
from neocog.data import DataConfig
from neocog.errors import ConfigError, RunError
from neocog.recipes import resolve_config
from neocog.runs import Provenance, Run, RunConfig, SetBy, resolve, train
from neocog.runs.budget import make_clock, scaled
from neocog.runs.config import read_run_config
from neocog.runs.provenance import FLAG, PYTHON
from neocog.training import Interrupted, ScheduleConfig, TrainConfig
from neocog.training.checkpoint import read_state


def equal(a, b):
    mine, theirs = load_file(a.last), load_file(b.last)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def with_train(config, **settings):
    return replace(config, train=replace(config.train, **settings))


def test_replanned_steps_are_taken_and_written_down(digits, quick, tmp_path):
    config = with_train(quick(digits), epochs=3, replanned=("2 5",))
    run = train(config, name="r", runs=tmp_path)
    kept = yaml.safe_load(run.config.read_text())
    assert kept["train"]["replanned"] == ["2 5"]
    again = train(read_run_config(run.config), name="again", runs=tmp_path)
    assert equal(run, again)
    whole = train(with_train(config, replanned=None), name="whole", runs=tmp_path)
    assert not equal(run, whole)


def test_change_outside_the_run_is_refused(digits, quick, tmp_path):
    with pytest.raises(ConfigError, match="must be within the run that train.epochs plans"):
        train(with_train(quick(digits), replanned=("100000 100001",)), name="r", runs=tmp_path)


def test_run_by_the_clock_is_not_extended(digits, quick, tmp_path):
    run = train(with_train(quick(digits), epochs=2, replanned=("2 3",)), name="r", runs=tmp_path)
    with pytest.raises(RunError, match=r"The clock set the number of steps of .*--epochs 9"):
        resume(run.path, epochs=10)


BASE = RunConfig(data=DataConfig(source="a"))


@pytest.fixture
def hasty(monkeypatch):
    """Nothing is reserved for the report."""
    monkeypatch.setattr("neocog.runs.budget.REPORT_SECONDS", 0.0)


def timed(config, minutes):
    """The settings of a recipe, with minutes in place of epochs."""
    return resolve(config, RECIPE, [(FLAG, {"train.minutes": minutes})])


@pytest.fixture(scope="module")
def within(digits, quick, tmp_path_factory):
    """A run of about two seconds. Not to be changed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("neocog.runs.budget.REPORT_SECONDS", 0.0)
        return train(timed(quick(digits), 0.04), name="r", runs=tmp_path_factory.mktemp("runs"))


def test_enough_epochs_end_a_run_before_its_time(digits, quick, tmp_path, capsys, hasty):
    config = resolve(quick(digits), RECIPE, [(FLAG, {"train.minutes": 1.0, "train.most_epochs": 3})])
    run = train(config, name="r", runs=tmp_path)
    assert len(run.results.read_text().splitlines()) == 1 + 3
    assert "time: 3 epochs, after which nothing more is to be gained (train.most_epochs), at" in capsys.readouterr().err
    kept = yaml.safe_load(run.config.read_text())
    assert kept["train"]["epochs"] == 3
    assert kept["provenance"]["train.epochs"] == "chosen automatically: more gain nothing: train.most_epochs"


def test_minutes_set_the_epochs_and_the_run_can_be_repeated_without_a_clock(within, tmp_path, capsys):
    kept = yaml.safe_load(within.config.read_text())
    assert "minutes" not in kept["train"]
    assert all(len(text.split()) == 2 for text in kept["train"]["replanned"])
    assert kept["provenance"]["train.replanned"] == "chosen automatically: the clock"
    assert re.search(
        r"what fits into 0\.04 min at [\d.]+ ms a step, [\d,]+ images/s", kept["provenance"]["train.epochs"]
    )
    assert kept["train"]["epochs"] != 2 or kept["train"]["replanned"]
    assert main(["train", "--config", str(within.config), "--name", "again", "--runs", str(tmp_path)]) == 0
    again = Run(tmp_path / "again")
    assert equal(within, again)
    rates = [run.results.read_text().splitlines() for run in (within, again)]
    assert [row.split(",")[:4] for row in rates[0]] == [row.split(",")[:4] for row in rates[1]]
    assert again.report.is_file()


def test_minutes_of_a_flag_replace_the_steps_of_a_file(within):
    resolved, _ = resolve_config(config_file=within.config, minutes=2, set_by=FLAG)
    assert (resolved.config.train.minutes, resolved.config.train.replanned) == (2, None)
    with pytest.raises(ConfigError, match="--minutes and --train.minutes are the same setting"):
        resolve_config("a", minutes=2, overrides={"train.minutes": 3}, set_by=FLAG)


def test_stopped_run_keeps_its_time_and_its_settings(digits, quick, tmp_path, hasty, monkeypatch):
    def due(checkpointer, step):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return False

    with monkeypatch.context() as patched, pytest.raises(Interrupted, match="--resume"):
        patched.setattr("neocog.runs.checkpoints.RunCheckpointer.due", due)
        train(timed(quick(digits), 0.05), name="r", runs=tmp_path)
    run = Run(tmp_path / "r")
    state = read_state(run.last)
    kept = yaml.safe_load(run.config.read_text())["train"]
    assert kept["minutes"] == 0.05 and 0 < state["elapsed"] < 3
    run = resume(run.path)
    after = yaml.safe_load(run.config.read_text())["train"]
    assert after["epochs"] == kept["epochs"] and "minutes" not in after
    replans = [list(map(int, text.split())) for text in after["replanned"]]
    early = [replan for replan in state["replans"] if replan[0] < 3]
    assert replans[: len(early)] == early
    assert equal(run, train(read_run_config(run.config), name="again", runs=tmp_path))


def test_unfinished_run_within_minutes_can_be_repeated_with_a_clock(tmp_path):
    """Its epochs were chosen, so they are no second length."""
    path = tmp_path / "config.yaml"
    resolved = resolve(BASE, RECIPE, [(FLAG, {"train.minutes": 2})]).choose({"train.epochs": (7, "what fits")})
    path.write_text(resolved.to_yaml())
    again, _ = resolve_config(config_file=path)
    assert (again.config.train.minutes, again.set_by_user("train.epochs")) == (2, False)
    assert read_run_config(path).config.train.epochs == 7


def test_schedule_in_epochs_changes_with_their_number():
    schedule = ScheduleConfig(name="cosine", warmup_epochs=5)
    config = replace(BASE, schedule=schedule, train=TrainConfig(epochs=20, freeze_epochs=2))
    found = scaled(resolve(config, RECIPE), 0.5)
    assert {key: value for key, (value, _) in found.items()} == {
        "schedule.warmup_epochs": 2.5,
        "train.freeze_epochs": 1,
    }
    by_user = resolve(config, RECIPE, [(FLAG, {"schedule.warmup_epochs": 5})])
    assert scaled(by_user, 2) == {}


def test_minutes_of_a_resumed_run_are_refused(capsys):
    assert main(["train", "--resume", "r", "--minutes", "3"]) == 2
    assert "A resumed run keeps its settings. --minutes would be ignored" in " ".join(capsys.readouterr().err.split())


RECIPE = Provenance(SetBy.RECIPE, "r")
FILE = Provenance(SetBy.FILE, "c.yaml")


def length(*layers, base=BASE, provenance=RECIPE):
    config = resolve(base, provenance, layers).config.train
    return config.epochs, config.minutes, config.replanned


def test_last_layer_says_how_long_a_run_is():
    assert length((FILE, {"train.epochs": 3}), (FLAG, {"train.minutes": 2})) == (3, 2, None)
    assert length((FILE, {"train.minutes": 2}), (FLAG, {"train.epochs": 3})) == (3, None, None)
    replanned = {"train.epochs": 4, "train.replanned": ("2 5",)}
    assert length((FILE, replanned)) == (4, None, ("2 5",))
    assert length((FILE, replanned), (FLAG, {"train.epochs": 3})) == (3, None, None)
    assert length((FILE, replanned), (FLAG, {"train.minutes": 1})) == (4, 1, None)
    assert length((FILE, replanned), (FLAG, {"train.seed": 1})) == (4, None, ("2 5",))


@pytest.mark.parametrize(
    "call",
    [
        lambda: length((FLAG, {"train.epochs": 3, "train.minutes": 2})),
        lambda: length(base=replace(BASE, train=TrainConfig(epochs=3, minutes=2)), provenance=PYTHON),
    ],
)
def test_epochs_and_minutes_together_are_refused(call):
    with pytest.raises(ConfigError, match=r"epochs or a number of minutes.*train.epochs=3 and train.minutes=2"):
        call()


def test_minutes_beside_the_steps_of_a_clock_are_refused():
    with pytest.raises(ConfigError, match="train.minutes .* would be ignored, because train.replanned says"):
        length((FLAG, {"train.minutes": 2, "train.replanned": ()}))


@pytest.mark.parametrize("minutes", [0, -1, "soon"])
def test_minutes_are_a_positive_number(minutes):
    with pytest.raises(ConfigError, match="train.minutes"):
        length((FLAG, {"train.minutes": minutes}))


def test_time_does_not_count_in_the_digest():
    plain = resolve(BASE, RECIPE)
    for values in ({"train.minutes": 2}, {"train.replanned": ["1 2"]}):
        assert resolve(BASE, RECIPE, [(FLAG, values)]).digest() == plain.digest()


def test_progressive_run_within_minutes_repeats(digits, quick, tmp_path, hasty):
    """Networks that end in a global mean take images of any size."""
    config = replace(quick(digits), model=replace(quick(digits).model, name="resnet20_cifar"))
    resolved = resolve(config, RECIPE, [(FLAG, {"train.minutes": 0.08, "train.progressive": 0.5})])
    run = train(resolved, name="r", runs=tmp_path)
    assert equal(run, train(read_run_config(run.config), name="again", runs=tmp_path))
    assert yaml.safe_load(run.config.read_text())["train"]["progressive"] == 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train.progressive": 0.5}, r"takes? several sizes.*lenet5_relu, which can't take"),
        ({"train.progressive": 0.99}, r"must have an effect.*whole from the start"),
        (
            {"train.progressive": 0.5, "speed.mode": "manual", "speed.compile": True},
            r"compiled has images of one size.*train.progressive and speed.compile",
        ),
    ],
)
def test_progressive_is_refused_where_it_can_not_be(settings, message, digits, quick, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train(resolve(quick(digits), RECIPE, [(FLAG, settings)]), name="r", runs=tmp_path)


def test_progressive_is_for_images(tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 1, 64)).astype(np.float32)
    labels = np.arange(60) % 2
    with pytest.raises(ConfigError, match="progressive is for images.*data of the kind signal"):
        train_data(
            None, data=(values, labels), runs=tmp_path, model="time_series_fcn", overrides={"train.progressive": 0.5}
        )  # fmt: skip


@pytest.mark.parametrize(
    ("tta", "learns", "scored"), [("none", False, 100), ("none", True, 120), ("flip", False, 2 * (100 + 20))]
)
def test_time_is_kept_for_the_views_of_test_and_validation_data(tta, learns, scored):
    """Validation data say whether test-time augmentation is used, and set thresholds."""
    resolved = timed(RunConfig(data=DataConfig(source="a"), train=TrainConfig(tta=tta)), 1.0)
    splits = SimpleNamespace(train=range(500), val=range(20), test=range(100))
    prepared = SimpleNamespace(
        resolved=resolved, splits=splits, source=SimpleNamespace(modality="image"), device=torch.device("cpu"),
        val=None,
        task=SimpleNamespace(learns_decisions=learns),
    )  # fmt: skip
    clock = make_clock(prepared, None, decision=None, world=SimpleNamespace(size=1), began=0.0)
    assert clock.test_share == scored / 20
