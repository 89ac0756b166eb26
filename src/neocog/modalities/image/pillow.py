"""Pictures as Pillow reads them, with every way in which a file can be wrong named."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, WebPImagePlugin

from neocog.errors import DataError
from neocog.modalities.image.pixels import Header, Pixels, UnsupportedImageError, check_size, unsigned
from neocog.modalities.image.unreadable import unreadable, unsupported_jpeg

__all__ = ["identify", "image_pixels", "open_image", "orientation_of", "pillow_header", "pillow_pixels"]

PLUGINS = (TiffImagePlugin, WebPImagePlugin)  # importing them is what tells Pillow of these two formats
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")  # others, such as EPS, would start programs to be read
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
GREY = ("1", "L", "LA", *DEEP)


def pillow_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read a picture's header. Raises DataError as `pillow_pixels` does, as far as a header can tell."""
    image = open_image(payload, where, max_pixels)
    try:
        turned = orientation_of(image) >= 5  # orientations 5..8 swap height and width
        height, width = (image.width, image.height) if turned else (image.height, image.width)
        grey, deep = image.mode in GREY, image.mode in DEEP
        return Header(height, width, 1 if grey else 3, 16 if deep else 8, image.has_transparency_data)
    except Exception as error:  # as below: what a damaged file says of itself can be anything
        raise DataError(f"{where} is damaged: {error}. Replace or remove it.") from error


def orientation_of(image: Image.Image) -> int:
    """How a picture is to be turned, 1..8; 1, as it is, where nothing or nonsense is said."""
    # Asked for its EXIF data, a PNG without any before its pixels would be decoded whole.
    exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
    orientation = exif.get(0x0112, 1)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def pillow_pixels(payload: bytes, where: str, *, max_pixels: int, convert: bool, channels: int | None = None) -> Pixels:
    """Decode a picture whole, as `picture_pixels` does."""
    image = open_image(payload, where, max_pixels)
    if not convert:
        check_depth(image, where)
    try:
        image.load()
        return image_pixels(image, where, convert=convert, channels=channels)
    except DataError:
        raise
    except Exception as error:  # decoders of damaged bytes raise anything: OSError, SyntaxError, struct.error, ...
        raise unsupported_jpeg(payload, where) or DataError(
            f"A picture must decode to its last row. {where} is truncated or damaged: {error}. Replace or remove it."
        ) from error


def image_pixels(image: Image.Image, where: str, *, convert: bool, channels: int | None = None) -> Pixels:
    """A Pillow image's pixels, as `picture_pixels` gives those of a file."""
    return to_pixels(ImageOps.exif_transpose(image), where, convert, channels)


def check_depth(image: Image.Image, where: str) -> None:
    """Raises DataError for 16-bit colour, of which Pillow would give the upper 8 bits without a word."""
    layout = str(getattr(image, "tile", ""))
    if image.mode in ("RGB", "RGBA") and ";16" in layout:
        raise DataError(
            f"Colour pictures must be of 8 bits. {where} has 16 in each channel, of which the decoder reads the upper "
            "8. Convert it, to TIFF to keep all 16, or accept that with --image.convert true in training."
        )


def open_image(payload: bytes, where: str, max_pixels: int) -> Image.Image:
    """Read the header alone and check the size, so that no huge picture is ever decoded."""
    if not payload:
        raise DataError(f"A picture must not be empty. {where} has 0 bytes. Replace or remove it.")
    try:
        image = identify(payload)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{where} has more pixels than Pillow itself takes: {error} Shrink it.") from error
    except Exception as error:  # as above: a header can be damaged in any way
        raise unreadable(payload, where) from error
    check_size((image.height, image.width), 1, where, max_pixels)
    return image


def identify(payload: bytes) -> Image.Image:
    """Read the header. Raises whatever Pillow raises."""
    return Image.open(io.BytesIO(payload), formats=FORMATS)


def to_pixels(image: Image.Image, where: str, convert: bool, channels: int | None) -> Pixels:
    """A decoded picture of any mode as grey or RGB, or with alpha where 4 channels are asked for; (H, W, C)."""
    if image.mode in DEEP:
        deep: NDArray[Any] = np.asarray(image)
        return unsigned(deep, where)[:, :, None]
    if image.mode == "F":
        raise UnsupportedImageError(
            f"Pixels must be whole numbers of 8 or 16 bits. {where} holds floating-point ones. Scale all images alike "
            "to 0..255 (uint8) or 0..65535 (uint16)."
        )
    if image.mode == "CMYK":
        if not convert:
            raise DataError(
                f"Pictures must be grey or RGB. {where} is CMYK, whose colours depend on a profile. Convert it "
                "to RGB, or accept a conversion without profile with --image.convert true in training."
            )
        image = image.convert("RGB")
    if image.has_transparency_data:
        if channels == 4:
            return np.asarray(image.convert("RGBA"))
        image = opaque(image, where, convert)
    image = image.convert("L" if image.mode in GREY else "RGB")
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels.reshape(image.height, image.width, -1)


def opaque(image: Image.Image, where: str, convert: bool) -> Image.Image:
    """The picture without its alpha channel, which must not matter, or is applied over white."""
    grey = image.mode in GREY
    layered = image.convert("RGBA")
    extrema: Any = layered.getextrema()
    if extrema[3][0] < 255 and not convert:
        raise DataError(
            f"Pictures must be opaque. {where} ({image.mode}) is transparent in places, and what lies behind is not "
            "known. Flatten it, keep alpha as a channel with --image.channels 4, or accept a white background with "
            "--image.convert true in training."
        )
    flat = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return flat.convert("L") if grey else flat
