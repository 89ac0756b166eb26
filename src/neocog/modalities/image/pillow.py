"""Images as Pillow reads them, with an error for every way in which a file can be wrong."""

import io

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, WebPImagePlugin

from neocog.errors import DataError
from neocog.modalities.image.pixels import (
    CONVERT,
    RANGES,
    REPLACE,
    Header,
    Pixels,
    UnsupportedImageError,
    check_size,
    damaged,
    over_white,
    to_unsigned,
)
from neocog.modalities.image.unreadable import unreadable, unsupported_jpeg

__all__ = ["identify", "open_image", "orientation_of", "pil_pixels", "pillow_header", "pillow_pixels"]

PLUGINS = (TiffImagePlugin, WebPImagePlugin)  # importing them registers these two formats
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")  # others, such as EPS, would start programs
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
GREY = ("1", "L", "LA", *DEEP)


def pillow_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read the header of an image. Raises DataError as `pillow_pixels` does, as far as a header can tell."""
    image = open_image(payload, where, max_pixels)
    try:
        turned = orientation_of(image) >= 5  # orientations 5..8 swap height and width
        height, width = (image.width, image.height) if turned else (image.height, image.width)
        grey, deep = image.mode in GREY, image.mode in DEEP
        return Header(height, width, 1 if grey else 3, 16 if deep else 8, image.has_transparency_data)
    except Exception as error:  # as below: a damaged header can hold anything
        raise damaged(where, error) from error


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1, upright, if there is none or a wrong one."""
    # A PNG without EXIF data before its pixels would be decoded whole to look for some.
    exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
    orientation = exif.get(0x0112, 1)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def pillow_pixels(payload: bytes, where: str, *, max_pixels: int, convert: bool, channels: int | None = None) -> Pixels:
    """Decode an image at full size, as `decode_image` does."""
    image = open_image(payload, where, max_pixels)
    if not convert and image.mode in ("RGB", "RGBA") and ";16" in str(getattr(image, "tile", "")):
        rule = "Colour images must have 8 bits per channel."
        received = "16 bits per channel, of which the decoder reads the upper 8"  # and says nothing
        fix = f"Convert it, to TIFF to keep all 16, or accept the upper 8 {CONVERT}."
        raise DataError(rule, received=received, where=where, fix=fix)
    try:
        image.load()
        return pil_pixels(image, where, convert=convert, channels=channels)
    except (DataError, MemoryError):  # a lack of memory says nothing about the file
        raise
    except Exception as error:  # decoders of damaged bytes raise anything: OSError, SyntaxError, struct.error, ...
        if "out of memory" in str(error):  # Pillow's decoders say it so
            raise MemoryError(str(error)) from error
        raise unsupported_jpeg(payload, where) or damaged(where, error) from error


def open_image(payload: bytes, where: str, max_pixels: int) -> Image.Image:
    """Read only the header and check the size, so that no huge image is ever decoded."""
    if not payload:
        raise DataError("An image must not be empty.", received="0 bytes", where=where, fix=REPLACE)
    try:
        image = identify(payload)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{where} has more pixels than Pillow accepts: {error}", fix="Shrink it.") from error
    except Exception as error:  # as above: a header can be damaged in any way
        raise unreadable(payload, where) from error
    check_size((image.height, image.width), 1, where, max_pixels)
    return image


def identify(payload: bytes) -> Image.Image:
    """Read the header. Raises whatever Pillow raises."""
    return Image.open(io.BytesIO(payload), formats=FORMATS)


def pil_pixels(image: Image.Image, where: str, *, convert: bool, channels: int | None = None) -> Pixels:
    """A Pillow image of any mode as grey or RGB, or with alpha if 4 channels are asked for; (H, W, C)."""
    image = ImageOps.exif_transpose(image)
    if image.mode in DEEP:
        return to_unsigned(np.asarray(image), where)[:, :, None]
    if image.mode == "F":
        rule, fix = "Pixels must be whole numbers of 8 or 16 bits.", f"Scale all images alike to {RANGES}."
        raise UnsupportedImageError(rule, received="floating-point numbers", where=where, fix=fix)
    if image.mode == "CMYK":
        if not convert:
            rule, received = "Images must be grey or RGB.", "CMYK, whose colours depend on a profile"
            fix = f"Convert it to RGB, or accept a conversion without profile {CONVERT}."
            raise DataError(rule, received=received, where=where, fix=fix)
        image = image.convert("RGB")
    if image.has_transparency_data:
        layered: Pixels = np.asarray(image.convert("RGBA"))
        if channels == 4:
            return layered
        flat = over_white(layered, where, convert, image.mode)
        return flat[:, :, :1] if image.mode in GREY else flat
    pixels: Pixels = np.asarray(image.convert("L" if image.mode in GREY else "RGB"))
    return pixels.reshape(image.height, image.width, -1)
