"""What differs between pictures, signals, sounds, texts and boards when a run is prepared."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import (
    Changes,
    Modality,
    Preprocess,
    Source,
    choose_board,
    choose_preprocess,
    choose_signal,
    choose_sound,
    choose_text,
)
from neocog.dataset.record import NOUNS
from neocog.errors import ConfigError
from neocog.modalities.image.pages import SeveralPages
from neocog.runs.config import ResolvedConfig, RunConfig, flat
from neocog.tasks import TASKS
from neocog.zoo import ModelInfo, model_info

__all__ = [
    "changes",
    "choose",
    "classes_of",
    "fitting",
    "network_options",
    "size_advice",
    "value_of",
    "without_other_modalities",
    "without_vocabulary",
]

EXAMPLES: dict[Modality, str] = {
    "image": "resnet18",
    "signal": "time_series_fcn",
    "audio": "speech_res8",
    "text": "text_cnn",
    "board": "go_residual",
}
SECTIONS: dict[Modality, set[str]] = {
    "image": {"image", "augment"},
    "signal": {"signal", "augment_signal"},
    "audio": {"audio", "augment_signal"},
    "text": {"text", "augment_text"},
    "board": set(),
}
SIZE_ADVICE: dict[Modality, str] = {
    "image": ": leave --image.size and --image.pad out",
    "signal": ": set --signal.length {length}",
    "text": ": set --text.length {length}",
}


def fitting(name: str, source: Source) -> ModelInfo:
    """The catalogue's entry of a network that learns to classify this source's records.

    Raises ConfigError for other networks, and for labels that are more than one class for each record.
    """
    if source.task not in TASKS:
        raise ConfigError(
            f"Training supports these tasks: {', '.join(TASKS)}.",
            received=f"data for {source.task}",
            where=f"{source.name} ({source.format})",
            fix="`neocog check` and `neocog pack` accept it.",
        )
    found, modality = model_info(name), source.modality
    if not found.trainable:
        raise ConfigError(
            f"{name} does not learn by gradients. In Python: create_model({name!r}).learn(images, labels)."
        )
    task = TASKS[source.task].network_task
    if (found.task, found.modality) != (task, modality):
        raise ConfigError(
            f"{NOUNS[modality].capitalize()} are classified by networks made for that. {name} is for {found.task} of "
            f"{NOUNS[found.modality]}. Choose another from `neocog zoo`, such as {EXAMPLES[modality]}."
        )
    return found


def choose(
    source: Source,
    indices: NDArray[np.int64],
    config: RunConfig,
    info: ModelInfo,
    several: SeveralPages | None = None,
) -> tuple[Preprocess, dict[str, str]]:
    """The preprocessing for these records and this network, and a reason by dotted key for each value chosen.

    `several` gathers image files with several pages. Raises DataError for records that can't be read, unless such are
    skipped.
    """
    size = info.input_size
    match source.modality:
        case "image":
            spec, reasons = choose_preprocess(
                source, indices, config.image, (size[0], size[1]), several, skip=config.data.on_corrupt == "skip"
            )
            return spec, {f"image.{key}": reason for key, reason in reasons.items()}
        case "signal":
            signal, reasons = choose_signal(source, indices, config.signal, size)
            return signal, {f"signal.{key}": reason for key, reason in reasons.items()}
        case "audio":
            sound, reasons = choose_sound(source, indices, config.audio, size, skip=config.data.on_corrupt == "skip")
            return sound, {f"audio.{key}": reason for key, reason in reasons.items()}
        case "text":
            text, reasons = choose_text(source, indices, config.text, size, config.model.name)
            return text, {f"text.{key}": reason for key, reason in reasons.items()}
        case "board":
            board, _ = choose_board(source, indices, info.input_shape)
            return board, {}


def changes(config: RunConfig, modality: Modality) -> Changes | None:
    """The augmentation of inputs of this kind."""
    match modality:
        case "signal" | "audio":
            return config.augment_signal
        case "text":
            return config.augment_text
        case "image":
            return config.augment
        case "board":
            return None


def without_other_modalities(resolved: ResolvedConfig, source: Source) -> ResolvedConfig:
    """The settings without those of other kinds of data.

    Raises ConfigError where the user has set one of them.
    """
    other = set().union(*SECTIONS.values()) - SECTIONS[source.modality]
    unused = {key for key, _ in flat(resolved.config) if key.split(".")[0] in other}
    return resolved.mark_inactive(unused, f"{source.name} holds {NOUNS[source.modality]}")


def without_vocabulary(resolved: ResolvedConfig) -> ResolvedConfig:
    """The settings without those of a vocabulary where the network has an alphabet of its own.

    Raises ConfigError where the user has set one of them.
    """
    name = resolved.config.model.name
    if not name.startswith("char_cnn"):
        return resolved
    own = ("text.vocabulary", "text.min_count")
    return resolved.mark_inactive(own, f"{name} reads the characters that it was published with")


def size_advice(name: str, info: ModelInfo) -> str:
    """The size that a network was made for, and the setting that gives it."""
    size = "x".join(map(str, info.input_size))
    advice = SIZE_ADVICE.get(info.modality, "").format(length=info.input_size[0])
    return f"{name} was made for {size}{advice}."


def value_of(spec: Preprocess, key: str) -> Any:
    """The value of a setting, by dotted key, as it stands in a preprocessing."""
    value = getattr(spec, key.split(".")[1])
    return len(value) if key == "text.vocabulary" else value


def classes_of(source: Source, info: ModelInfo) -> tuple[str, ...]:
    """What the network's outputs stand for: the source's classes, and a pass where it was made to say that too."""
    return (*source.classes, "pass") if info.num_classes == math.prod(info.input_size) + 1 else source.classes


def network_options(config: RunConfig, info: ModelInfo, spec: Preprocess) -> dict[str, Any]:
    """What the network is built with beside channels and classes; one of fixed length is told the length."""
    fixed = {"length": spec.shape[0]} if info.modality == "text" and "length" in info.options else {}
    return {**config.model.options, **fixed}
