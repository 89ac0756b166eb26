"""From an encoded picture to its pixels: which reader takes which file."""

from collections.abc import Callable

from neocog.modalities.image.jpeg import decode_jpeg, jpeg_header
from neocog.modalities.image.npy import is_npy, npy_header, npy_pixels
from neocog.modalities.image.pillow import image_pixels, pillow_header, pillow_pixels
from neocog.modalities.image.pixels import MIN_SIDE, Decoded, Header, Pixels, Size, whole
from neocog.modalities.image.tiff import is_tiff, tiff_header, tiff_pixels

__all__ = ["MIN_SIDE", "Header", "Pixels", "decode_picture", "image_pixels", "picture_header", "picture_pixels"]


def picture_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read a picture's header. Raises DataError as `picture_pixels` does, as far as a header can tell."""
    if is_npy(payload):
        return npy_header(payload, where, max_pixels)
    if is_tiff(payload):
        return tiff_header(payload, where, max_pixels)
    return jpeg_header(payload, where, max_pixels) or pillow_header(payload, where, max_pixels)


def picture_pixels(
    payload: bytes, where: str, *, max_pixels: int, convert: bool, channels: int | None = None
) -> Pixels:
    """Decode a picture, turned as its EXIF orientation says; (H, W, C), 8 or 16 bits.

    Grey is (H, W, 1), RGB (H, W, 3). Arrays and TIFFs may have more channels. Alpha is kept as a fourth channel where
    `channels` is 4. Otherwise a picture that has no one right reading as grey or RGB (CMYK, transparency) is refused
    unless `convert`: CMYK is then converted without its colour profile, and what is transparent is laid over white.
    Raises DataError for a file that is empty, no picture, truncated, damaged, too small or too large.
    """
    return decode_picture(payload, where, max_pixels=max_pixels, convert=convert, channels=channels).pixels


def decode_picture(
    payload: bytes,
    where: str,
    *,
    max_pixels: int,
    convert: bool,
    channels: int | None = None,
    need: Callable[[Size], Size] | None = None,
    exact: bool = True,
) -> Decoded:
    """As `picture_pixels`, and a JPEG no larger than needed: `need` maps its size to what it will be resized to.

    Without `exact`, as in version 2 of the preprocessing, colours that a JPEG stores at a part of its columns may come
    out smaller than needed, and white may be zero in a TIFF of 16 bits.
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
    return whole(pixels)
