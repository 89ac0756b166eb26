"""The settings of a run, layer over layer: defaults, recipe, file, flags, and what is chosen automatically.

Every value remembers where it came from. An unknown key, and a setting that would have no effect, are errors.
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
    BoardAugmentConfig,
    BoardConfig,
    DataConfig,
    ImageConfig,
    SignalAugmentConfig,
    SignalConfig,
    TextAugmentConfig,
    TextConfig,
)
from neocog.data.formats import COLUMNS, FOLDERS
from neocog.errors import ConfigError, did_you_mean
from neocog.runs.earlier_settings import BEFORE, LATER, RENAMED, RENAMED_VALUES, UNCOUNTED, earlier, today
from neocog.runs.provenance import DEFAULT, PYTHON, Provenance, SetBy
from neocog.settings import SETTINGS, HasIgnored
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.training.monitoring import MonitorConfig
from neocog.training.speed import SpeedConfig
from neocog.zoo import ModelConfig
from neocog.zoo.config import NAMED_WEIGHTS

__all__ = [
    "Layer",
    "ResolvedConfig",
    "RunConfig",
    "as_resolved",
    "read_config",
    "read_run_config",
    "reading_options",
    "resolve",
]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class RunConfig:
    """Everything that a run depends on, beside the data itself."""

    data: DataConfig
    image: ImageConfig = ImageConfig()
    augment: AugmentConfig = AugmentConfig()
    signal: SignalConfig = SignalConfig()
    audio: AudioConfig = AudioConfig()
    augment_signal: SignalAugmentConfig = SignalAugmentConfig()
    text: TextConfig = TextConfig()
    augment_text: TextAugmentConfig = TextAugmentConfig()
    board: BoardConfig = BoardConfig()
    augment_board: BoardAugmentConfig = BoardAugmentConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig = TrainConfig()
    speed: SpeedConfig = SpeedConfig()
    monitor: MonitorConfig = MonitorConfig()


ADAPTER = TypeAdapter(RunConfig)
SECTIONS = {field.name: field.type for field in fields(RunConfig)}
READING = frozenset(
    {f"data.{name}" for name in ("format", "task", *COLUMNS, *FOLDERS)}
    | {f"signal.{name}" for name in ("window", "step", "rate", "columns")}
)
"""Settings that say how the files of a data set are read."""
Layer = tuple[Provenance, Mapping[str, Any]]
"""Where values come from, and values by dotted key."""


@plain_dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A config, and where each of its values came from, by dotted key."""

    config: RunConfig
    provenance: Mapping[str, Provenance]
    inactive: frozenset[str] = frozenset()
    """Settings that have no effect on this data."""

    def choose(self, chosen: Mapping[str, tuple[Any, str]]) -> "ResolvedConfig":
        """Fill in values that were left open: dotted key -> value and reason."""
        values = {key: value for key, (value, _) in chosen.items()}
        reasons = {key: Provenance(SetBy.CHOSEN, reason) for key, (_, reason) in chosen.items()}
        return ResolvedConfig(with_values(self.config, values), {**self.provenance, **reasons}, self.inactive)

    def mark_inactive(self, keys: Iterable[str], reason: str) -> "ResolvedConfig":
        """Mark settings without effect on this data. Raises ConfigError if the user has set one of them."""
        for key in sorted(keys):
            if self.set_by_user(key):
                raise no_effect(f"{key} ({self.provenance[key]})", reason)
        return self.without(keys)

    def set_by_user(self, key: str) -> bool:
        """Whether a value was set by a flag, in a file or in Python."""
        return self.provenance[key].by_user

    def without(self, keys: Iterable[str]) -> "ResolvedConfig":
        """Mark settings without effect, whoever set them."""
        return ResolvedConfig(self.config, self.provenance, self.inactive | frozenset(keys))

    def rows(self) -> list[tuple[str, Any, str]]:
        """Key, value and provenance of all active settings."""
        unused = {key for key, _ in ignored(self.config)} | self.inactive
        return [(key, value, str(self.provenance[key])) for key, value in flat(self.config) if key not in unused]

    def digest(self) -> str:
        """A short name for the active settings; 16 digits. Not among them: where the data is, how long
        training may take, and what is only shown.

        It is made of the names and values of the first release, in their order, so that earlier runs resume.
        """
        values = [
            earlier(key, value)
            for key, value, _ in self.rows()
            if key not in UNCOUNTED
            and not key.startswith("monitor.")
            and not (key in LATER and value in (None, BEFORE.get(key)))
        ]
        return hashlib.sha256(repr(values).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """The active settings as a file that `--config` reads back."""
        sections: dict[str, dict[str, Any]] = {}
        for key, value, _ in self.rows():
            section, name = key.split(".")
            sections.setdefault(section, {})[name] = list(value) if isinstance(value, tuple) else value
        provenance = {key: text for key, _, text in self.rows()}
        head = "# The settings of this run. Repeat it with: neocog train --config THIS_FILE\n"
        return head + yaml.safe_dump({**sections, "provenance": provenance}, sort_keys=False, allow_unicode=True)


def no_effect(setting: str, reason: str) -> ConfigError:
    """A user has set what would be ignored."""
    return ConfigError(
        f"A setting must have an effect. {setting} would be ignored, because {reason}.",
        fix="Remove it.",
        kind="ignored",
    )


def resolve(base: RunConfig, provenance: Provenance, layers: Sequence[Layer] = ()) -> ResolvedConfig:
    """Lay values over a base config, the last layer on top; `provenance` is that of the base.

    Raises ConfigError for an unknown key, a value of the wrong type or out of range, and a value that a layer sets but
    that the other settings make ineffective.
    """
    found = {key: provenance if value != default else DEFAULT for key, value, default in with_defaults(base)}
    values: dict[str, Any] = {}
    for origin, layer in layers:
        for key, value in layer.items():
            if key not in found:
                raise unknown_setting(key, str(origin), found)
            values[key] = value
            found[key] = origin
        if origin.by_user:
            let_length_win(layer, origin, values, found)
    if provenance.by_user and not layers and found["train.epochs"] != DEFAULT:
        refuse_two_lengths(base.train.epochs, base.train.minutes, base.train.replanned, provenance)
    resolved = ResolvedConfig(with_values(base, values, found), found)
    for key, reason in ignored(resolved.config):
        if found[key] != DEFAULT and (found[key] != provenance or provenance == PYTHON):
            raise no_effect(f"{key} ({found[key]})", reason)
    return resolved


LENGTH = ("train.epochs", "train.minutes", "train.replanned")


def let_length_win(
    layer: Mapping[str, Any], origin: Provenance, values: dict[str, Any], found: dict[str, Provenance]
) -> None:
    """The length of a run that a user gives replaces those of the layers below. Raises ConfigError for two in one."""
    epochs, minutes, replanned = (layer.get(key) for key in LENGTH)
    refuse_two_lengths(epochs, minutes, replanned, origin)
    if epochs is None and minutes is None:
        return
    for key in LENGTH[1:]:
        if key not in layer and found[key] != DEFAULT:
            values[key], found[key] = None, DEFAULT


def refuse_two_lengths(epochs: Any, minutes: Any, replanned: Any, origin: Provenance) -> None:
    if epochs is not None and minutes is not None and replanned is None:
        raise ConfigError(
            "A run has a number of epochs or a number of minutes.",
            received=f"train.epochs={epochs} and train.minutes={minutes} ({origin})",
            fix="Leave one out: within its minutes, a run gets as many epochs as fit.",
        )


def unknown_setting(key: str, origin: str, known: Iterable[str]) -> ConfigError:
    """There is no such setting, or it has another name now."""
    if key in RENAMED:
        new = RENAMED[key]
        values = "".join(f", and its value {old} is now {now}" for old, now in RENAMED_VALUES.get(new, {}).items())
        return ConfigError(f"{key} ({origin}) is now called {new}{values}.", fix="Use the new name.", kind="renamed")
    return ConfigError(f"Unknown setting: {key!r} ({origin}).", fix=did_you_mean(key, known))


def with_values(
    base: RunConfig, values: Mapping[str, Any], provenance: Mapping[str, Provenance] | None = None
) -> RunConfig:
    """A config with some values replaced, all checked. Raises ConfigError for the first value that is wrong."""
    tree: dict[str, dict[str, Any]] = {name: dict(section_values(getattr(base, name))) for name in SECTIONS}
    for key, value in values.items():
        section, name = key.split(".")
        tree[section][name] = value
    try:
        return ADAPTER.validate_python(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key, message = ".".join(str(part) for part in first["loc"][:2]), first["msg"]
        rule = message.replace("Input should", f"{key} must", 1) if "Input" in message else f"{key}: {message}"
        setter = f", from: {provenance[key]}" if provenance and key in provenance else ""
        given = values.get(key, first["input"])
        now = RENAMED_VALUES.get(key, {}).get(given, "") if isinstance(given, str) else ""
        fix, kind = (f"{given} is now called {now}.", "renamed") if now else ("", "")
        raise ConfigError(f"{rule}.", received=f"{given!r:.200}{setter}", fix=fix, kind=kind) from error


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
    """Settings that the other settings make ineffective, and why."""
    found = []
    for name in SECTIONS:
        section = getattr(config, name)
        if isinstance(section, HasIgnored):
            found += [(f"{name}.{key}", reason) for key, reason in section.ignored().items()]
    return found


def reading_options(config: RunConfig) -> dict[str, Any]:
    """The settings that say how the files of a data set are read, as `open_source` takes them."""
    return {key.partition(".")[2]: value for key, value in flat(config) if key in READING}


def as_resolved(config: RunConfig | ResolvedConfig) -> ResolvedConfig:
    """A config from Python; all that differs from the defaults counts as set by the user."""
    return config if isinstance(config, ResolvedConfig) else resolve(config, PYTHON)


def read_config(path: Path) -> tuple[str | None, dict[str, Any], dict[str, Provenance]]:
    """The recipe's name, the values by dotted key, and their provenance, from a YAML file.

    The `config.yaml` of a run, which has a provenance, may be of an earlier release.
    Raises ConfigError for a file that is missing, not YAML, or not a mapping of sections.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} can't be read: {error}.", fix="Check the path.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"The config file {path} is not YAML: {error}.", fix="Fix the file.") from error
    if not isinstance(tree, dict):
        raise ConfigError("A config file maps sections to settings.", received=type(tree).__name__, where=str(path))
    recipe, texts = tree.pop("recipe", None), tree.pop("provenance", None) or {}
    if not isinstance(recipe, str | None):
        raise ConfigError("A recipe is a name.", received=repr(recipe), where=str(path))
    if not isinstance(texts, dict):
        raise ConfigError("provenance maps settings to where they came from.", received=repr(texts), where=str(path))
    values: dict[str, Any] = {}
    earlier_sections = {key.partition(".")[0] for key in RENAMED}
    for section, settings in tree.items():
        if section not in SECTIONS and section not in earlier_sections:
            fix = did_you_mean(str(section), SECTIONS)
            raise ConfigError(f"Unknown section: {section!r}.", where=f"file {path}", fix=fix)
        if not isinstance(settings, dict):
            raise ConfigError(
                "A section maps settings to values.", received=repr(settings), where=f"section {section} of {path}"
            )
        values |= {f"{section}.{key}": value for key, value in settings.items()}
    if texts:  # written by Neocog, perhaps by an earlier release
        values = {RENAMED.get(key, key): today(key, value) for key, value in values.items()}
    provenance = {RENAMED.get(str(key), str(key)): Provenance.read(str(text)) for key, text in texts.items()}
    return recipe, values, provenance


def read_run_config(path: Path) -> ResolvedConfig:
    """The settings that a run was started with, from the `config.yaml` in its folder. Raises as `read_config` does."""
    _, values, provenance = read_config(path)
    if "signal.length" in values:  # a run on signals, perhaps of an earlier release
        values = {**BEFORE, **values}
    base = resolve(RunConfig(data=DataConfig(source="")), DEFAULT, [(Provenance(SetBy.RUN, "config.yaml"), values)])
    return ResolvedConfig(base.config, {**base.provenance, **provenance})


def with_paths(config: RunConfig) -> RunConfig:
    """The config with paths made absolute, so that the run can be resumed from anywhere; names are kept."""
    pretrained = config.model.pretrained
    if pretrained and pretrained not in NAMED_WEIGHTS:
        pretrained = absolute(pretrained)
    model = replace(config.model, pretrained=pretrained)
    text = replace(config.text, vectors=config.text.vectors and absolute(config.text.vectors))
    return replace(config, data=replace(config.data, source=absolute(config.data.source)), model=model, text=text)


def absolute(source: str) -> str:
    """A path that exists in full; anything else as it is."""
    return str(Path(source).resolve()) if source and Path(source).exists() else source
