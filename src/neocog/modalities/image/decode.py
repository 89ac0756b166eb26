"""From an encoded image to its pixels: which reader takes which file."""

from collections.abc import Callable

from neocog.modalities.image.jpeg import decode_jpeg, jpeg_header
from neocog.modalities.image.npy import is_npy, npy_header, npy_pixels
from neocog.modalities.image.pillow import pil_pixels, pillow_header, pillow_pixels
from neocog.modalities.image.pixels import MIN_SIDE, Decoded, Header, Pixels, Size
from neocog.modalities.image.tiff import is_tiff, tiff_header, tiff_pixels

__all__ = ["MIN_SIDE", "Header", "Pixels", "decode_image", "decode_scaled", "image_header", "pil_pixels"]


def image_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read the header of an image. Raises DataError as `decode_image` does, as far as a header can tell."""
    if is_npy(payload):
        return npy_header(payload, where, max_pixels)
    if is_tiff(payload):
        return tiff_header(payload, where, max_pixels)
    return jpeg_header(payload, where, max_pixels) or pillow_header(payload, where, max_pixels)


def decode_image(payload: bytes, where: str, *, max_pixels: int, convert: bool, channels: int | None = None) -> Pixels:
    """Decode an image, turned as its EXIF orientation says; (H, W, C), 8 or 16 bits.

    Grey is (H, W, 1), RGB (H, W, 3). Arrays and TIFFs may have more channels. Alpha is kept as a fourth channel if
    `channels` is 4. Otherwise an image that can be read as grey or RGB in several ways (CMYK, transparency) is refused
    unless `convert`: CMYK is then converted without its colour profile, and transparency is blended with white.
    Raises DataError for a file that is empty, not an image, truncated, damaged, too small or too large.
    """
    return decode_scaled(payload, where, max_pixels=max_pixels, convert=convert, channels=channels).pixels


def decode_scaled(
    payload: bytes,
    where: str,
    *,
    max_pixels: int,
    convert: bool,
    channels: int | None = None,
    need: Callable[[Size], Size] | None = None,
    exact: bool = True,
) -> Decoded:
    """As `decode_image`, but a JPEG no larger than needed: `need` maps its size to what it will be resized to.

    Without `exact`, as in version 2 of the preprocessing, JPEG colours with subsampled columns may be decoded smaller
    than needed, and white may be zero in a TIFF of 16 bits.
    """
    found = decode_jpeg(payload, where, max_pixels, need, whole_colours=exact)
    if found:
        return found
    if is_npy(payload):
        pixels = npy_pixels(payload, where, max_pixels)
    elif is_tiff(payload):
        pixels = tiff_pixels(payload, where, max_pixels, convert=convert, channels=channels, exact=exact)
    else:
        pixels = pillow_pixels(payload, where, max_pixels=max_pixels, convert=convert, channels=channels)
    return Decoded.whole(pixels)
