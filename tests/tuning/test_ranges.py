"""Ranges: how they are written, which are refused, and which the recipes declare."""

import builtins
import subprocess
import sys

import pytest

from neocog.errors import ConfigError
from neocog.recipes import list_recipes, recipe
from neocog.recipes.ranges import Choices, Numbers, declared_ranges
from neocog.tuning.limits import parse_latency, parse_size
from neocog.tuning.ranges import parse_range, parse_ranges
from neocog.tuning.sampler import find_optuna


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("optimizer.lr=1e-4..1e-2", Numbers(1e-4, 1e-2, log=True)),
        ("optimizer.lr=1e-4..1e-2:linear", Numbers(1e-4, 1e-2)),
        ("loss.label_smoothing=0..0.2", Numbers(0, 0.2)),
        ("train.batch_size=16..256", Numbers(16, 256, log=True, integer=True)),
        ("model.name=resnet18,lenet5", Choices(("resnet18", "lenet5"))),
        ("train.batch_size=16,32", Choices((16, 32))),
        ("model.dropout=none,0.5", Choices((None, 0.5))),
        ("image.size=32x32,64x64", Choices(("32x32", "64x64"))),
    ],
)
def test_range_is_read(text, found):
    assert list(parse_ranges([text]).values()) == [found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.lr", "A range is written as SETTING=LOW..HIGH or SETTING=A,B,C."),
        ("optimizer.lrr=1..2", r"Unknown setting: 'optimizer.lrr' \(--range\). Did you mean 'optimizer.lr'\?"),
        ("optimizer.name=1..2", "optimizer.name takes no numbers, so it has no range from one to another."),
        ("optimizer.lr=a..b", "The ends of a range are numbers."),
        ("optimizer.lr=2..1", "A range goes from a lower to a higher number."),
        ("optimizer.lr=1..2:square", "A range is logarithmic or linear."),
        ("loss.label_smoothing=0..0.2:log", "A logarithmic range begins above zero."),
        ("train.batch_size=1.5..8", "train.batch_size is a whole number."),
        ("train.batch_size=8,x", "train.batch_size must be a valid integer"),
        ("optimizer.lr=-1..1", "optimizer.lr must be greater than 0"),
        ("optimizer.name=sgd,sgdd", "optimizer.name must be 'sgd', 'adam'"),
        ("optimizer.name=sgd", "A range has two values at least."),
        ("optimizer.name=sgd,sgd", "The values of a range differ."),
        ("model.name=lenet5,resnet19", "No network is called 'resnet19'"),
        ("train.seed=0..9", "train.seed can't be tuned: it would tune to chance."),
        (
            "data.val_fraction=0.1..0.2",
            "data.val_fraction can't be tuned: trials have to be compared on the same data.",
        ),
    ],
)
def test_wrong_range_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_ranges([text])


def test_two_ranges_for_a_setting_are_refused():
    with pytest.raises(ConfigError, match=r"A setting has one range\. Received: two for optimizer.lr"):
        parse_ranges(["optimizer.lr=1..2", "optimizer.lr=1..3"])


def test_python_takes_pairs_and_lists():
    assert parse_range("optimizer.lr", (0.1, 0.2)) == Numbers(0.1, 0.2)
    assert parse_range("optimizer.nesterov", [True, False]) == Choices((True, False))


@pytest.mark.parametrize("name", sorted(set(list_recipes()) - {"auto", "board", "fast", "signal"}))
@pytest.mark.parametrize("task", ["classification", "multi-label", "regression", "segmentation", "detection"])
def test_every_declared_range_suits_its_setting(name, task):
    found = declared_ranges(name, task, recipe(name, data="x"))
    assert "optimizer.lr" in found
    for key, one in found.items():
        assert parse_range(key, str(one)) is not None


def test_range_on_a_fixed_setting_is_refused(tune_spots):
    with pytest.raises(ConfigError, match=r"A setting is fixed or tuned\. train\.epochs is given"):
        tune_spots(trials=1, ranges={"train.epochs": (1, 3)})


def test_range_without_effect_is_refused_and_leaves_nothing(tune_spots, tmp_path):
    with pytest.raises(
        ConfigError, match=r"optimizer\.betas|optimizer\.trust \(--range\) would be ignored, because sgd"
    ):
        tune_spots(trials=1, ranges={"optimizer.trust": (0.001, 0.1)})
    with pytest.raises(ConfigError, match=r"text\.length.*would be ignored, because"):
        tune_spots(trials=1, ranges={"text.length": (10, 20)})
    assert not list(tmp_path.iterdir())


def test_range_with_effect_beside_some_choice_is_taken(tune_spots):
    study = tune_spots(
        trials=1, epochs=1, final=False,
        ranges={"optimizer.trust": (0.001, 0.1), "optimizer.name": ["sgd", "lars"]},
    )  # fmt: skip
    assert study.trials[0].outcome == "complete"


def test_recipe_auto_and_a_clock_are_refused(tune_spots):
    with pytest.raises(ConfigError, match="The recipe auto chooses settings on its own, so there is nothing to tune"):
        tune_spots(recipe="auto", epochs=None)
    with pytest.raises(ConfigError, match="The length of a trial is its epochs"):
        tune_spots(epochs=None, overrides={"train.minutes": 3})


@pytest.mark.parametrize("text", ["5", "fast", "5MB", "0ms", "1.2.3ms"])
def test_wrong_latency_is_refused(text):
    with pytest.raises(ConfigError, match=r"--max-latency is a number above zero with a unit: us, ms, s\. Received"):
        parse_latency(text)


def test_wrong_size_is_refused():
    with pytest.raises(ConfigError, match=r"--max-size is a number above zero with a unit: B, kB.*--max-size 5MB"):
        parse_size("5 meters")


def test_wrong_length_is_refused(tune_spots):
    with pytest.raises(ConfigError, match=r"A study has at least one trial\. Received: --trials 0"):
        tune_spots(trials=0)
    with pytest.raises(ConfigError, match=r"The minutes of a study are above zero\. Received: --minutes 0"):
        tune_spots(minutes=0)
    with pytest.raises(ConfigError, match=r"The minutes of a study are a number\. Received: --minutes soon"):
        tune_spots(minutes="soon")


def test_missing_optuna_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *given, **named):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.delitem(sys.modules, "optuna", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"Tuning needs Optuna, which is not installed\. pip install neocog\[tune\]"):
        find_optuna()


def test_help_loads_no_optuna():
    code = "import sys, neocog.tuning; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
