"""`neocog train`: from data to a run folder with a trained, measured, sealed network."""

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, cast, get_args, get_origin

import yaml
from cyclopts import Group, Parameter

from neocog import recipes, runs
from neocog.cli.output import show_evaluation
from neocog.cli.stdout import write_out
from neocog.data import Modality, recognised
from neocog.data.formats import COLUMNS
from neocog.errors import ConfigError, DataError
from neocog.launch import start_ranks
from neocog.runs import Run, RunConfig, Settled, read_config, settle
from neocog.runs.config import Layer
from neocog.runs.start import own_network
from neocog.zoo import model_info

FLAG = "flag"
ALIASES = {"model.name": "--model", "train.epochs": "--epochs"}


RECIPE_HELP = (
    f"Settings to start from; by default the network's own, or general. One of {', '.join(recipes.list_recipes())}."
)


def section_flags(name: str, section: Any) -> Any:
    """The flags of one section of settings, with their help and defaults; every value arrives as text."""
    group = Group(f"{name}: {section.__doc__.rstrip('.').lower()}")
    infos = section.__pydantic_fields__
    flags = {}
    for field in fields(section):
        key = f"{name}.{field.name}"
        if key == "data.source":  # this is DATA
            continue
        info = infos[field.name]
        choices = ", ".join(str(choice) for choice in get_args(info.annotation)) if is_choice(info.annotation) else ""
        default = "" if info.default is None else f" [{info.default}]"
        text = f"{info.description}{' One of ' + choices + '.' if choices else ''}{default}"
        text = f"Same as {ALIASES[key]}." if key in ALIASES else text
        flags[field.name] = Annotated[str, Parameter(name=field.name, help=text, group=group)]
    return TypedDict(f"{name}_flags", flags, total=False)  # type: ignore[operator]


def is_choice(annotation: Any) -> bool:
    return get_origin(annotation) is Literal


SECTIONS = {field.name: section_flags(field.name, field.type) for field in fields(RunConfig)}
Flags = TypedDict("Flags", SECTIONS, total=False)  # type: ignore[misc]
FlagTexts = Mapping[str, Mapping[str, str]]


def train(
    data: str | None = None,
    *,
    model: Annotated[str | None, Parameter(help="The network, by its name in `neocog zoo` [lenet5_relu].")] = None,
    recipe: Annotated[str | None, Parameter(help=RECIPE_HELP)] = None,
    epochs: str | None = None,
    config: Path | None = None,
    name: str | None = None,
    runs_folder: Annotated[Path, Parameter(name="--runs")] = Path("runs"),
    resume: str | None = None,
    download: Annotated[bool, Parameter(negative="")] = False,
    devices: int | None = None,
    flags: Annotated[Flags | None, Parameter(name="*")] = None,
) -> int:
    """Train a network and leave a run folder; `neocog.train` and `neocog.resume` do the same.

    Parameters
    ----------
    data
        A name (mnist, fashion_mnist, cifar10, cifar100), or a path to pictures, signals, sounds, texts or boards in
        any layout that `neocog check DATA` recognises, such as folders of pictures: train/CLASS/*.png or CLASS/*.png.
    epochs
        Passes over the training data; with --resume, those that the run is to have in all.
    config
        A YAML file with settings by section; a run's config.yaml is one.
    name
        The run's name; by default DATA-MODEL-NUMBER.
    runs_folder
        Where run folders are made.
    resume
        Go on with this run, by path or name, from its last checkpoint; with --epochs, to more epochs than planned.
    download
        Fetch a known data set from its official address if it is not on this machine.
    devices
        Processes on this machine, one for each device; the samples and their order are those of one.
    """
    if resume is not None:
        others: dict[str, object] = {
            "DATA": data,
            "--model": model,
            "--recipe": recipe,
            "--config": config,
        }
        others |= {"--name": name, "--download": download or None, "settings": flags}
        given = [key for key, value in others.items() if value is not None]
        if given:
            raise ConfigError(
                f"A resumed run keeps its settings. {', '.join(given)} would be ignored. Leave that out, beside "
                "--epochs, or start a new run."
            )
        if devices is not None:
            return start_ranks(devices, sys.argv[1:], device=device_of_run(resume, runs_folder))
        run = runs.resume(resume, epochs=epochs, runs=runs_folder)
    else:
        settled = settle_flags(data, model, recipe, epochs, config, cast(FlagTexts, flags or {}))
        if devices is not None:
            return start_ranks(devices, sys.argv[1:], device=settled.config.train.device)
        run = runs.train(settled, name=name, runs=runs_folder, download=download)
    show_run(run)
    return 0


def device_of_run(resume: str, runs_folder: Path) -> str:
    """The kind of device that a run began on."""
    _, values, _ = read_config(Run.open(resume, runs_folder).config)
    return str(values.get("train.device", "auto")).partition(":")[0]


def settle_flags(
    data: str | None,
    model: str | None,
    recipe: str | None,
    epochs: str | None,
    config: Path | None,
    flags: FlagTexts,
) -> Settled:
    """The settings that a command line asks for. Raises ConfigError where it says too little, or one thing twice."""
    named: dict[str, Any] = {}
    for section, found in flags.items():
        named |= {f"{section}.{key}": parse(text) for key, text in found.items()}
    for key, value in {"data.source": data, "model.name": model, "train.epochs": epochs}.items():
        if value is not None:
            if key in named:
                raise ConfigError(f"A setting is given once. {ALIASES[key]} and --{key} are one. Leave one out.")
            named[key] = value
    of_file, values, _ = read_config(config) if config else (None, {}, {})
    source = named.get("data.source", values.get("data.source"))
    if source is None:
        raise ConfigError("Training needs data. Name it: neocog train mnist, or neocog train FOLDER.")
    network = named.get("model.name", values.get("model.name"))
    if network is not None:
        model_info(str(network))  # raises where there is none
    pretrained = named.get("model.pretrained", values.get("model.pretrained"))
    own = own_network(pretrained) if network is None else None
    network = own[0] if own else network
    settings = {name: named.get(f"data.{name}", values.get(f"data.{name}")) for name in ("format", *sorted(COLUMNS))}
    chosen = recipe or of_file or recipes.recipe_for(network, modality_of(str(source), network, settings))
    layers: list[Layer] = [(own[1], {"model.name": own[0]})] if own else []
    layers += [(f"file {config}", values), (FLAG, named)]
    settled = settle(recipes.recipe(chosen, str(source)), f"recipe {chosen}", layers)
    recipes.check_recipe(chosen, settled.config)
    return settled


def modality_of(source: str, network: str | None, settings: Mapping[str, Any]) -> Modality:
    """What kind of data is meant: the network's, or, where none is named, what lies there; `settings` as of `data`."""
    if network is not None:
        return model_info(network).modality
    try:
        return recognised(source, **{name: str(value) for name, value in settings.items() if value is not None})
    except (DataError, ConfigError):  # it is said, and better, when the data is opened
        return "image"


def parse(text: str) -> Any:
    """A flag's text as a value: `[0.9, 0.99]` is a list, `none` is nothing; the rest is read by the setting's type."""
    if text.lower() in ("none", "null"):
        return None
    try:
        return yaml.safe_load(text) if text.startswith("[") else text
    except yaml.YAMLError as error:
        raise ConfigError(f"A list is written as [0.9, 0.99]. Received: {text!r}.") from error


def show_run(run: Run) -> None:
    """What a user wants to know at the end; of several processes the first tells it."""
    if run.evaluation is None:
        return
    show_evaluation(run.evaluation, brief=True)
    write_out(f"\nreport  {run.report}\nmodel   {run.bundle}")
