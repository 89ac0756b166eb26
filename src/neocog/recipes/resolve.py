"""From what a user names to the settings of a run: data, recipe, config file and overrides, resolved in one place."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from neocog.data import DataConfig, Location, Modality, Opened, find_format, open_source
from neocog.data.formats import COLUMNS
from neocog.errors import ConfigError, DataError, did_you_mean
from neocog.progress import note
from neocog.recipes.auto import MINUTES
from neocog.recipes.catalog import LOOKING, check_recipe, recipe_for
from neocog.recipes.catalog import recipe as recipe_config
from neocog.runs import FLAG, PYTHON, Provenance, ResolvedConfig, RunConfig, SetBy, read_config, resolve
from neocog.runs.config import READING, Layer, reading_options, with_values
from neocog.runs.start import name_own_network
from neocog.tasks import TASKS
from neocog.zoo import model_info

__all__ = ["Settings", "overridden", "resolve_config"]

SHORT = {"model": "model.name", "task": "data.task", "epochs": "train.epochs", "minutes": "train.minutes"}
"""Settings that are so common that they have a name of their own."""


RACED = frozenset({"classification", "next move"})
"""Tasks for which the recipe auto races networks; others get the recipe of their kind within the same time."""
FIXED = frozenset({"train.epochs", "train.replanned"})
"""Settings that belong to a run whose length is known, for which nothing is searched."""


class Settings(TypedDict, total=False):
    """The settings that a user gives for a run. The layers, the last on top: recipe, config file, overrides."""

    model: str | None
    """The name of a network of the zoo."""
    task: str | None
    """The task of the labels, if their values don't tell: classification, multi-label or regression."""
    recipe: str | None
    """The name of a recipe; by default it is chosen by the model, or else by the kind of data."""
    epochs: int | str | None
    minutes: float | str | None
    """The time for the whole run, which sets its number of epochs."""
    config_file: str | Path | None
    overrides: Mapping[str, Any] | None
    """Values by dotted key, such as `{"optimizer.lr": 0.1}`."""
    set_by: Provenance
    """The provenance of the overrides, by default Python."""


def resolve_config(
    start: object = None, *, data: object = None, searches: bool = True, **settings: Unpack[Settings]
) -> tuple[ResolvedConfig, object]:
    """The settings of a run, and the data to hand on to it, so that its layout is not detected twice.

    `start` is data (a name, a path, or a Python object such as a pair of arrays), or a config, with which `data` may be
    a Python object. If neither a recipe nor the number of epochs is given, the recipe is auto, unless the caller can't
    search.
    Raises ConfigError for settings that are wrong, given twice, or would be ignored, and if there is no data.
    """
    set_by, config_file = settings.get("set_by", PYTHON), settings.get("config_file")
    given = overridden(settings)
    if isinstance(start, RunConfig | ResolvedConfig):
        return resolve_over(start, given, settings), data
    start = data if start is None else start
    file_recipe, values, origins = read_config(Path(config_file)) if config_file else (None, {}, {})
    if values.get("train.minutes") is not None and not origins.get("train.epochs", FLAG).by_user:
        values = {key: value for key, value in values.items() if key != "train.epochs"}  # the clock sets it again
    held = None if start is None or isinstance(start, str | Path) else start  # in memory, so without a name
    if start is not None:
        given = with_source("" if held is not None else str(start), given)
    source = given.get("data.source", values.get("data.source"))
    if source is None:
        raise ConfigError("Training needs data.", fix="Name it: neocog train mnist, or neocog train FOLDER.")
    network, layers = given.get("model.name", values.get("model.name")), list[Layer]()
    if network is not None:
        model_info(str(network))  # raises for an unknown name
    elif own := name_own_network(given.get("model.pretrained", values.get("model.pretrained"))):
        network = own[0]
        layers.append((own[1], {"model.name": network}))
    layers += [(Provenance(SetBy.FILE, str(config_file)), values), (set_by, given)]
    if "train.search" in given:
        raise ConfigError(
            "train.search is a setting of the recipe auto, not of its own.",
            received=repr(given["train.search"]),
            fix="Use --recipe auto to search, or another recipe, such as general.",
        )
    name, found = settings.get("recipe") or file_recipe, held
    if name is None and searches and not {**values, **given}.keys() & FIXED:
        name = "auto"
    info = model_info(str(network)) if network is not None else None
    modality, task = (info.modality, info.task) if info is not None else (None, "classification")
    if name in LOOKING or name == "auto" or (name is None and (info is None or TASKS[task].dense)):
        found, modality, task = look_at(str(source), held, {**values, **given})
    searched = name == "auto"
    if name is None or (searched and task not in RACED):
        name = recipe_for(network, modality or "image", task)
    base = recipe_config(name, str(source), found.source if isinstance(found, Opened) else None)
    if searched and name != "auto":
        limit = "" if {**values, **given}.get("train.minutes") else f", within {MINUTES:g} minutes"
        note(f"The recipe is {name}{limit}: networks race for classification only.")
        base = replace(base, train=replace(base.train, minutes=MINUTES))
    resolved = resolve(base, Provenance(SetBy.RECIPE, name), layers)
    check_recipe(name, resolved.config)
    return resolved, found


def overridden(settings: Settings) -> dict[str, Any]:
    """All overrides by dotted key. Raises ConfigError for an unknown argument, and a setting that is given twice."""
    for unknown in sorted(settings.keys() - Settings.__annotations__.keys()):
        raise ConfigError(f"Unknown argument: {unknown!r}.", fix=did_you_mean(unknown, Settings.__annotations__))
    overrides, dash = settings.get("overrides") or {}, "--" if settings.get("set_by") == FLAG else ""
    named: dict[str, Any] = {key: settings[name] for name, key in SHORT.items() if settings.get(name) is not None}  # type: ignore[literal-required]
    for name, key in SHORT.items():
        if key in named and key in overrides:
            raise ConfigError(
                f"A setting is given once. {dash}{name} and {dash}{key} are the same setting.", fix="Leave one out."
            )
    return {**overrides, **named}


def with_source(source: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if "data.source" in given:
        raise ConfigError(
            "A setting is given once. The data and data.source are the same setting.", fix="Leave one out."
        )
    return {**given, "data.source": source}


def resolve_over(config: RunConfig | ResolvedConfig, given: Mapping[str, Any], settings: Settings) -> ResolvedConfig:
    """A config from Python, with overrides."""
    unused = [name for name in ("recipe", "config_file") if settings.get(name) is not None]
    if isinstance(config, ResolvedConfig):
        unused += given
    if unused:
        raise ConfigError(
            "A setting must have an effect. A config is complete, so other settings beside it would be ignored.",
            received=", ".join(unused),
            fix="Pass the data instead of the config, or leave them out.",
            kind="ignored",
        )
    if isinstance(config, ResolvedConfig):
        return config
    return resolve(config, PYTHON, [(settings.get("set_by", PYTHON), given)])


def look_at(source: str, held: object, settings: Mapping[str, Any]) -> tuple[Any, Modality, str]:
    """The data, opened, its kind, and its task.

    If it can't be read, that is left to the run, which opens it again and says why.
    """
    try:
        reading = {key: value for key, value in settings.items() if key in READING}
        config = with_values(RunConfig(data=DataConfig(source=source)), reading)
        options = reading_options(config)
        found: Location | None = None
        if held is None:
            columns = {name: options[name] for name in COLUMNS if options[name] is not None}
            found = find_format(source, format=options["format"], columns=columns)
        opened = Opened(open_source(held if found is None else found, **options))
        return opened, opened.source.modality, opened.source.task
    except (DataError, ConfigError):
        return held, "image", "classification"
