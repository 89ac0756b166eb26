"""The table of kinds of data, applied to the settings of a run and its network."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import Preprocess, Source
from neocog.errors import ConfigError
from neocog.modalities.go.source import PASS
from neocog.modalities.image.pages import SeveralPages
from neocog.modalities.table import MODALITIES
from neocog.runs.config import ResolvedConfig, RunConfig, flat
from neocog.tasks import TASKS
from neocog.zoo import ModelInfo, model_info

__all__ = [
    "augment_settings",
    "choose",
    "classes_of",
    "find_network",
    "network_options",
    "size_advice",
    "value_of",
    "without_other_modalities",
]


EXAMPLES = {
    ("image", "segmentation"): "unet",
    ("image", "detection"): "centernet",
    ("signal", "signal segmentation"): "unet_1d",
}
"""A network for data of this kind and task, where it isn't that of the kind of data."""


def find_network(name: str, source: Source) -> ModelInfo:
    """The catalogue's entry of a network that learns from this source.

    Raises ConfigError for other networks, and for data of a task that is not trained.
    """
    if source.task not in TASKS:
        raise ConfigError(
            f"Training supports these tasks: {', '.join(TASKS)}.",
            received=f"data for {source.task}",
            where=f"{source.name} ({source.format})",
            fix="In Python, neocog.tasks.register_task adds one.",
        )
    found, kind = model_info(name), MODALITIES[source.modality]
    if not found.trainable:
        raise ConfigError(
            f"{name} is not trained by gradient descent.",
            fix=f"In Python: create_model({name!r}).learn(images, labels).",
        )
    task = TASKS[source.task].network_task
    if (found.task, found.modality) != (task, kind.name):
        example = EXAMPLES.get((kind.name, task), kind.network if task in ("classification", "next move") else "")
        raise ConfigError(
            f"{source.name} holds {kind.plural} for {task}, and {name} is for {found.task} of "
            f"{MODALITIES[found.modality].plural}.",
            fix="Choose another network from `neocog zoo`" + (f", such as {example}." if example else "."),
        )
    return found


def choose(
    source: Source, indices: NDArray[np.int64], config: RunConfig, info: ModelInfo, several: SeveralPages | None = None
) -> tuple[Preprocess, dict[str, str]]:
    """The preprocessing for these samples and this network, and a reason by dotted key for each value chosen.

    `several` gathers image files with several pages. Raises DataError for samples that can't be read, unless such are
    skipped.
    """
    kind = MODALITIES[source.modality]
    places = {"dense": True} if TASKS[source.task].dense else {}
    spec, reasons = kind.choose(
        source,
        indices,
        getattr(config, kind.section) if kind.section else None,
        info.input_shape,
        network=config.model.name,
        skip=config.data.on_corrupt == "skip",
        several=several,
        **places,
    )
    return spec, {f"{kind.section}.{key}": reason for key, reason in reasons.items() if kind.section}


def augment_settings(config: RunConfig, modality: str) -> Any:
    """The section with the augmentation of inputs of this kind; None: there is none."""
    section = MODALITIES[modality].augment_section
    return getattr(config, section) if section else None


def without_other_modalities(resolved: ResolvedConfig, source: Source) -> ResolvedConfig:
    """The settings without those of other kinds of data, and those that the network makes ineffective.

    Raises ConfigError if the user has set one of them.
    """
    kind = MODALITIES[source.modality]
    sections = {section for row in MODALITIES.values() for section in (row.section, row.augment_section)}
    other = sections - {kind.section, kind.augment_section}
    unused = {key for key, _ in flat(resolved.config) if key.split(".")[0] in other}
    resolved = resolved.mark_inactive(unused, f"{source.name} holds {kind.plural}")
    return resolved.mark_inactive(*kind.inactive(resolved.config.model.name)) if kind.inactive else resolved


def size_advice(name: str, info: ModelInfo) -> str:
    """The size that a network was made for, and the setting that gives it."""
    size = "x".join(map(str, info.input_size or info.input_shape))
    advice = MODALITIES[info.modality].size_advice.format(length=info.input_shape[-1])
    return f"{name} was made for {size}{advice}."


def value_of(spec: Preprocess, key: str) -> Any:
    """The value of a setting, by dotted key, in a preprocessing."""
    value = getattr(spec, key.split(".")[1])
    return len(value) if key == "text.vocabulary" else value


def classes_of(source: Source, info: ModelInfo) -> tuple[str, ...]:
    """The classes of the network's outputs: those of the source, and a pass if the network was made for that too."""
    passes = info.task == "next move" and info.num_classes == math.prod(info.input_size) + 1
    return (*source.classes, PASS) if passes and PASS not in source.classes else source.classes


def network_options(config: RunConfig, info: ModelInfo, spec: Preprocess) -> dict[str, Any]:
    """The options that the network is built with; a network of fixed length gets the length, and one for signals
    whether their padding is marked."""
    fixed = {"length": spec.shape[0]} if spec.has_vocabulary and "length" in info.options else {}
    masked = {"masked": True} if getattr(spec, "mask", False) and "masked" in info.options else {}
    return {**config.model.options, **fixed, **masked}
