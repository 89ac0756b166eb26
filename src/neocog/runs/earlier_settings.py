"""Settings of earlier releases: their names and values, by which earlier runs are read and resumed."""

from dataclasses import fields
from typing import Any

from neocog.data import AudioConfig, ImageConfig
from neocog.training.monitoring import MonitorConfig

__all__ = ["BEFORE", "LATER", "RENAMED", "RENAMED_VALUES", "UNCOUNTED", "earlier", "today"]

LATER = frozenset(
    {
        "audio.compression",
        "augment_signal.frequency_masks",
        "augment_signal.frequency_shift",
        "augment_signal.frequency_width",
        "augment_signal.time_masks",
        "augment_signal.time_width",
        "augment_board.symmetries",
        "board.features",
        "data.class_level",
        "data.file_column",
        "data.label_column",
        "data.limit",
        "data.task",
        "data.test_fold",
        "data.text_column",
        "loss.focal_gamma",
        "loss.huber_delta",
        "model.activation",
        "model.depths",
        "model.head",
        "model.head_limit",
        "model.shrink",
        "model.vector_size",
        "signal.columns",
        "signal.flag_missing",
        "signal.mask",
        "speed.native",
        "text.vectors",
        "text.vectors_frozen",
        "train.calibrate",
        "train.freeze_bn",
        "train.minutes",
        "train.most_epochs",
        "train.progressive",
        "train.replanned",
        "train.search",
    }
)
"""Settings that came after the first release. The digest skips them if they are unset, so that earlier runs resume."""
BEFORE = {"signal.mask": False}
"""The values in earlier runs of settings that are chosen by the data if they are unset; the digest skips them, too."""
UNCOUNTED = frozenset({"data.source", "train.minutes", "train.most_epochs", "train.replanned", "train.search"})
"""Settings outside the digest: where the data is, and the time of a run, whose steps are in its checkpoints."""
FIRST_DEFAULTS = {"loss.kind": "cross_entropy"}
"""Defaults of the first release for settings that may be left open now."""
RENAMED: dict[str, str] = {
    **{f"data.{field.name}": f"image.{field.name}" for field in fields(ImageConfig) if field.name != "bit_depth"},
    "data.depth": "image.bit_depth",
    "data.feeding": "data.loading",
    "train.views": "train.tta",
    **{f"sound.{field.name}": f"audio.{field.name}" for field in fields(AudioConfig)},
    **{f"watch.{field.name}": f"monitor.{field.name}" for field in fields(MonitorConfig)},
}
"""Settings of earlier releases -> their names now. Earlier runs are read and resumed silently; from a user, the earlier
name is an error."""
RENAMED_VALUES = {
    "data.loading": {"resident": "memory", "streaming": "stream"},
    "train.monitor": {"accuracy": "metric"},
    "train.on_full": {"go_on": "continue"},
}


def earlier(key: str, value: Any) -> tuple[str, Any]:
    """A setting by the name and the value that it had in the first release."""
    keys = {new: old for old, new in RENAMED.items()}
    values = {new: old for old, new in RENAMED_VALUES.get(key, {}).items()}
    value = FIRST_DEFAULTS.get(key) if value is None else value
    return keys.get(key, key), values.get(value, value) if isinstance(value, str) else value


def today(key: str, value: Any) -> Any:
    """The value that a setting of an earlier release has now."""
    values = RENAMED_VALUES.get(RENAMED.get(key, key), {})
    return values.get(value, value) if isinstance(value, str) else value
