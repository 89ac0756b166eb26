"""The columns of an output file: what each task answers, as types that Parquet, CSV and JSON Lines can hold."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.annotations.run_lengths import pack_runs, run_lengths
from neocog.bundle import Predictor
from neocog.errors import ConfigError, did_you_mean, some
from neocog.evaluation.segmentation import BACKGROUND
from neocog.modalities.table import MODALITIES
from neocog.tasks import Prediction
from neocog.tasks.colours import class_colours

__all__ = ["Column", "Extra", "Kind", "ListOf", "Struct", "check_extras", "columns_of"]

Extra = Literal["probabilities", "logits", "masks", "masks-png"]
"""Columns that are written only if they are asked for."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; of a fixed size, if it has one."""

    kind: "Kind"
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Struct:
    """Named fields."""

    fields: tuple[tuple[str, "Kind"], ...]


Kind = Literal["string", "bool", "int32", "int64", "float", "double", "binary"] | ListOf | Struct
"""The type of a column: a scalar by its name in Arrow, or a nested one."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and how it is read off a prediction."""

    name: str
    kind: Kind
    value: Callable[[Any], Any]


def struct(**fields: Kind) -> Struct:
    """A struct; a trailing underscore is left out of a name, since `class` is a word of Python.

    >>> struct(class_="string").fields
    (('class', 'string'),)
    """
    return Struct(tuple((name.rstrip("_"), kind) for name, kind in fields.items()))


SHARE = struct(class_="string", probability="double")
SIZE = (Column("width", "int32", lambda one: one.size[1]), Column("height", "int32", lambda one: one.size[0]))
OBJECT = struct(label="string", score="float", x0="float", y0="float", x1="float", y1="float")


def columns_of(predictor: Predictor, top: int, extras: Sequence[Extra] = ()) -> list[Column]:
    """The columns between `file` and `error` and those that an extra adds, but for probabilities and logits.

    A task that is not one of Neocog's own has one column, `prediction`, with its answer as JSON.
    """
    task = predictor.task
    make = ANSWERS.get(task.name)
    found = list(make(task.classes, top)) if make else [Column("prediction", "string", as_json)]
    for extra in extras:
        if extra in ("masks", "masks-png"):
            found.append(mask_column(task.name, extra))
    if task.flags_unusual:
        found.append(Column("unusual", "bool", lambda one: one.unusual))
    if MODALITIES[predictor.preprocess.modality].count_pages:
        found.append(Column("pages", "int32", lambda one: one.pages))
    return found


def check_extras(predictor: Predictor, extras: Sequence[str]) -> tuple[Extra, ...]:
    """The extras, each once. Raises ConfigError for one that is unknown, or that this network does not have."""
    task = predictor.task
    possible: dict[str, bool] = {
        "probabilities": task.has_probabilities,
        "logits": not task.dense,
        "masks": task.name in MASKS,
        "masks-png": task.name in MASKS,
    }
    for extra in extras:
        if extra not in possible:
            raise ConfigError(
                f"Columns that can be added: {', '.join(get_args(Extra))}.", received=repr(extra),
                fix=did_you_mean(extra, possible),
            )  # fmt: skip
        if not possible[extra]:
            there = [name for name, known in possible.items() if known]
            raise ConfigError(
                f"A network for {task.name} has no {extra.replace('-', ' as ').replace('png', 'PNG')} to write.",
                received=extra,
                fix=f"It has {' and '.join(there)}." if there else "Leave it out.",
            )
    return cast(tuple[Extra, ...], tuple(dict.fromkeys(extras)))


def of_classification(classes: Sequence[str], top: int) -> list[Column]:
    found = [
        Column("class", "string", lambda one: one.class_name),
        Column("probability", "double", lambda one: one.probability),
    ]
    return [*found, Column("top", ListOf(SHARE), top_of)] if top > 1 else found


def of_multi_label(classes: Sequence[str], top: int) -> list[Column]:
    labels = Column("labels", ListOf("string"), lambda one: list(one.labels))
    return [labels, Column("top", ListOf(SHARE), top_of)]


def of_regression(classes: Sequence[str], top: int) -> list[Column]:
    """A column for each output, by its name."""
    taken = sorted({"file", "error", "logits"} & set(classes))
    if taken:
        raise ConfigError(
            "An output of a network may not be called as a column that every file has.", received=some(taken),
            fix="Rename the target and train again, or use neocog predict --csv.",
        )  # fmt: skip

    def value_of(i: int) -> Callable[[Any], Any]:
        return lambda one: one.values[i][1]

    return [Column(name, "double", value_of(i)) for i, name in enumerate(classes)]


def of_detection(classes: Sequence[str], top: int) -> list[Column]:
    return [
        *SIZE,
        Column("count", "int32", lambda one: len(one.objects)),
        Column("objects", ListOf(OBJECT), lambda one: [
            {"label": x.label, "score": x.score, **dict(zip(("x0", "y0", "x1", "y1"), x.box, strict=True))}
            for x in one.objects
        ]),
    ]  # fmt: skip


def of_masks(classes: Sequence[str], top: int) -> list[Column]:
    shares = ListOf(struct(class_="string", share="double"))
    return [
        *SIZE,
        Column("confidence", "double", lambda one: one.confidence),
        Column("shares", shares, lambda one: [{"class": name, "share": x} for name, x in one.shares.items()]),
    ]


def of_segments(classes: Sequence[str], top: int) -> list[Column]:
    segment = struct(start="int64", end="int64", class_="string")
    return [
        Column("length", "int64", lambda one: len(one.labels)),
        Column("confidence", "double", lambda one: one.confidence),
        Column("segments", ListOf(segment), lambda one: one.to_json()["segments"]),
    ]


ANSWERS: Mapping[str, Callable[[Sequence[str], int], list[Column]]] = {
    "classification": of_classification,
    "next move": of_classification,
    "multi-label": of_multi_label,
    "regression": of_regression,
    "detection": of_detection,
    "segmentation": of_masks,
    "multi-label segmentation": of_masks,
    "signal segmentation": of_segments,
}
"""The columns of each task's answer."""
MASKS = ("segmentation", "multi-label segmentation")


def top_of(one: Any) -> list[dict[str, Any]]:
    return [{"class": name, "probability": share} for name, share in one.top]


def as_json(one: Prediction) -> str:
    return json.dumps(one.to_json(), ensure_ascii=False)


def mask_column(task: str, extra: Extra) -> Column:
    """The masks of an image: run lengths of each class but for background, or PNG files."""
    if extra == "masks":
        return Column("masks", ListOf(struct(class_="string", counts="string")), lambda one: [
            {"class": name, "counts": pack_runs(run_lengths(inside))} for name, inside in regions(one)
        ])  # fmt: skip
    if task == "segmentation":
        return Column("mask_png", "binary", lambda one: png_of(one.mask, class_colours(len(one.classes))))
    return Column("masks_png", ListOf(struct(class_="string", png="binary")), lambda one: [
        {"class": name, "png": png_of(inside.astype(np.uint8) * 255)} for name, inside in regions(one)
    ])  # fmt: skip


def regions(one: Any) -> list[tuple[str, NDArray[np.bool_]]]:
    """The name of each class that is there, but for background, and its region (H, W)."""
    if hasattr(one, "masks"):
        return [(one.classes[k], inside) for k, inside in enumerate(one.masks) if inside.any()]
    present = [k for k in np.unique(one.mask).tolist() if one.classes[k].lower() not in BACKGROUND]
    return [(one.classes[k], one.mask == k) for k in present]


def png_of(mask: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """A mask (H, W) as a PNG: class numbers with a palette, or black and white."""
    image = Image.fromarray(mask)
    if palette is not None:
        image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()
