"""The settings of a run, layer over layer: defaults, recipe, file, flags, and what is chosen automatically.

Every value remembers where it came from. A key that does not exist, or that would have no effect, is an error.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neocog.data import (
    AudioConfig,
    AugmentConfig,
    DataConfig,
    SignalAugmentConfig,
    SignalConfig,
    TextAugmentConfig,
    TextConfig,
)
from neocog.errors import ConfigError, did_you_mean
from neocog.settings import SETTINGS, HasIgnored
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.training.speed import SpeedConfig
from neocog.training.watching import WatchConfig
from neocog.zoo import ModelConfig

__all__ = ["Layer", "RunConfig", "Settled", "read_config", "settle"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class RunConfig:
    """Everything that a run depends on, beside the data itself."""

    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    signal: SignalConfig = SignalConfig()
    sound: AudioConfig = AudioConfig()
    augment_signal: SignalAugmentConfig = SignalAugmentConfig()
    text: TextConfig = TextConfig()
    augment_text: TextAugmentConfig = TextAugmentConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig = TrainConfig()
    speed: SpeedConfig = SpeedConfig()
    watch: WatchConfig = WatchConfig()


ADAPTER = TypeAdapter(RunConfig)
SECTIONS = {field.name: field.type for field in fields(RunConfig)}
LATER = frozenset(
    {
        "data.class_level",
        "data.file_column",
        "data.label_column",
        "data.test_fold",
        "data.text_column",
        "signal.columns",
    }
)
"""Settings that came after the first release. Unset they are not counted, so that runs from before them go on."""
DEFAULT, GIVEN, CHOSEN = "default", "given in Python", "chosen automatically"
NOT_BY_USER = (DEFAULT, "recipe", "the run", CHOSEN)
"""How origins of values begin that the user has not set."""
Layer = tuple[str, Mapping[str, Any]]
"""Where values come from, and values by dotted key."""


@plain_dataclass(frozen=True, slots=True)
class Settled:
    """A config, and the origin of each of its values by dotted key."""

    config: RunConfig
    origins: Mapping[str, str]
    decided: frozenset[str] = frozenset()
    """Settings that the data itself decides, so that they have no effect."""

    def choose(self, chosen: Mapping[str, tuple[Any, str]]) -> "Settled":
        """Fill in values that were left open: dotted key -> value and reason."""
        values = {key: value for key, (value, _) in chosen.items()}
        reasons = {key: f"{CHOSEN}: {reason}" for key, (_, reason) in chosen.items()}
        return Settled(with_values(self.config, values), {**self.origins, **reasons}, self.decided)

    def decide(self, keys: Iterable[str], reason: str) -> "Settled":
        """Without settings that the data decides. Raises ConfigError where the user has set one of them."""
        for key in sorted(keys):
            if self.set_by_user(key):
                raise ConfigError(
                    f"A setting must have an effect. {key} ({self.origins[key]}) would be ignored: {reason}. Remove it."
                )
        return self.without(keys)

    def set_by_user(self, key: str) -> bool:
        """Whether a value was set by a flag, in a file or in Python."""
        return not self.origins[key].startswith(NOT_BY_USER)

    def without(self, keys: Iterable[str]) -> "Settled":
        """Without settings that have no effect, whoever set them."""
        return Settled(self.config, self.origins, self.decided | frozenset(keys))

    def rows(self) -> list[tuple[str, Any, str]]:
        """Key, value and origin of all values that have an effect."""
        unused = {key for key, _ in ignored(self.config)} | self.decided
        return [(key, value, self.origins[key]) for key, value in flat(self.config) if key not in unused]

    def digest(self) -> str:
        """A short name for the settings that have an effect on weights, save where the data lies; 16 digits."""
        values = [
            (key, value)
            for key, value, _ in self.rows()
            if key != "data.source" and not key.startswith("watch.") and (value is not None or key not in LATER)
        ]
        return hashlib.sha256(repr(values).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """The effective settings as a file that `--config` reads back; values without effect are left out."""
        sections: dict[str, dict[str, Any]] = {}
        for key, value, _ in self.rows():
            section, name = key.split(".")
            sections.setdefault(section, {})[name] = list(value) if isinstance(value, tuple) else value
        provenance = {key: origin for key, _, origin in self.rows()}
        head = "# What this run was made with. Make it again: neocog train --config THIS_FILE\n"
        return head + yaml.safe_dump({**sections, "provenance": provenance}, sort_keys=False, allow_unicode=True)


def settle(base: RunConfig, base_origin: str, layers: Sequence[Layer] = ()) -> Settled:
    """Lay values over a base config, the last layer uppermost.

    Raises ConfigError for a key that is unknown, a value of the wrong type or out of range, and a value that a layer
    sets but that would be ignored as the others stand.
    """
    origins = {key: base_origin if value != default else DEFAULT for key, value, default in with_defaults(base)}
    values: dict[str, Any] = {}
    for origin, layer in layers:
        for key, value in layer.items():
            if key not in origins:
                raise ConfigError(f"No setting is called {key!r} ({origin}). {did_you_mean(key, origins)}")
            values[key] = value
            origins[key] = origin
    settled = Settled(with_values(base, values, origins), origins)
    for key, reason in ignored(settled.config):
        if origins[key] != DEFAULT and (origins[key] != base_origin or base_origin == GIVEN):
            raise ConfigError(
                f"A setting must have an effect. {key} ({origins[key]}) would be ignored, because {reason}. Remove it."
            )
    return settled


def with_values(base: RunConfig, values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> RunConfig:
    """A config with some values replaced, all checked. Raises ConfigError for the first that is wrong."""
    tree: dict[str, dict[str, Any]] = {name: dict(section_values(getattr(base, name))) for name in SECTIONS}
    for key, value in values.items():
        section, name = key.split(".")
        tree[section][name] = value
    try:
        return ADAPTER.validate_python(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:2])
        rule = (
            first["msg"].replace("Input should", f"{key} must", 1)
            if "Input" in first["msg"]
            else f"{key}: {first['msg']}"
        )
        where = f", from: {origins[key]}" if origins and key in origins else ""
        raise ConfigError(f"{rule}. Received: {repr(values.get(key, first['input']))[:200]}{where}.") from error


def section_values(section: Any) -> list[tuple[str, Any]]:
    return [(field.name, getattr(section, field.name)) for field in fields(section)]


def flat(config: RunConfig) -> Iterator[tuple[str, Any]]:
    """All values by dotted key."""
    for name in SECTIONS:
        for key, value in section_values(getattr(config, name)):
            yield f"{name}.{key}", value


def with_defaults(config: RunConfig) -> Iterator[tuple[str, Any, Any]]:
    """All values by dotted key, each with the default of its section."""
    plain = dict(flat(RunConfig(data=DataConfig(source=""))))
    for key, value in flat(config):
        yield key, value, plain[key]


def ignored(config: RunConfig) -> list[tuple[str, str]]:
    """Settings without effect, and why."""
    found = []
    for name in SECTIONS:
        section = getattr(config, name)
        if isinstance(section, HasIgnored):
            found += [(f"{name}.{key}", reason) for key, reason in section.ignored().items()]
    return found


def as_settled(config: RunConfig | Settled) -> Settled:
    """A config from Python, whose origins are not known beyond what differs from the defaults."""
    return config if isinstance(config, Settled) else settle(config, GIVEN)


def read_config(path: Path) -> tuple[str | None, dict[str, Any], dict[str, str]]:
    """The recipe's name, the values by dotted key, and the origins that a YAML file holds.

    Raises ConfigError for a file that is missing, no YAML, or not a mapping of sections.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} can't be read: {error}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"The config file {path} is no YAML: {error}.") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"A config file maps sections to settings. {path} holds {type(tree).__name__}.")
    recipe, provenance = tree.pop("recipe", None), tree.pop("provenance", None) or {}
    if not isinstance(recipe, str | None) or not isinstance(provenance, dict):
        raise ConfigError(f"A recipe is a name, and provenance maps settings to origins. {path} holds something else.")
    values: dict[str, Any] = {}
    for section, settings in tree.items():
        if section not in SECTIONS:
            raise ConfigError(f"No section is called {section!r} (file {path}). {did_you_mean(str(section), SECTIONS)}")
        if not isinstance(settings, dict):
            raise ConfigError(f"A section maps settings to values. {section} in {path} holds {settings!r}.")
        values |= {f"{section}.{key}": value for key, value in settings.items()}
    return recipe, values, provenance


def with_paths(config: RunConfig) -> RunConfig:
    """The config with paths made absolute, so that the run can be resumed from anywhere; names are kept."""
    model = replace(config.model, pretrained=config.model.pretrained and absolute(config.model.pretrained))
    return replace(config, data=replace(config.data, source=absolute(config.data.source)), model=model)


def absolute(source: str) -> str:
    """A path that exists in full; anything else as it is."""
    return str(Path(source).resolve()) if source and Path(source).exists() else source
