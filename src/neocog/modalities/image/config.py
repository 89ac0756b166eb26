"""Settings of image preprocessing."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS, whole_number

__all__ = ["ImageConfig"]


def height_width(value: object) -> object:
    """`32x48` or `32` as (32, 48) or (32, 32)."""
    if isinstance(value, int):
        return value, value
    if isinstance(value, str):
        parts = value.lower().split("x")
        return parts * 2 if len(parts) == 1 else parts
    return value


Side = Annotated[int, Field(ge=1, le=4096)]
HeightWidth = Annotated[tuple[Side, Side], BeforeValidator(height_width)]
Border = Annotated[int, Field(ge=0, le=512)]
Channels = Annotated[int, Field(ge=1, le=256)]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class ImageConfig:
    """How images are decoded, resized and padded."""

    size: HeightWidth | None = None
    """Height x width to resize images to, such as 32x32; unset: what the network was made for."""
    pad: Annotated[tuple[Border, Border], BeforeValidator(height_width)] | None = None
    """Black rows x columns to add on each side after resizing; unset: chosen from the images."""
    resize: Literal["squash", "crop", "letterbox"] | None = None
    """Stretch both sides, crop the centre, or fit with black bars; unset: chosen from the images."""
    channels: Annotated[Channels | None, BeforeValidator(whole_number)] = None
    """1 for grey, 3 for RGB, 4 for RGB with alpha, or the number of channels of the images; unset: that of the
    images."""
    dct_scaling: bool = True
    """Decode large JPEGs at reduced resolution (libjpeg DCT scaling) when the network needs fewer pixels."""
    bit_depth: Annotated[Literal[8, 16] | None, BeforeValidator(whole_number)] = None
    """Bits per value; unset: that of the images."""
    convert: bool = False
    """Convert CMYK, transparent and 16-bit images instead of refusing them."""
    max_pixels: Annotated[int, Field(ge=4)] = 40_000_000
    """Refuse images with more pixels, before they are decoded."""
