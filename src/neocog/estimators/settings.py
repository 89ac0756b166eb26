"""From the parameters of an estimator to the settings of a run."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from neocog.data import AugmentConfig
from neocog.errors import ConfigError
from neocog.estimators.inputs import ArraySource
from neocog.recipes import recipe as recipe_config
from neocog.recipes import resolve_config
from neocog.recipes.catalog import recipe_for
from neocog.runs import PYTHON, Provenance, ResolvedConfig, RunConfig, SetBy, resolve
from neocog.tasks import LossConfig

__all__ = ["ParameterError", "choose_settings", "default_config", "enough_epochs"]

LEAST_STEPS = 100
"""Steps that the smallest set is trained for."""
ENOUGH_STEPS = {"image": 300, "signal": 600, "text": 600}
"""Steps from which larger sets get fewer epochs than their recipe has; batches of images are larger."""
LEAST_EPOCHS = {"image": 2, "signal": 5, "text": 3}
"""Epochs that the largest set gets."""
OURS = {
    "train.seed": "random_state", "train.epochs": "epochs", "train.minutes": "minutes", "model.name": "model",
    "loss.class_weights": "class_weight",
}  # fmt: skip
"""Settings that are parameters of their own, by dotted key."""


class ParameterError(ConfigError, ValueError):
    """A parameter of an estimator that is wrong; a ValueError too, as scikit-learn expects."""


def default_config(source: ArraySource) -> RunConfig:
    """The recipe without a name or network: `fast` for images, `signal` and `text`; for numbers and several labels
    without what is for classes.

    Images whose labels may change with it are not mirrored: those with numbers or several labels.
    """
    name = "fast" if source.modality == "image" else recipe_for(None, source.modality, source.task)
    config = recipe_config(name, "", source)
    if source.modality != "image":
        return config
    config = replace(config, train=replace(config.train, tta="none"))
    if source.task == "classification":
        return config
    shift = AugmentConfig(shift=config.augment.shift, border=config.augment.border)
    return replace(config, augment=shift, loss=LossConfig())


def enough_epochs(config: RunConfig, kind: str, num_train: int) -> int:
    """Epochs for a set of this size: those of the recipe, unless that is under 100 steps or over 300 or 600.

    >>> from neocog.recipes import recipe
    >>> [enough_epochs(recipe("signal", ""), "signal", num) for num in (16, 300, 2_000, 50_000)]
    [100, 32, 5, 5]
    """
    steps = math.ceil(num_train / config.train.batch_size)
    enough = max(math.ceil(ENOUGH_STEPS[kind] / steps), LEAST_EPOCHS[kind])
    return max(math.ceil(LEAST_STEPS / steps), min(config.train.epochs, enough))


def choose_settings(
    source: ArraySource,
    *,
    model: str | None,
    recipe: str | None,
    epochs: int | None,
    minutes: float | None,
    overrides: Mapping[str, Any] | None,
    seed: int,
    balanced: bool,
    holds_out: bool,
    silent: bool,
) -> ResolvedConfig:
    """The settings of a run: parameters on top of overrides, on top of the recipe.

    A `silent` run looks for no warnings.

    Raises ParameterError for an override that is a parameter of its own, and ConfigError as training does.
    """
    given = dict(overrides or {})
    for key, parameter in OURS.items():
        if key in given:
            raise ParameterError(
                f"A setting is given once. {key} is the parameter {parameter}.", fix=f"Pass {parameter} instead."
            )
    if not holds_out and (given.get("train.patience") or recipe == "auto"):
        raise ParameterError(
            f"{'The recipe auto' if recipe == 'auto' else 'train.patience'} needs samples that are held out.",
            received=f"{len(source):,} samples, of which none are", fix="Pass validation_fraction, such as 0.1.",
        )  # fmt: skip
    num_train = len(source.splits["train"])
    chosen: dict[str, tuple[Any, str]] = {"train.seed": (seed, "random_state")}
    if "speed.mode" not in given:
        chosen["speed.mode"] = ("exact", "the same seed gives the same network")
    if not holds_out and "train.monitor" not in given:
        chosen["train.monitor"] = ("last", "no samples are held out")
    if silent:
        chosen |= {"monitor.warnings": (False, "nobody reads them"), "monitor.log_seconds": (0.0, "nobody reads it")}
    if balanced:
        given["loss.class_weights"] = "balanced"
    if model is None and recipe is None:
        length = {"train.epochs": epochs, "train.minutes": minutes}
        given |= {key: value for key, value in length.items() if value is not None}
        name = Provenance(SetBy.RECIPE, "the default of estimators")
        resolved = resolve(default_config(source), name, [(PYTHON, given)])
    else:
        resolved, _ = resolve_config(
            source, model=model, recipe=recipe, epochs=epochs, minutes=minutes, overrides=given, searches=False
        )
    if recipe is None and epochs is None and minutes is None:
        number = enough_epochs(resolved.config, source.modality, num_train)
        chosen["train.epochs"] = (number, f"for {num_train:,} samples")
    return resolved.choose({key: value for key, value in chosen.items() if not resolved.set_by_user(key)})
