"""Settings of the data: which set, how it is divided, and what its pictures become."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS

__all__ = ["DataConfig"]


def height_width(value: object) -> object:
    """`32x48` or `32` as (32, 48) or (32, 32)."""
    if isinstance(value, int):
        return value, value
    if isinstance(value, str):
        parts = value.lower().split("x")
        return parts * 2 if len(parts) == 1 else parts
    return value


def whole_number(value: object) -> object:
    """`8` as 8."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def as_text(value: object) -> object:
    """3 as "3"."""
    return str(value) if isinstance(value, int) else value


Side = Annotated[int, Field(ge=1, le=4096)]
HeightWidth = Annotated[tuple[Side, Side], BeforeValidator(height_width)]
Border = Annotated[int, Field(ge=0, le=512)]
ColumnName = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
Fraction = Annotated[float, Field(gt=0, lt=0.9)]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class DataConfig:
    """Which data, how it is divided, and what its pictures become."""

    source: str
    """A name such as mnist, or a path."""
    format: str | None = None
    """The layout, such as image-folder; unset: recognised. `neocog check DATA` says what was recognised."""
    file_column: ColumnName | None = None
    """The column of a table that names the images, where it is not called file, filename, image and so on."""
    text_column: ColumnName | None = None
    """The column of a table that holds the texts; unset: the one called text, sentence, review and so on."""
    label_column: ColumnName | None = None
    """The column of a table that holds one label for each row; unset: the one called label, class and so on."""
    class_level: Annotated[Literal[1, 2, 3] | None, BeforeValidator(whole_number)] = None
    """The level below the data set's folder at which the folders of the classes are, where it could be another: 1 its
    own folders, 2 those within them, which are splits, folds or else groups; unset: by names."""
    test_fold: Annotated[str | None, BeforeValidator(as_text)] = None
    """The name or the number of the fold for the test, where folders are folds; unset: the last."""
    val_fraction: Fraction = 0.1
    """Part of the training records that validates, where the set has no validation split."""
    test_fraction: Fraction = 0.2
    """Part that is kept for the final test, where the set has no splits at all."""
    skip_list: str | None = None
    """Leave out the records that this file of `neocog check` names."""
    on_corrupt: Literal["stop", "skip"] = "stop"
    """What a training record that can't be read does: end the run, or be left out and counted."""
    feeding: Literal["auto", "resident", "streaming"] = "auto"
    """Decode all records into memory at first, or as they are needed; auto: by their size."""
    cache: bool = False
    """Keep decoded records in the user's cache, where all processes share them."""
    balance: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How often classes come: 1 as in the data, 0 all equally often, by drawing records of rare ones more often."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """Show each record so many times close together, augmented anew each time; an epoch brings one in so many."""
    size: HeightWidth | None = None
    """Height x width that pictures are resized to, such as 32x32; unset: what the network asks for."""
    pad: Annotated[tuple[Border, Border], BeforeValidator(height_width)] | None = None
    """Black rows x columns on each side after resizing; unset: chosen from the pictures."""
    resize: Literal["squash", "crop", "letterbox"] | None = None
    """Stretch both sides, crop the centre, or fit with black bars; unset: chosen from the pictures."""
    channels: Annotated[Annotated[int, Field(ge=1, le=256)] | None, BeforeValidator(whole_number)] = None
    """1 for grey, 3 for colour, 4 for colour with alpha, or as many as the pictures have; unset: the pictures' own."""
    dct_scaling: bool = True
    """Decode a JPEG that is larger than needed at some eighths of its size, which is faster."""
    depth: Annotated[Literal[8, 16] | None, BeforeValidator(whole_number)] = None
    """Bits of each value; unset: the pictures' own."""
    convert: bool = False
    """Convert CMYK, transparent and too deep pictures instead of refusing them."""
    max_pixels: Annotated[int, Field(ge=4)] = 40_000_000
    """A picture with more pixels than this is refused before it is decoded."""
