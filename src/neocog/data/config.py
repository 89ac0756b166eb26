"""Settings of a data set: which one, how its files are read, and how it is split."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from neocog.dataset.columns import list_names
from neocog.settings import SETTINGS, whole_number

__all__ = ["DataConfig"]


def as_text(value: object) -> object:
    """3 as "3": a name that is written like a number."""
    return str(value) if isinstance(value, int) else value


def joined(value: object) -> object:
    """Several names as one text."""
    return list_names([str(name) for name in value]) if isinstance(value, list | tuple) else value


Name = Annotated[str, BeforeValidator(as_text)]
Fraction = Annotated[float, Field(gt=0, lt=0.9)]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class DataConfig:
    """Which data set, how its files are read, and how it is split."""

    source: str
    """The name of a known data set, such as mnist, or a path."""
    format: str | None = None
    """The layout, such as image-folder; unset: detected. `neocog check DATA` shows what is detected."""
    file_column: Name | None = None
    """The column of a table that names the image files; unset: detected by names such as file, filename or image."""
    text_column: Name | None = None
    """The column of a table that holds the texts; unset: detected by names such as text, sentence or review."""
    label_column: Annotated[Name | None, BeforeValidator(joined)] = None
    """The column of a table that holds one label per row, or several columns, A,B,C; unset: detected by names such as
    label or class, or as numbers beside the files or texts."""
    task: Literal[
        "classification", "multi-label", "regression", "segmentation", "multi-label segmentation", "detection",
        "next move",
    ] | None = None  # fmt: skip
    """The task of the labels; unset: decided by their values, and said."""
    class_level: Annotated[Literal[1, 2, 3] | None, BeforeValidator(whole_number)] = None
    """How many levels below the data folder the class folders are: 1 for DATA/CLASS, 2 for DATA/GROUP/CLASS, where
    groups are splits, folds or other groups; unset: detected by names."""
    test_fold: Name | None = None
    """The name or number of the fold to test on, if folders are folds; unset: the last."""
    val_fraction: Fraction = 0.1
    """Fraction of the training samples to validate on, if the data has no validation split."""
    test_fraction: Fraction = 0.2
    """Fraction of the samples to test on, if the data has no splits."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Train on this many samples, each class by its share; unset: on all. Validation and test stay whole."""
    skip_list: str | None = None
    """Leave out the samples that this file lists; `neocog check` writes one."""
    on_corrupt: Literal["stop", "skip"] = "stop"
    """If a training sample can't be read: stop the run, or skip and count the sample."""
    loading: Literal["auto", "memory", "stream"] = "auto"
    """Decode all samples into memory first, or stream them from disk; auto: by their size."""
    cache: bool = False
    """Keep decoded samples in the user's cache folder, shared by all processes."""
    balance: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How often classes are sampled: 1 as in the data, 0 all equally often, by oversampling rare classes."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """Repeated augmentation: put N augmented copies of each sample into nearby batches; an epoch then covers 1/N of the
    samples."""
