import hashlib
import re
from pathlib import Path

import pytest
import yaml

from neocog.data import AudioConfig, DataConfig, ImageConfig
from neocog.errors import ConfigError
from neocog.runs import FLAG, PYTHON, Provenance, RunConfig, SetBy, read_config, resolve
from neocog.runs.config import read_run_config
from neocog.runs.earlier_settings import LATER, RENAMED, RENAMED_VALUES, earlier
from neocog.runs.provenance import DEFAULT
from neocog.training import OptimizerConfig, TrainConfig

RECIPE = Provenance(SetBy.RECIPE, "r")
A_FILE = Provenance(SetBy.FILE, "a.yaml")
BASE = RunConfig(data=DataConfig(source="mnist"), optimizer=OptimizerConfig(lr=0.1))


def lay(*layers):
    return resolve(BASE, RECIPE, layers)


def test_last_layer_wins_and_every_value_keeps_its_provenance():
    resolved = lay((A_FILE, {"train.epochs": 3, "optimizer.momentum": 0.8}), (FLAG, {"train.epochs": "7"}))
    assert resolved.config.train.epochs == 7
    found = {
        key: str(resolved.provenance[key])
        for key in ("train.epochs", "optimizer.momentum", "optimizer.lr", "train.seed")
    }
    assert found == {
        "train.epochs": "flag",
        "optimizer.momentum": "file a.yaml",
        "optimizer.lr": "recipe r",
        "train.seed": "default",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train.epoch": 3}, r"Unknown setting: 'train\.epoch' \(flag\). Did you mean 'train\.epochs'\?"),
        ({"trane.epochs": 3}, "Unknown setting: 'trane.epochs'.*Did you mean 'train.epochs'"),
        ({"nonsense": 3}, "Unknown setting: 'nonsense'"),
        ({"train.epochs": "-1"}, r"train\.epochs must be greater than or equal to 1. Received: '-1', from: flag"),
        ({"train.epochs": "many"}, r"train\.epochs must be a valid integer.*Received: 'many'"),
        ({"optimizer.lr": "inf"}, "optimizer.lr must be a finite number"),
        ({"schedule.warmup_epochs": "inf"}, "schedule.warmup_epochs must be a finite number"),
        ({"optimizer.lr": 0}, r"optimizer\.lr must be greater than 0. Received: 0"),
        (
            {"optimizer.name": "sgdd"},
            "optimizer.name must be 'sgd', 'adam', 'adamw', 'muon', 'lars' or 'lamb'. Received: 'sgdd'",
        ),
        ({"optimizer.nesterov": "perhaps"}, "optimizer.nesterov must be a valid boolean"),
        ({"optimizer.name": "adam", "optimizer.betas": [0.9]}, "optimizer.betas: Field required.*Received: \\[0.9\\]"),
        ({"image.size": "axb"}, r"image\.size must be a valid integer.*Received: 'axb'"),
        ({"augment.flip": 1.5}, "augment.flip must be less than or equal to 1"),
    ],
)
def test_wrong_key_or_value_is_named_with_its_provenance(values, message):
    with pytest.raises(ConfigError, match=message):
        lay((FLAG, values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer.betas": [0.9, 0.99]}, "optimizer.betas .flag. would be ignored, because sgd has no betas"),
        ({"optimizer.name": "adam", "optimizer.momentum": 0.5}, "optimizer.momentum .* because adam has no momentum"),
        ({"schedule.gamma": 0.5}, "because the schedule cosine has no gamma"),
        ({"schedule.name": "one_cycle", "schedule.warmup_epochs": 1}, "the schedule one_cycle has no warmup_epochs"),
        ({"train.min_delta": 0.1}, r"because train\.patience is 0"),
        (
            {"train.monitor": "last", "train.patience": 2},
            r"train\.patience .flag. would be ignored, because train\.monitor is last",
        ),
        ({"augment.border": "edge"}, "because nothing is shifted"),
        ({"model.name": "lenet5", "model.dropout": 0.5}, "because lenet5 has no dropout"),
    ],
)
def test_ignored_setting_is_an_error(values, message):
    with pytest.raises(ConfigError, match=message):
        lay((FLAG, values))


def test_recipe_value_may_lose_its_effect_but_a_python_value_may_not():
    base = RunConfig(data=DataConfig(source="x"), optimizer=OptimizerConfig(momentum=0.5))
    assert resolve(base, RECIPE, [(FLAG, {"optimizer.name": "adam"})]).config.optimizer.name == "adam"
    wrong = RunConfig(data=DataConfig(source="x"), optimizer=OptimizerConfig(name="adam", momentum=0.5))
    with pytest.raises(ConfigError, match="given in Python"):
        resolve(wrong, PYTHON)


def test_size_is_read_as_text_number_or_list():
    assert lay((FLAG, {"image.size": "32x48"})).config.image.size == (32, 48)
    assert lay((FLAG, {"image.size": "32"})).config.image.size == (32, 32)
    assert lay((FLAG, {"image.size": 32})).config.image.size == (32, 32)
    assert lay((FLAG, {"image.size": [32, 48]})).config.image.size == (32, 48)


def test_yaml_round_trip_keeps_values_and_provenance(tmp_path):
    resolved = lay((FLAG, {"train.epochs": 3, "optimizer.lr": "1e-3"})).choose({"image.size": ((32, 32), "because")})
    path = tmp_path / "config.yaml"
    path.write_text(resolved.to_yaml())
    recipe, values, provenance = read_config(path)
    assert recipe is None
    assert values["optimizer.lr"] == 0.001
    assert "optimizer.betas" not in values
    assert provenance["image.size"] == Provenance(SetBy.CHOSEN, "because")
    again = resolve(RunConfig(data=DataConfig(source="")), DEFAULT, [(A_FILE, values)])
    assert again.config == resolved.config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epochs: 3", "is not YAML"),
        ("- 1", r"maps sections to settings\. .*c\.yaml: received list"),
        ("trian: {epochs: 3}", r"Unknown section: 'trian'\. Found in file .*c\.yaml\. Did you mean 'train'\?"),
        ("train: 3", r"section train of .*c\.yaml: received 3"),
        ("train: null", r"section train of .*c\.yaml: received None"),
        ("recipe: [a]", "A recipe is a name"),
        ("[" * 5000, "is not YAML"),
    ],
)
def test_wrong_config_file_is_an_error(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read_config(tmp_path / "absent.yaml")


def test_yaml_names_a_recipe(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"recipe": "lenet5", "train": {"epochs": 1}}))
    assert read_config(path) == ("lenet5", {"train.epochs": 1}, {})


def test_sections_compare_by_value():
    assert TrainConfig() == TrainConfig()
    assert hash(BASE) == hash(RunConfig(data=DataConfig(source="mnist"), optimizer=OptimizerConfig(lr=0.1)))


def test_later_settings_count_in_the_digest_only_if_set():
    """Otherwise a run that was started before an update could not be resumed."""
    plain = resolve(RunConfig(data=DataConfig(source="a")), Provenance(SetBy.RECIPE))
    old = [
        earlier(key, value)
        for key, value, _ in plain.rows()
        if key not in ("data.source", *LATER) and not key.startswith("monitor.")
    ]
    assert plain.digest() == hashlib.sha256(repr(old).encode()).hexdigest()[:16]
    for values in ({"test_fold": "2"}, {"class_level": 2}, {"label_column": "kind"}):
        assert (
            resolve(RunConfig(data=DataConfig(source="a", **values)), Provenance(SetBy.RECIPE)).digest()
            != plain.digest()
        )


def test_class_level_and_test_fold_are_read_as_text_or_number():
    assert (DataConfig(source="a", class_level="2").class_level, DataConfig(source="a", test_fold=3).test_fold) == (
        2,
        "3",
    )
    with pytest.raises(ValueError, match="class_level"):
        DataConfig(source="a", class_level=4)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_setting_by_its_earlier_name_is_an_error_that_names_the_new_one(old, new, tmp_path):
    section, name = old.split(".")
    written = tmp_path / "c.yaml"
    written.write_text(f"{section}: {{{name}: 1}}")
    for origin, values in ((FLAG, {old: "1"}), (PYTHON, {old: 1}), (A_FILE, read_config(written)[1])):
        with pytest.raises(
            ConfigError, match=rf"{re.escape(f'{old} ({origin}) is now called {new}')}.*Use the new name"
        ):
            lay((origin, values))


def test_renamed_value_is_named_with_the_new_setting():
    message = "its value resident is now memory, and its value streaming is now stream"
    with pytest.raises(ConfigError, match=message):
        lay((FLAG, {"data.feeding": "streaming"}))


def test_earlier_value_of_a_setting_is_named_with_the_new_one():
    for key, old, new in (("train.monitor", "accuracy", "metric"), ("train.on_full", "go_on", "continue")):
        with pytest.raises(ConfigError, match=f"Received: '{old}', from: flag. {old} is now called {new}") as caught:
            lay((FLAG, {key: old}))
        assert caught.value.kind == "renamed"


MADE_BEFORE = Path(__file__).parents[1] / "bundle" / "made_before"
IMAGE_SETTINGS = ImageConfig(
    size=(32, 48), pad=(1, 2), resize="crop", channels=3, bit_depth=16, convert=True, max_pixels=99, dct_scaling=False
)


@pytest.mark.parametrize(
    ("config", "digest"),
    [
        (RunConfig(data=DataConfig(source="a")), "8a9ef6cbd8c34907"),
        (RunConfig(data=DataConfig(source="a", loading="memory")), "37352277ca562585"),
        (
            RunConfig(
                data=DataConfig(source="a", loading="stream"), image=IMAGE_SETTINGS, audio=AudioConfig(sample_rate=8000)
            ),
            "b33d17dab4034e01",
        ),
    ],
)
def test_digest_is_the_one_of_the_first_release(config, digest):
    """The digests were computed by the release that had the earlier names."""
    assert resolve(config, RECIPE).digest() == digest


@pytest.mark.parametrize(
    ("path", "digest"),
    [
        (MADE_BEFORE / "stopped" / "config.yaml", "c509fde7af3dc746"),
        (Path(__file__).parent / "made_before" / "images.yaml", "4e3e5defbeedfa19"),
    ],
)
def test_config_of_an_earlier_run_loads_with_its_digest(path, digest):
    resolved = read_run_config(path)
    assert resolved.digest() == digest
    assert resolved.config.data.loading in ("memory", "stream")
    assert not set(RENAMED) & set(resolved.provenance)


def test_earlier_run_of_images_keeps_values_and_provenance():
    resolved = read_run_config(Path(__file__).parent / "made_before" / "images.yaml")
    config = resolved.config
    assert (config.image.size, config.image.pad, config.image.bit_depth) == ((24, 24), (4, 4), 8)
    assert (config.data.loading, config.train.tta, config.monitor.warnings) == ("stream", "flip", False)
    assert resolved.provenance["image.size"] == FLAG
    assert resolved.provenance["image.channels"] == Provenance(SetBy.CHOSEN, "the pictures' own")
    assert RENAMED_VALUES["data.loading"]["streaming"] == config.data.loading
