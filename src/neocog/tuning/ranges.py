"""The ranges of a study: those that the recipe declares, with the user's on top, checked before anything trains."""

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, Union, get_args, get_origin

from neocog.data import DataConfig, Source, Splits
from neocog.errors import ConfigError, NeocogError
from neocog.progress import quiet
from neocog.recipes.ranges import Choices, Numbers, Range, declared_ranges
from neocog.runs import FLAG, Provenance, ResolvedConfig, RunConfig, SetBy
from neocog.runs.config import flat, ignored, no_effect, unknown_setting, with_values
from neocog.runs.data import drop_inactive
from neocog.runs.prepare import check_fit
from neocog.training.distributed import World
from neocog.zoo import model_info

__all__ = ["apply", "check_ranges", "choose_ranges", "parse_range", "parse_ranges", "recipe_value"]

FACTOR = 10
"""A range from above zero that spans this factor is logarithmic, unless it says otherwise."""
NOT_TUNED = {
    "data": "trials have to be compared on the same data",
    "monitor": "it changes nothing that is measured",
    "speed": "it changes how steps are computed, not what they learn",
    "train.device": "trials have to be compared on the same machine",
    "train.minutes": "the length of a trial is its epochs; --minutes bounds the whole study",
    "train.most_epochs": "the length of a trial is its epochs",
    "train.replanned": "the length of a trial is its epochs",
    "train.search": "a trial trains settings that are known",
    "train.seed": "it would tune to chance",
}


def parse_ranges(texts: Iterable[str]) -> dict[str, Range]:
    """Ranges as they are written on the command line, by dotted key. Raises ConfigError for other text.

    >>> {key: str(one) for key, one in parse_ranges(["optimizer.lr=1e-4..1e-2", "model.name=lenet5,resnet18"]).items()}
    {'optimizer.lr': '0.0001..0.01:log', 'model.name': 'lenet5,resnet18'}
    """
    found = dict[str, Range]()
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals or not values:
            raise ConfigError(
                "A range is written as SETTING=LOW..HIGH or SETTING=A,B,C.", received=f"--range {text}",
                fix="Write, for example, --range optimizer.lr=1e-4..1e-2",
            )  # fmt: skip
        if key in found:
            raise ConfigError("A setting has one range.", received=f"two for {key}", fix="Leave one out.")
        found[key] = parse_range(key, values)
    return found


def parse_range(key: str, text: Any) -> Range:
    """One range: `LOW..HIGH`, with `:log` or `:linear`; values with commas; or in Python also a tuple or a list.

    A pair of numbers is a range, a list its choices.
    Raises ConfigError for a setting that there is not, that isn't tuned, or that takes other values.

    >>> parse_range("train.batch_size", "16..256")
    Numbers(low=16.0, high=256.0, log=True, integer=True)
    >>> parse_range("loss.label_smoothing", (0, 0.2))
    Numbers(low=0.0, high=0.2, log=False, integer=False)
    >>> parse_range("optimizer.name", ["sgd", "adamw"])
    Choices(values=('sgd', 'adamw'))
    """
    check_key(key)
    if isinstance(text, Numbers | Choices):
        return text
    if isinstance(text, tuple) and len(text) == 2 and all(type(one) in (int, float) for one in text):
        return numbers(key, float(text[0]), float(text[1]), "")
    if not isinstance(text, str):
        return choices(key, list(text))
    ends, _, scale = text.partition(":") if ".." in text else (text, "", "")
    if ".." not in ends:
        return choices(key, [None if one.lower() in ("none", "null") else one for one in text.split(",")])
    low, _, high = ends.partition("..")
    try:
        return numbers(key, float(low), float(high), scale)
    except ValueError as error:
        raise ConfigError(
            "The ends of a range are numbers.", received=f"{key}={text}",
            fix=f"Write numbers, or values with commas: {key}=A,B",
        ) from error  # fmt: skip


def check_key(key: str) -> None:
    """Raises ConfigError for a setting that there is not, or that a study leaves as it is."""
    known = kinds()
    if key not in known:
        raise unknown_setting(key, "--range", known)
    reason = NOT_TUNED.get(key) or NOT_TUNED.get(key.partition(".")[0])
    if reason:
        raise ConfigError(f"{key} can't be tuned: {reason}.", fix="Leave this range out.", kind="not tuned")


def kinds() -> dict[str, set[type]]:
    """The types that the value of each setting may have, by dotted key."""
    return {
        f"{section.name}.{name}": types_of(info.annotation)
        for section in fields(RunConfig)
        for name, info in section.type.__pydantic_fields__.items()  # type: ignore[union-attr]
    }


def types_of(annotation: Any) -> set[type]:
    """The plain types of an annotation.

    >>> sorted(found.__name__ for found in types_of(int | None))
    ['NoneType', 'int']
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return types_of(parts[0])
    if origin in (Union, types.UnionType):
        return set[type]().union(*map(types_of, parts))
    return {annotation} if isinstance(annotation, type) else {type(parts[0])} if parts else {object}


def numbers(key: str, low: float, high: float, scale: str) -> Numbers:
    """A range of numbers for a setting. Raises ConfigError if the setting takes none, or for ends that are wrong."""
    kind = kinds()[key]
    if not kind & {int, float}:
        raise ConfigError(
            f"{key} takes no numbers, so it has no range from one to another.", received=f"{low:g}..{high:g}",
            fix=f"List its values: --range {key}=A,B",
        )  # fmt: skip
    if not low < high:
        raise ConfigError("A range goes from a lower to a higher number.", received=f"{key}={low:g}..{high:g}")
    if scale not in ("", "log", "linear"):
        raise ConfigError(
            "A range is logarithmic or linear.", received=f"{key}=...:{scale}", fix="Use :log or :linear."
        )
    if scale == "log" and low <= 0:
        raise ConfigError("A logarithmic range begins above zero.", received=f"{key}={low:g}..{high:g}")
    integer = float not in kind
    if integer and (low != int(low) or high != int(high)):
        raise ConfigError(f"{key} is a whole number.", received=f"{low:g}..{high:g}", fix="Use whole ends.")
    log = scale == "log" or (not scale and low > 0 and high / low >= FACTOR)
    found = Numbers(low, high, log=log, integer=integer)
    check_values(key, [int(low), int(high)] if integer else [low, high])
    return found


def choices(key: str, values: Sequence[Any]) -> Choices:
    """The choices for a setting, as its type has them. Raises ConfigError for a value that it can't have."""
    if len(values) < 2:
        raise ConfigError(
            "A range has two values at least.", received=f"{key}={','.join(map(str, values))}",
            fix=f"To fix a setting, use --{key} VALUE.",
        )  # fmt: skip
    read = check_values(key, values)
    plain = [
        one if isinstance(one, int | float | str | None) else value for one, value in zip(read, values, strict=True)
    ]
    for name in plain if key == "model.name" else ():
        model_info(str(name))  # raises for an unknown name
    if len(set(plain)) < len(plain):
        raise ConfigError("The values of a range differ.", received=f"{key}={','.join(map(str, values))}")
    return Choices(tuple(plain))


def check_values(key: str, values: Sequence[Any]) -> list[Any]:
    """These values as the setting reads them. Raises ConfigError for one that it can't have."""
    plain = RunConfig(data=DataConfig(source=""))
    origin = {key: Provenance(SetBy.FLAG, "--range")}
    return [dict(flat(with_values(plain, {key: value}, origin)))[key] for value in values]


def choose_ranges(
    recipe: str, base: ResolvedConfig, source: Source, given: Mapping[str, Range]
) -> tuple[dict[str, Range], dict[str, str]]:
    """The ranges of a study, and where each comes from: the recipe's, where they have an effect, and the user's.

    A setting that the user has fixed is not tuned. Raises ConfigError for one that is both fixed and tuned, and if
    nothing is left to tune.
    """
    for key in given:
        if base.set_by_user(key):
            raise ConfigError(
                f"A setting is fixed or tuned. {key} is given as a value ({base.provenance[key]}) and as a range.",
                fix="Leave one out.",
            )
    active = drop_inactive(base, source)
    unused = {key for key, _ in ignored(active.config)} | active.inactive
    declared = {
        key: one
        for key, one in declared_ranges(recipe, source.task, base.config).items()
        if key not in unused and not base.set_by_user(key) and key not in given
    }
    found = {**declared, **given}
    if not found:
        raise ConfigError("There is nothing to tune: every setting is fixed.", fix="Add a --range.")
    return found, {key: "given" if key in given else f"recipe {recipe}" for key in found}


def check_ranges(
    base: ResolvedConfig, given: Mapping[str, Range], world: World, source: Source, splits: Splits
) -> None:
    """Raises ConfigError for a range of the user on a setting that has no effect in any trial."""
    for key, one in given.items():
        value = one.values[-1] if isinstance(one, Choices) else one.high
        others = [(name, other) for name, found in given.items() if name != key and isinstance(found, Choices)
                  for other in found.values]  # fmt: skip
        settings = [{key: value}, *({name: other, key: value} for name, other in others)]
        errors = list[NeocogError]()
        for layer in settings:
            try:
                with quiet():
                    check_effect(base, layer, key, world, source, splits)
                break
            except NeocogError as error:
                errors.append(error)
        else:
            raise errors[0]


def check_effect(
    base: ResolvedConfig, layer: Mapping[str, Any], key: str, world: World, source: Source, splits: Splits
) -> None:
    """Raises ConfigError if the setting `key` has no effect beside these others."""
    config = with_values(base.config, plain_numbers(layer))
    for name, reason in ignored(config):
        if name == key:
            raise no_effect(f"{key} (--range)", reason)
    tried = ResolvedConfig(config, {**base.provenance, key: Provenance(FLAG.by, "--range")}, base.inactive)
    check_fit(tried, world, source, splits)


def plain_numbers(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: int(one) if isinstance(one, float) and float not in kinds()[key] else one for key, one in layer.items()
    }


def apply(base: ResolvedConfig, params: Mapping[str, Any], reason: str) -> ResolvedConfig:
    """The settings with the values of a trial. Raises ConfigError for values that don't fit together."""
    return base.choose({key: (value, reason) for key, value in params.items()})


def recipe_value(base: ResolvedConfig, key: str, one: Range) -> Any:
    """The recipe's own value of a setting, if its range has it; else None."""
    value = dict(flat(base.config))[key]
    if isinstance(one, Choices):
        return value if value in one.values else None
    return value if isinstance(value, int | float) and one.low <= value <= one.high else None
