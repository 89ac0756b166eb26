"""`resolve_config`: from what a user names to the settings of a run, for data of every form."""

import numpy as np
import pytest

import neocog
from neocog.data import DataConfig, ImageFolder, Opened, open_source
from neocog.data import open as opening
from neocog.errors import ConfigError
from neocog.recipes import recipe, resolve_config
from neocog.runs import RunConfig
from neocog.runs.prepare import prepare
from neocog.training.distributed import World

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
LABELS = np.arange(60) % 3


@pytest.fixture
def counts(monkeypatch):
    """How often a layout was detected, and a folder of images opened."""
    found = {"detected": 0, "opened": 0}
    recognise, start = opening.recognise, ImageFolder.__init__

    def counted(*arguments):
        found["detected"] += 1
        return recognise(*arguments)

    def started(self, *arguments, **options):
        found["opened"] += 1
        start(self, *arguments, **options)

    monkeypatch.setattr(opening, "recognise", counted)
    monkeypatch.setattr(ImageFolder, "__init__", started)
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {"searches": False},
        {},
        {"recipe": "fast", "overrides": {"data.val_fraction": 0.2}},
        {"model": "lenet5_relu"},
        {"recipe": "lenet5"},
    ],
    ids=["data alone", "search", "recipe that looks at the data", "model", "recipe"],
)
def test_data_is_detected_and_opened_once(pictures, counts, settings):
    resolved, found = resolve_config(pictures, **settings)
    prepare(resolved, World(), data=found)
    assert counts == {"detected": 1, "opened": 1}


def test_reading_options_reach_the_data_that_a_recipe_looks_at(pictures, tmp_path):
    for k in (1, 2, 3):
        (tmp_path / "folds" / f"fold{k}").parent.mkdir(exist_ok=True)
        (tmp_path / "folds" / f"fold{k}").symlink_to(pictures)
    _, found = resolve_config(tmp_path / "folds", recipe="fast", overrides={"data.test_fold": "2"})
    assert isinstance(found, Opened)
    whole = open_source(tmp_path / "folds", test_fold="2")
    assert {split: list(part) for split, part in found.source.splits.items()} == {
        split: list(part) for split, part in whole.splits.items()
    }


def test_arrays_get_the_recipe_of_their_kind():
    signals = np.random.default_rng(0).normal(size=(40, 2, 64)).astype(np.float32)
    resolved, found = resolve_config((signals, np.arange(40) % 2), epochs=3)
    assert resolved.config.model.name == "time_series_resnet"
    assert open_source(found).modality == "signal"
    assert resolve_config((IMAGES, LABELS), epochs=3)[0].config.model.name == "lenet5_relu"
    assert resolve_config((IMAGES, LABELS), recipe="fast")[0].config.model.widths == (32, 64)


@pytest.mark.parametrize("settings", [{}, {"model": "resnet18"}, {"minutes": 3}, {"overrides": {"image.size": 32}}])
def test_nothing_about_the_length_means_a_search(settings):
    resolved, _ = resolve_config((IMAGES, LABELS), **settings)
    assert resolved.config.train.search is True
    assert str(resolved.provenance["train.search"]) == "recipe auto"
    assert resolved.config.train.minutes == settings.get("minutes", 10.0)


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 3}, {"recipe": "general"}, {"recipe": "general", "minutes": 3}, {"searches": False},
     {"overrides": {"train.replanned": ["2 3"]}}],
)  # fmt: skip
def test_a_run_whose_recipe_or_length_is_known_has_no_search(settings):
    resolved, _ = resolve_config((IMAGES, LABELS), **settings)
    assert not resolved.config.train.search


def test_a_config_file_with_a_recipe_or_epochs_has_no_search(tmp_path):
    file = tmp_path / "c.yaml"
    for text, searches in (("recipe: general", False), ("train: {epochs: 3}", False), ("image: {size: 32}", True)):
        file.write_text(text)
        assert bool(resolve_config((IMAGES, LABELS), config_file=file)[0].config.train.search) == searches


def test_train_takes_arrays_and_overrides(tmp_path):
    overrides = {"train.batch_size": 30, "train.device": "cpu"}
    run = neocog.train((IMAGES, LABELS), epochs=1, overrides=overrides, runs=tmp_path)
    assert run.finished
    assert "train.batch_size: given in Python" in run.config.read_text()


def test_train_takes_a_config_with_overrides(digits):
    config = recipe("lenet5", str(digits))
    resolved, found = resolve_config(config, overrides={"train.epochs": 3}, model="lenet5_relu")
    assert (resolved.config.train.epochs, resolved.config.model.name) == (3, "lenet5_relu")
    assert found is None
    again, _ = resolve_config(resolved)
    assert again is resolved


@pytest.mark.parametrize(
    ("start", "settings", "message"),
    [
        (None, {}, "Training needs data. Name it: neocog train mnist"),
        ("mnist", {"epochs": 3, "overrides": {"train.epochs": 3}}, "epochs and train.epochs are the same setting"),
        ("mnist", {"overrides": {"data.source": "cifar10"}}, "The data and data.source are the same setting"),
        ("mnist", {"overrides": {"data.size": 32}}, r"data\.size \(given in Python\) is now called image\.size"),
        ("mnist", {"overrides": {"image.sise": 32}}, "'image.sise'.*Did you mean 'image.size'"),
        ("mnist", {"model": "lenet"}, "lenet5"),
        ("mnist", {"epoch": 3}, "Unknown argument: 'epoch'. Did you mean 'epochs'"),
        ("mnist", {"recipe": "finetune"}, "The recipe finetune starts from"),
        (RunConfig(data=DataConfig(source="mnist")), {"recipe": "fast"}, "would be ignored. Received: recipe"),
        (
            RunConfig(data=DataConfig(source="mnist")),
            {"config_file": "c.yaml"},
            "would be ignored. Received: config_file",
        ),
        (resolve_config("mnist")[0], {"epochs": 3}, "would be ignored. Received: train.epochs"),
    ],
)
def test_wrong_settings_are_errors(start, settings, message):
    with pytest.raises(ConfigError, match=message):
        resolve_config(start, **settings)


def test_data_that_cannot_be_read_is_left_to_the_run(tmp_path):
    resolved, found = resolve_config(tmp_path / "nowhere", epochs=3)
    assert resolved.config.model.name == "lenet5_relu"
    assert found is None


def test_an_override_that_a_trial_ignores_is_an_error(digits):
    with pytest.raises(ConfigError, match="train.epochs would be ignored, because a trial has no epochs. Leave it out"):
        neocog.find_rate(digits, epochs=3)
    with pytest.raises(ConfigError, match="train.batch_size would be ignored, because it is what is searched for"):
        neocog.find_batch(digits, overrides={"train.batch_size": 8})


@pytest.mark.parametrize("value", [True, False])
def test_search_is_chosen_by_the_recipe_alone(value):
    message = r"train\.search is a setting of the recipe auto, .* Received: (True|False)\. Use --recipe auto to search"
    with pytest.raises(ConfigError, match=message):
        resolve_config("mnist", recipe="general", overrides={"train.search": value})
