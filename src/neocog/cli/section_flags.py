"""The settings of a run as flags `--SECTION.NAME VALUE`, made from the dataclasses of the sections."""

import textwrap
import types
from collections.abc import Iterator
from dataclasses import fields
from typing import Annotated, Any, Literal, TypedDict, Union, get_args, get_origin

import yaml
from cyclopts import Group, Parameter

from neocog.errors import ConfigError, did_you_mean
from neocog.recipes.resolve import Settings
from neocog.runs import FLAG, RunConfig

__all__ = ["AllFlags", "Model", "TaskName", "flag_settings", "list_settings"]

SHOWN = (
    "train.batch_size", "optimizer.name", "optimizer.lr", "optimizer.weight_decay", "schedule.name", "model.pretrained",
    "image.size", "augment.flip", "augment.policy", "data.val_fraction", "data.format", "train.device", "train.seed",
)  # fmt: skip
"""The settings that most people use, which `--help` shows; `--help-all` shows the rest."""
PATHS = {"data.skip_list": "PATH", "model.pretrained": "SOURCE", "text.vectors": "PATH", "train.device": "DEVICE"}
SHORT = {"model.name": "--model", "data.task": "--task", "train.epochs": "--epochs", "train.minutes": "--minutes"}
GROUP = Group("Frequent settings (all of them: --help-all)", sort_key=1)
TYPES = {bool: "BOOL", int: "INT", float: "FLOAT", str: "TEXT"}


def value_name(key: str, annotation: Any) -> str:
    """The placeholder of a value in the help, by its type.

    >>> value_name("x.y", int | None), value_name("x.y", Literal["a", "b"]), value_name("x.y", tuple[float, float])
    ('INT', '{a,b}', '[FLOAT, FLOAT]')
    """
    if get_origin(annotation) is Annotated:
        return value_name(key, get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return value_name(key, next(part for part in get_args(annotation) if part is not type(None)))
    if get_origin(annotation) is Literal:
        return f"{{{','.join(map(str, get_args(annotation)))}}}"
    if get_origin(annotation) is tuple:
        parts = [value_name(key, part) for part in get_args(annotation) if part is not ...]
        many = ", ..." if ... in get_args(annotation) else ""
        return "HxW" if key in ("image.size", "image.pad") else f"[{', '.join(parts)}{many}]"
    return PATHS.get(key) or TYPES[annotation]


def all_settings() -> Iterator[tuple[str, str, str, str]]:
    """Key, value name, help and default of every setting that is a flag; DATA is not one."""
    for section in fields(RunConfig):
        for name, info in section.type.__pydantic_fields__.items():  # type: ignore[union-attr]
            key = f"{section.name}.{name}"
            if key != "data.source":
                default = "" if info.default is None else str(info.default)
                yield key, value_name(key, info.annotation), " ".join((info.description or "").split()), default


def flags_of(section: str) -> Any:
    """The flags of a section; every value arrives as text, and is checked when the settings are resolved."""
    flags = {}
    for key, value, text, default in all_settings():
        if key.startswith(f"{section}."):
            name, shown = key.partition(".")[2], key in SHOWN
            if value.startswith("{") and len(value) > 22:  # too wide for its column
                value, text = "NAME", f"{text} One of {value[1:-1].replace(',', ', ')}."
            text = f"{text} [{default}]" if default else text
            parameter = Parameter(name=name, metavar=value, help=text, group=GROUP, show=shown)
            flags[name] = Annotated[str, parameter]
    return TypedDict(f"{section}_flags", flags, total=False)  # type: ignore[operator]


SectionFlags = TypedDict(  # type: ignore[misc]
    "SectionFlags", {section.name: flags_of(section.name) for section in fields(RunConfig)}, total=False
)
AllFlags = Annotated[SectionFlags | None, Parameter(name="*")]
Model = Annotated[
    str | None,
    Parameter(help="The network, by its name in `neocog zoo`; by default chosen by your data.", metavar="NAME"),
]
TaskName = Annotated[
    str | None,
    Parameter(
        help="The task of the labels, if their values are misread: classification, multi-label or regression.",
        metavar="TASK",
    ),
]


def flag_settings(
    flags: Any,
    *,
    model: str | None = None,
    task: str | None = None,
    recipe: str | None = None,
    epochs: str | None = None,
    minutes: str | None = None,
    config: Any = None,
) -> Settings:
    """The settings of a command line, as `neocog.train` takes them."""
    sections = (flags or {}).items()
    overrides = {f"{section}.{name}": parse(text) for section, found in sections for name, text in found.items()}
    return Settings(
        model=model, task=task, recipe=recipe, epochs=epochs, minutes=minutes,
        config_file=config, overrides=overrides, set_by=FLAG,
    )  # fmt: skip


def parse(text: str) -> Any:
    """The text of a flag as a value: `[0.9, 0.99]` is a list, `none` is None; other text is left as it is."""
    if text.lower() in ("none", "null"):
        return None
    try:
        return yaml.safe_load(text) if text.startswith("[") else text
    except yaml.YAMLError as error:
        raise ConfigError("A list is written as [0.9, 0.99].", received=repr(text)) from error


def list_settings(section: str | None = None) -> str:
    """All settings, or those of a section, grouped by section, with their defaults."""
    known = {one.name: one.type for one in fields(RunConfig)}
    if section is not None and section not in known:
        raise ConfigError(f"Unknown section of settings: {section!r}.", fix=did_you_mean(section, known))
    blocks = []
    for name in [section] if section else known:
        lines = [f"{name}: {known[name].__doc__.strip()}"]  # type: ignore[union-attr]
        for key, value, text, default in all_settings():
            if key.startswith(f"{name}."):
                text += f" Same as {SHORT[key]}." if key in SHORT else ""
                text += f" [{default}]" if default else ""
                lines += [
                    f"  --{key} {value}",
                    textwrap.fill(text, 96, initial_indent=" " * 6, subsequent_indent=" " * 6),
                ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
