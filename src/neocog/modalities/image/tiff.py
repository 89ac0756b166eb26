"""TIFF images: by Pillow if it reads them exactly, else by tifffile, or a reason why not."""

import io
import logging
import math
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import UnidentifiedImageError

from neocog.errors import DataError
from neocog.modalities.image.pillow import pillow_header, pillow_pixels
from neocog.modalities.image.pixels import (
    MAX_CHANNELS,
    RANGES,
    Header,
    Pixels,
    UnsupportedImageError,
    check_size,
    damaged,
    orient,
    over_white,
    to_unsigned,
)
from neocog.modalities.image.tiff_tags import MAGIC, Tags, read_tags

if TYPE_CHECKING:
    import tifffile

__all__ = ["as_pillow_shows", "is_tiff", "needs_tifffile", "pillow_is_exact", "tiff_header", "tiff_pixels"]

Read = TypeVar("Read")
INFLATION = {1: 1, 8: 1032, 32946: 1032, 32773: 64}
"""The kinds of compression that need no further library, by TIFF number: the most bytes that one byte inflates to."""
BILEVEL, JPEG = (2, 3, 4), (6, 7)
BY_LIBTIFF = (5, *JPEG, 8, 32773, 32946, 34925, 50000)
"""Compression that libtiff in Pillow reads: LZW, JPEG, deflate, PackBits, LZMA, Zstandard."""
ORIENTATION = 274
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
UINT, INT = 1, 2
ASSOCIATED, UNASSOCIATED, COREL = 1, 2, 999  # what an extra sample is; the last is what Corel writes
ALPHA = (RGB, 4, ()), (RGB, 4, (UNASSOCIATED,)), (RGB, 4, (ASSOCIATED,)), (RGB, 4, (COREL,))
TOGETHER = {
    *ALPHA, (BLACK_IS_ZERO, 2, (UNASSOCIATED,)), (PALETTE, 2, (UNASSOCIATED,)),
    (RGB, 3, ()), (CMYK, 4, ()), (YCBCR, 3, ()), (CIELAB, 3, ()),
}  # fmt: skip
"""Photometric interpretation, samples and extra samples of 8-bit images that Pillow reads exactly."""
APART = {(RGB, 3, ()), (RGB, 4, (UNASSOCIATED,)), (CMYK, 4, ())}
"""As `TOGETHER`, if each sample has a plane of its own."""

# Our errors tell the user what these loggers would say of damaged or foreign files.
for reader in ("tifffile", "PIL.TiffImagePlugin"):
    logging.getLogger(reader).addHandler(logging.NullHandler())


def needs_tifffile(payload: bytes) -> bool:
    """Whether this is a TIFF that Pillow can't read, or not exactly and in full."""
    return is_tiff(payload) and not ((tags := read_tags(payload)) and pillow_is_exact(tags))


def pillow_is_exact(tags: Tags) -> bool:
    """Whether Pillow returns the stored pixels. The tests compare every kind with tifffile."""
    if tags.layers != 1 or tags.byte_palette or (tags.big and not tags.little_endian):
        return False
    if tags.compression in BILEVEL:
        return (tags.bits, tags.samples) == (1, 1) and tags.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    if tags.compression != 1 and tags.compression not in BY_LIBTIFF:
        return False
    if tags.samples == 1:
        return grey_is_exact(tags)
    kind = (tags.photometric, tags.samples, tags.extra)
    if kind == (CMYK, 4, ()) and tags.bits == 16:  # converted to 8 bits, with a message
        return (tags.sample_format, tags.planar, tags.fill_order) == (UINT, 1, 1)
    if tags.photometric == YCBCR and tags.compression == 1 and tags.subsampled:
        return False
    usual = (tags.bits, tags.sample_format, tags.fill_order) == (8, UINT, 1)
    return usual and kind in (TOGETHER if tags.planar == 1 else APART)


def shown_inverted(payload: bytes) -> bool:
    """Whether white is zero in the pixels that Pillow returns: it only inverts those of up to 8 bits."""
    tags = read_tags(payload)
    return tags is not None and (tags.photometric, tags.bits) == (WHITE_IS_ZERO, 16)


def as_pillow_shows(payload: bytes) -> bool:
    """Whether Pillow shows a TIFF exactly."""
    return not needs_tifffile(payload) and not shown_inverted(payload)


def grey_is_exact(tags: Tags) -> bool:
    """As `pillow_is_exact`, for grey images and palettes."""
    if (tags.sample_format == INT and tags.bits in (16, 32)) or (tags.sample_format == UINT and tags.bits == 32):
        # If tifffile can read these, it also sees whether their values fit.
        usual = tags.photometric == BLACK_IS_ZERO and tags.fill_order == 1
        return usual and tags.little_endian and tags.compression not in INFLATION
    if tags.sample_format != UINT:
        return False
    apart = tags.planar != 1 and tags.compression == 1  # of these, Pillow only unpacks bytes with black as zero
    if apart and (tags.photometric, tags.bits) not in ((BLACK_IS_ZERO, 1), (BLACK_IS_ZERO, 8), (PALETTE, 8)):
        return False
    if tags.fill_order != 1:
        bits = {} if apart else {WHITE_IS_ZERO: (1, 2, 4), BLACK_IS_ZERO: (1, 2, 4, 8), PALETTE: (8,)}
        return tags.bits in bits.get(tags.photometric, ()) and (tags.compression == 1 or tags.bits == 1)
    little = tags.little_endian
    deep = {WHITE_IS_ZERO: (16,) * little, BLACK_IS_ZERO: (16, *(12,) * little), PALETTE: ()}
    return tags.photometric in deep and tags.bits in (1, 2, 4, 8, *deep[tags.photometric])


def is_tiff(payload: bytes) -> bool:
    return payload.startswith(MAGIC)


def tiff_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read the header of a TIFF. Raises DataError as `tiff_pixels` does, as far as a header can tell."""
    if found := by_pillow(payload, partial(pillow_header, payload, where, max_pixels)):
        return found
    with open_tiff(payload, where) as file:
        header = read_header(file, where, max_pixels)
        if file.pages.first.dtype not in (np.uint8, np.uint16):  # only the pixels show whether their values fit
            first_page(file, payload, where, max_pixels)
        return header


def tiff_pixels(
    payload: bytes, where: str, max_pixels: int, *, convert: bool, channels: int | None, exact: bool = True
) -> Pixels:
    """Decode the first page of a TIFF; (H, W, C) uint8 or uint16, with white as the largest value.

    Alpha is kept as a fourth channel if `channels` is 4; otherwise it must hide nothing, or is blended with white if
    `convert`. Without `exact`, as in version 2 of the preprocessing, 16 bits with white as zero are not inverted.
    Raises DataError for a file that is truncated, damaged, too large, or stored in an unknown way.
    """
    read = partial(pillow_pixels, payload, where, max_pixels=max_pixels, convert=convert, channels=channels)
    found = by_pillow(payload, read)
    if found is not None:
        return np.invert(found) if exact and shown_inverted(payload) else found
    with open_tiff(payload, where) as file:
        header = read_header(file, where, max_pixels)
        pixels = first_page(file, payload, where, max_pixels)
        page: Any = file.pages.first
        if page.photometric == WHITE_IS_ZERO:
            pixels[:, :, 0] = np.invert(pixels[:, :, 0])
        if not header.alpha:
            return pixels
        if ASSOCIATED in page.extrasamples:
            pixels = unmultiply(pixels)
    if channels == 4:
        return pixels if header.channels == 3 else pixels[:, :, [0, 0, 0, 1]]
    return over_white(pixels, where, convert)


def by_pillow(payload: bytes, read: Callable[[], Read]) -> Read | None:
    """The result of Pillow for a TIFF; None if that would not be exact, or Pillow can't identify it."""
    if needs_tifffile(payload):
        return None
    try:
        return read()
    except DataError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            return None
        raise


def first_page(file: "tifffile.TiffFile", payload: bytes, where: str, max_pixels: int) -> Pixels:
    """The values of the first page as they are stored, turned upright."""
    try:
        page = file.pages.first
        check_stored(page, payload, where, 4 * max_pixels)
        mixed: Pixels = page.asarray(squeeze=False, maxworkers=1)[:, 0]  # (planes, H, W, channels of a plane)
        pixels = np.moveaxis(mixed, 0, 2).reshape(*mixed.shape[1:3], -1)
        pixels = np.ascontiguousarray(orient(pixels, orientation_of(page)), pixels.dtype.newbyteorder("="))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # damaged bytes can raise anything
        raise damaged(where, error) from error
    return to_unsigned(pixels, where)


def open_tiff(payload: bytes, where: str) -> "tifffile.TiffFile":
    if read_tags(payload) is None:
        raise damaged(where, "the tags of its first page lie beyond its end")
    import tifffile  # few files need it

    try:
        return tifffile.TiffFile(io.BytesIO(payload))
    except Exception as error:  # a header can be damaged in any way
        raise damaged(where, error) from error


def read_header(file: "tifffile.TiffFile", where: str, max_pixels: int) -> Header:
    """The header from the tags of the first page, checked."""
    try:
        page: Any = file.pages.first
        samples, bits, numbers = int(page.samplesperpixel), page.bitspersample, page.sampleformat
        height, width = int(page.imagelength), int(page.imagewidth)
        turned = orientation_of(page) >= 5
        extra, photometric, compression = tuple(page.extrasamples), page.photometric, page.compression
        layers, reversed_bits = page.imagedepth, page.fillorder == 2 and compression != 1
    except Exception as error:  # as above
        raise damaged(where, error) from error
    check_size((height, width), samples, where, max_pixels)
    check_numbers(bits, numbers, where)
    alpha = samples in (2, 4) and extra in ((ASSOCIATED,), (UNASSOCIATED,))
    alpha |= bits == 8 and (photometric, samples, extra) in ALPHA
    inverted = photometric == WHITE_IS_ZERO and samples - alpha == 1 and numbers == UINT and bits < 32
    if layers != 1:
        rule, received = "An image must have one layer.", f"a volume of {layers} layers (ImageDepth)"
        fix = "Save each layer as a file of its own, or the layers as the channels of one page."
    elif not 1 <= samples <= MAX_CHANNELS or not (photometric in (BLACK_IS_ZERO, RGB) or inverted):
        name = getattr(photometric, "name", photometric)
        odd = ", with colours of 8 bits instead of 16" if photometric == PALETTE and samples == 1 else ""
        rule = f"A TIFF that is stored in this way must be grey, RGB, or hold 1 to {MAX_CHANNELS} channels."
        received = f"{samples} of {bits} bits, of photometric interpretation {name}{odd}"
        fix = "Convert it to grey or RGB."
    elif compression not in INFLATION or reversed_bits:
        name = getattr(compression, "name", compression)
        kind = f"{samples} channel{'s' * (samples > 1)} of {bits} bits{', signed,' * (numbers == INT)}"
        rule = f"A TIFF with {kind} must be stored without compression, or with deflate or PackBits."
        received = f"{name} compression{' with reversed bits' * reversed_bits}"
        fix = "Save it without compression, or with deflate (ZIP)."
    else:
        size = (width, height) if turned else (height, width)
        return Header(*size, samples - alpha, 8 if bits == 8 else 16, alpha)
    raise UnsupportedImageError(rule, received=received, where=where, fix=fix)


def check_numbers(bits: object, numbers: int, where: str) -> None:
    """Raises DataError for values that are not whole numbers, or have an unsupported number of bits."""
    if numbers in (UINT, INT) and bits in (8, 16, 32):
        return
    kind = {UINT: "whole", INT: "signed", 3: "floating-point", 5: "complex", 6: "complex"}.get(numbers, "undefined")
    said = " and ".join(map(str, bits)) if isinstance(bits, tuple) else bits
    rule = "Pixels must be whole numbers of 8 or 16 bits; grey may also have 1, 2, 4 or 12, and RGB must have 8 or 16."
    received = f"{kind} numbers of {said} bits in this form"
    fix = f"Scale all images alike to {RANGES}, and save them without compression, or with deflate."
    raise UnsupportedImageError(rule, received=received, where=where, fix=fix)


def orientation_of(page: Any) -> int:
    orientation = page.tags.valueof(ORIENTATION, 1)
    return int(orientation) if orientation in range(1, 9) else 1


def check_stored(page: Any, payload: bytes, where: str, max_values: int) -> None:
    """Raises DataError if the file can't hold what its tags promise, before any memory is reserved for it."""
    offsets, counts = page.dataoffsets, page.databytecounts
    parts = list(zip(offsets, counts, strict=False))
    itemsize, inflation = page.dtype.itemsize, INFLATION[page.compression]
    expected, values, part = (math.prod(sizes) for sizes in (page.chunked, page.shape, page.chunks))
    if not len(offsets) == len(counts) == expected:
        fault = f"it has {len(counts)} of {expected} parts"
    elif any(o <= 0 or c <= 0 or o + c > len(payload) for o, c in parts):
        fault = "parts of it lie beyond its end"
    elif sum(counts) > len(payload) or values * itemsize > inflation * sum(counts):
        fault = f"{sum(counts):,} bytes can't hold {values:,} values"
    elif part > max_values:
        fault = f"one part of it has {part:,} values"
    elif inflation == INFLATION[8] and any(inflates_beyond(payload[o : o + c], part * itemsize) for o, c in parts):
        fault = "a part of it inflates to more than it should hold"
    else:
        return
    raise damaged(where, fault)


def inflates_beyond(data: bytes, limit: int) -> bool:
    """Whether a deflated stream is longer than it should be, without keeping its content."""
    stream, length = zlib.decompressobj(), 0
    while length <= limit and (piece := stream.decompress(data, 2**20)):
        length, data = length + len(piece), stream.unconsumed_tail
    return length > limit


def unmultiply(pixels: Pixels) -> Pixels:
    """Colours that are premultiplied with alpha, the last channel, as they were before."""
    white = np.iinfo(pixels.dtype).max
    colours, alpha = pixels[:, :, :-1].astype(np.float64), pixels[:, :, -1:]
    colours = np.round(colours * white / np.maximum(alpha, 1)).clip(0, white).astype(pixels.dtype)
    return np.concatenate([colours, alpha], axis=2)
