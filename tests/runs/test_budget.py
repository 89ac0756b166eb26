"""Runs whose number of steps the clock set: repeated without it, and what they refuse."""

from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file

from neocog import resume, train
from neocog.data import DataConfig
from neocog.errors import ConfigError, RunError
from neocog.runs import Provenance, RunConfig, SetBy, resolve
from neocog.runs.config import read_run_config
from neocog.runs.provenance import FLAG, PYTHON
from neocog.training import TrainConfig


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
