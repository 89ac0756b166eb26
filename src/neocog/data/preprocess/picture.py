"""From an encoded picture to its pixels, with every way in which a file can be wrong named."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, WebPImagePlugin

from neocog.errors import DataError

__all__ = ["MIN_SIDE", "Header", "Pixels", "image_pixels", "picture_header", "picture_pixels"]

Pixels = NDArray[Any]
"""(H, W, C) with 1 or 3 channels, uint8 or uint16."""

PLUGINS = (TiffImagePlugin, WebPImagePlugin)  # importing them is what tells Pillow of these two formats
MIN_SIDE = 2
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")  # others, such as EPS, would start programs to be read
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
GREY = ("1", "L", "LA", *DEEP)


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself before it is decoded: size as it will be shown, and kind of pixels."""

    height: int
    width: int
    channels: int
    depth: int


def picture_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read a picture's header. Raises DataError as `picture_pixels` does, as far as a header can tell."""
    image = open_image(payload, where, max_pixels)
    try:
        return header_of(image)
    except Exception as error:  # as below: what a damaged file says of itself can be anything
        raise DataError(f"{where} is damaged: {error}. Replace or remove it.") from error


def header_of(image: Image.Image) -> Header:
    # Asked for its EXIF data, a PNG without any before its pixels would be decoded whole.
    exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
    turned = exif.get(0x0112, 1) >= 5  # orientations 5..8 swap height and width
    height, width = (image.width, image.height) if turned else (image.height, image.width)
    return Header(height, width, 1 if image.mode in GREY else 3, 16 if image.mode in DEEP else 8)


def picture_pixels(payload: bytes, where: str, *, max_pixels: int, convert: bool) -> Pixels:
    """Decode a picture, turned as its EXIF orientation says; (H, W, 1) grey or (H, W, 3) RGB, 8 or 16 bits.

    A picture that has no one right reading as grey or RGB (CMYK, transparency) is refused unless `convert`: CMYK is
    then converted without its colour profile, and what is transparent is laid over white.
    Raises DataError for a file that is empty, no picture, truncated, damaged, too small or too large.
    """
    image = open_image(payload, where, max_pixels)
    if not convert:
        check_depth(image, where)
    try:
        image.load()
        return image_pixels(image, where, convert=convert)
    except DataError:
        raise
    except Exception as error:  # decoders of damaged bytes raise anything: OSError, SyntaxError, struct.error, ...
        raise DataError(
            f"A picture must decode to its last row. {where} is truncated or damaged: {error}. Replace or remove it."
        ) from error


def image_pixels(image: Image.Image, where: str, *, convert: bool) -> Pixels:
    """A Pillow image's pixels, as `picture_pixels` gives those of a file."""
    return to_pixels(ImageOps.exif_transpose(image), where, convert)


def check_depth(image: Image.Image, where: str) -> None:
    """Raises DataError for 16-bit colour, of which Pillow would give the upper 8 bits without a word."""
    layout = str(getattr(image, "tile", ""))
    if image.mode in ("RGB", "RGBA") and ";16" in layout:
        raise DataError(
            f"Colour pictures must be of 8 bits. {where} has 16 in each channel, of which the decoder reads the upper "
            "8. Convert it, or accept that with --data.convert true in training."
        )


def open_image(payload: bytes, where: str, max_pixels: int) -> Image.Image:
    """Read the header alone and check the size, so that no huge picture is ever decoded."""
    if not payload:
        raise DataError(f"A picture must not be empty. {where} has 0 bytes. Replace or remove it.")
    try:
        image = Image.open(io.BytesIO(payload), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{where} has more pixels than Pillow itself takes: {error} Shrink it.") from error
    except Exception as error:  # as above: a header can be damaged in any way
        raise DataError(f"{where} is no picture: it starts with {payload[:8]!r}. Replace or remove it.") from error
    width, height = image.size
    if width * height > max_pixels:
        raise DataError(
            f"A picture may have at most {max_pixels / 1e6:g} million pixels. {where} has {width} x {height}, which is "
            f"{width * height / 1e6:.1f} million. Shrink it, or raise the limit with --data.max_pixels in training."
        )
    if min(width, height) < MIN_SIDE:
        raise DataError(
            f"A picture must be at least {MIN_SIDE} pixels on each side. {where} is {width} wide and {height} high. "
            "Replace or remove it."
        )
    return image


def to_pixels(image: Image.Image, where: str, convert: bool) -> Pixels:
    """A decoded picture of any mode as grey or RGB; (H, W, 1) or (H, W, 3)."""
    if image.mode in DEEP:
        return deep_pixels(image, where)
    if image.mode == "F":
        raise DataError(f"Pixels must be of 8 or 16 bits. {where} holds floating-point ones. Convert it.")
    if image.mode == "CMYK":
        if not convert:
            raise DataError(
                f"Pictures must be grey or RGB. {where} is CMYK, whose colours depend on a profile. Convert it "
                "to RGB, or accept a conversion without profile with --data.convert true in training."
            )
        image = image.convert("RGB")
    if image.has_transparency_data:
        image = opaque(image, where, convert)
    image = image.convert("L" if image.mode in GREY else "RGB")
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels.reshape(image.height, image.width, -1)


def deep_pixels(image: Image.Image, where: str) -> NDArray[np.uint16]:
    """Pixels of 16 bits; (H, W, 1)."""
    values: NDArray[Any] = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise DataError(f"Pixels must be of 8 or 16 bits. {where} holds values of 32 bits. Scale them to 0..65535.")
    return values.astype(np.uint16)[:, :, None]


def opaque(image: Image.Image, where: str, convert: bool) -> Image.Image:
    """The picture without its alpha channel, which must not matter, or is applied over white."""
    grey = image.mode in GREY
    layered = image.convert("RGBA")
    extrema: Any = layered.getextrema()
    if extrema[3][0] < 255 and not convert:
        raise DataError(
            f"Pictures must be opaque. {where} ({image.mode}) is transparent in places, and what lies behind is not "
            "known. Flatten it, or accept a white background with --data.convert true in training."
        )
    flat = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return flat.convert("L") if grey else flat
