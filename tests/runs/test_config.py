import hashlib

import pytest
import yaml

from neocog.data import DataConfig
from neocog.errors import ConfigError
from neocog.runs import RunConfig, read_config, settle
from neocog.runs.config import LATER
from neocog.training import OptimizerConfig, TrainConfig

BASE = RunConfig(data=DataConfig(source="mnist"), optimizer=OptimizerConfig(lr=0.1))


def lay(*layers):
    return settle(BASE, "recipe r", layers)


def test_the_last_layer_wins_and_every_value_knows_where_it_came_from():
    settled = lay(("file a.yaml", {"train.epochs": 3, "optimizer.momentum": 0.8}), ("flag", {"train.epochs": "7"}))
    assert settled.config.train.epochs == 7
    origins = {
        key: settled.origins[key] for key in ("train.epochs", "optimizer.momentum", "optimizer.lr", "train.seed")
    }
    assert origins == {
        "train.epochs": "flag",
        "optimizer.momentum": "file a.yaml",
        "optimizer.lr": "recipe r",
        "train.seed": "default",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train.epoch": 3}, r"No setting is called 'train\.epoch' \(flag\). Did you mean 'train\.epochs'\?"),
        ({"trane.epochs": 3}, "No setting is called 'trane.epochs'.*Did you mean 'train.epochs'"),
        ({"nonsense": 3}, "No setting is called 'nonsense'"),
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
        ({"data.size": "axb"}, r"data\.size must be a valid integer.*Received: 'axb'"),
        ({"augment.flip": 1.5}, "augment.flip must be less than or equal to 1"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_place(values, message):
    with pytest.raises(ConfigError, match=message):
        lay(("flag", values))


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
def test_a_setting_that_would_be_ignored_is_an_error(values, message):
    with pytest.raises(ConfigError, match=message):
        lay(("flag", values))


def test_a_recipes_value_may_lose_its_effect_and_a_python_config_is_held_to_the_rule():
    base = RunConfig(data=DataConfig(source="x"), optimizer=OptimizerConfig(momentum=0.5))
    assert settle(base, "recipe r", [("flag", {"optimizer.name": "adam"})]).config.optimizer.name == "adam"
    wrong = RunConfig(data=DataConfig(source="x"), optimizer=OptimizerConfig(name="adam", momentum=0.5))
    with pytest.raises(ConfigError, match="given in Python"):
        settle(wrong, "given in Python")


def test_sizes_are_written_as_people_write_them():
    assert lay(("flag", {"data.size": "32x48"})).config.data.size == (32, 48)
    assert lay(("flag", {"data.size": "32"})).config.data.size == (32, 32)
    assert lay(("flag", {"data.size": 32})).config.data.size == (32, 32)
    assert lay(("flag", {"data.size": [32, 48]})).config.data.size == (32, 48)


def test_yaml_round_trip_keeps_values_and_origins(tmp_path):
    settled = lay(("flag", {"train.epochs": 3, "optimizer.lr": "1e-3"})).choose({"data.size": ((32, 32), "because")})
    path = tmp_path / "config.yaml"
    path.write_text(settled.to_yaml())
    recipe, values, origins = read_config(path)
    assert recipe is None
    assert values["optimizer.lr"] == 0.001
    assert "optimizer.betas" not in values
    assert origins["data.size"] == "chosen automatically: because"
    again = settle(RunConfig(data=DataConfig(source="")), "default", [("file", values)])
    assert again.config == settled.config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epochs: 3", "is no YAML"),
        ("- 1", "maps sections to settings.*holds list"),
        ("trian: {epochs: 3}", r"No section is called 'trian'.*Did you mean 'train'\?"),
        ("train: 3", "train in .* holds 3"),
        ("train: null", "train in .* holds None"),
        ("recipe: [a]", "A recipe is a name"),
        ("[" * 5000, "is no YAML"),
    ],
)
def test_a_config_file_that_is_wrong(tmp_path, text, message):
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


def test_sections_are_values():
    assert TrainConfig() == TrainConfig()
    assert hash(BASE) == hash(RunConfig(data=DataConfig(source="mnist"), optimizer=OptimizerConfig(lr=0.1)))


def test_settings_that_came_later_count_only_where_they_are_set():
    """Else no run that began before an update could be resumed."""
    plain = settle(RunConfig(data=DataConfig(source="a")), "recipe")
    earlier = [
        (key, value)
        for key, value, _ in plain.rows()
        if key not in ("data.source", *LATER) and not key.startswith("monitor.")
    ]
    assert plain.digest() == hashlib.sha256(repr(earlier).encode()).hexdigest()[:16]
    for values in ({"test_fold": "2"}, {"class_level": 2}, {"label_column": "kind"}):
        assert settle(RunConfig(data=DataConfig(source="a", **values)), "recipe").digest() != plain.digest()


def test_level_and_fold_are_read_as_people_write_them():
    assert (DataConfig(source="a", class_level="2").class_level, DataConfig(source="a", test_fold=3).test_fold) == (
        2,
        "3",
    )
    with pytest.raises(ValueError, match="class_level"):
        DataConfig(source="a", class_level=4)
