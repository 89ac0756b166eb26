"""Recipes as a user meets them: by name, in the help, on the page, and over them the user's own settings."""

import re
from pathlib import Path

import numpy as np
import pytest

from neocog.cli import main
from neocog.data import DataConfig
from neocog.errors import ConfigError
from neocog.modalities.signal.source import SignalSource
from neocog.recipes import check_recipe, list_recipes, recipe, recipe_for, resolve_config, tasks
from neocog.runs import FLAG, PYTHON, Provenance, RunConfig, SetBy, resolve
from neocog.runs.config import read_run_config
from neocog.training import TrainConfig
from neocog.training.optim.schedules import check_schedule
from neocog.zoo import list_models, model_info
from neocog.zoo.weights.files import TORCHVISION

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_resolves_with_nothing_ignored(name):
    config = recipe(name, "pictures")
    assert config.data.source == "pictures"
    resolve(config, PYTHON)  # as if the user had set every value: one without effect is an error
    check_schedule(config.schedule, config.train.epochs)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_has_its_row_on_the_page(name, monkeypatch):
    monkeypatch.setattr(tasks, "available", lambda network: "package")  # the page shows them with their weights
    config = recipe(name, "x")
    shown = (config.model.name, config.train.epochs, config.train.batch_size)
    if config.train.search:  # its network and batch are placeholders until the search has chosen
        shown = ("chosen", "by the clock", "chosen")
    row = f"| `{name}` | {' | '.join(map(str, shown))} | "
    assert row in PAGE.read_text()


def test_the_page_names_no_other_recipe():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    flags = re.findall(r"--recipe (\w+)", PAGE.read_text())
    assert set(rows) == set(list_recipes()) and flags and set(flags) <= set(list_recipes())


def test_the_settings_that_the_page_shows_are_taken():
    """The shorter run for CIFAR, word for word."""
    joined = PAGE.read_text().replace("\\\n", "")
    line = next(line for line in joined.splitlines() if "--schedule.phases" in line)
    phases, epochs = re.findall(r'"(.*?)"', line), int(re.findall(r"--epochs (\d+)", line)[0])
    flags = {"schedule.phases": phases, "train.epochs": epochs}
    config = resolve(
        recipe("resnet_cifar", "cifar10"), Provenance(SetBy.RECIPE, "resnet_cifar"), [(FLAG, flags)]
    ).config
    check_schedule(config.schedule, config.train.epochs)


def test_help_names_every_recipe(capsys):
    assert main(["train", "--help"]) == 0
    words = set(re.findall(r"\w+", capsys.readouterr().out.replace("\n", " ")))
    assert set(list_recipes()) <= words


def test_an_unknown_recipe_is_told_its_neighbour():
    with pytest.raises(ConfigError, match=r"Unknown recipe: 'resnet_imagnet'\. Did you mean 'resnet_imagenet'\?"):
        recipe("resnet_imagnet", "x")


def test_a_retired_recipe_says_what_took_its_place(tmp_path):
    message = (
        r"^The recipe from_scratch_small is now auto\. "
        r"Use --recipe auto, which chooses network, image size and augmentation by your data\.$"
    )
    with pytest.raises(ConfigError, match=message) as caught:
        recipe("from_scratch_small", "x")
    assert caught.value.kind == "renamed"
    file = tmp_path / "settings.yaml"
    file.write_text("recipe: from_scratch_small\n")
    for named in ({"recipe": "from_scratch_small"}, {"config_file": file}):
        with pytest.raises(ConfigError, match=message):
            resolve_config("x", model="resnet18", **named)


def test_a_run_of_a_retired_recipe_keeps_its_settings(tmp_path):
    """`config.yaml` names the recipe as provenance alone."""
    set_by = Provenance(SetBy.RECIPE, "from_scratch_small")
    resolved = resolve(RunConfig(data=DataConfig(source="x"), train=TrainConfig(ema_decay=0.999)), set_by, [])
    file = tmp_path / "config.yaml"
    file.write_text(resolved.to_yaml())
    assert read_run_config(file) == resolved
    assert str(read_run_config(file).provenance["train.ema_decay"]) == "recipe from_scratch_small"


@pytest.mark.parametrize("model", list_models())
def test_no_long_recipe_is_taken_unasked(model):
    found = model_info(model)
    chosen = recipe_for(model, found.modality)
    assert recipe(chosen, "x").train.epochs <= 50
    if found.modality == "image":
        assert chosen == (model if model in ("lenet5", "lenet5_relu", "tutorial_cifar10") else "general")


def test_a_recipe_is_taken_by_the_kind_of_data_where_no_network_is_named():
    kinds = ("image", "signal", "audio", "text", "board")
    assert [recipe_for(None, kind) for kind in kinds] == ["lenet5_relu", "signal", "sound", "text", "board"]


def test_fine_tuning_without_weights_is_an_error_that_says_what_to_set():
    message = (
        r"The recipe finetune starts from published weights\. Received: none for resnet18\. "
        r"Set --model\.pretrained torchvision, timm/NAME or a file; without weights, use the recipe auto\."
    )
    with pytest.raises(ConfigError, match=message):
        check_recipe("finetune", recipe("finetune", "pets"))
    flags = {"model.pretrained": "torchvision", "model.name": "resnet50"}
    check_recipe(
        "finetune", resolve(recipe("finetune", "pets"), Provenance(SetBy.RECIPE, "finetune"), [(FLAG, flags)]).config
    )
    for name in list_recipes():
        if name != "finetune":
            check_recipe(name, RunConfig(data=DataConfig(source="x")))


def test_fine_tuning_with_auto_needs_weights_that_are_there(monkeypatch, tmp_path):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    flags = {"model.pretrained": "auto", "model.name": "squeezenet1_1"}
    config = resolve(recipe("finetune", "pets"), Provenance(SetBy.RECIPE, "finetune"), [(FLAG, flags)]).config
    message = (
        r"The recipe finetune starts from published weights\. Received: auto, which finds none on this machine\. "
        r"No pretrained weights of squeezenet1_1 are cached\. Fetch them: --model\.pretrained torchvision$"
    )
    with pytest.raises(ConfigError, match=message):
        check_recipe("finetune", config)
    file = tmp_path / "cache/weights" / TORCHVISION["squeezenet1_1"]
    file.parent.mkdir(parents=True)
    file.touch()
    check_recipe("finetune", config)


def test_another_network_takes_the_place_of_the_recipes():
    flags = {"model.name": "resnet110_cifar"}
    resolved = resolve(recipe("resnet_cifar", "cifar10"), Provenance(SetBy.RECIPE, "resnet_cifar"), [(FLAG, flags)])
    assert resolved.config.model.name == "resnet110_cifar" and resolved.config.train.epochs == 164


@pytest.mark.parametrize(("count", "epochs"), [(27, 200), (450, 133), (3_600, 20), (1_200, 50)])
def test_epochs_of_signals_show_as_many_of_them(count, epochs):
    signals = np.zeros((count, 1, 8), np.float32)
    source = SignalSource("s", {"train": (signals, np.arange(count) % 2)})
    assert recipe("signal", "s", source).train.epochs == epochs
