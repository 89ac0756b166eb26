"""TIFF pictures that Pillow can't give exactly: 16-bit colour, any number of channels, in planes or mixed."""

import io
import logging
import math
import zlib
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from neocog.data.preprocess.pillow import identify
from neocog.data.preprocess.pixels import MAX_CHANNELS, Header, Pixels, check_size, oriented
from neocog.errors import DataError

__all__ = ["needs_tifffile", "tiff_header", "tiff_pixels"]

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
INFLATION = {1: 1, 8: 1032, 32946: 1032, 32773: 64}
"""The ways of compression that need no further library, by their TIFF numbers, and how many bytes each makes of one."""
SAMPLES_PER_PIXEL, ORIENTATION = 277, 274
BLACK_IS_ZERO, RGB = 1, 2

# What these say of a file that is damaged, or not for them, our own errors say in the user's words.
for reader in ("tifffile", "PIL.TiffImagePlugin"):
    logging.getLogger(reader).addHandler(logging.NullHandler())


def needs_tifffile(payload: bytes) -> bool:
    """Whether this is a TIFF of which Pillow would give nothing, or the upper 8 of 16 bits, or some channels only."""
    if not payload.startswith(MAGIC):
        return False
    try:
        image: Any = identify(payload)
        samples = image.tag_v2.get(SAMPLES_PER_PIXEL, 1)
        halved = image.mode in ("RGB", "RGBA") and ";16" in str(image.tile)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return False
    except Exception:  # Pillow knows no such TIFF, or it is damaged, which tifffile then finds too
        return True
    return halved or samples > len(image.getbands())


def tiff_header(payload: bytes, where: str, max_pixels: int) -> Header:
    """Read a TIFF's header. Raises DataError as `tiff_pixels` does, as far as a header can tell."""
    with opened(payload, where) as file:
        return read_header(file, where, max_pixels)


def tiff_pixels(payload: bytes, where: str, max_pixels: int, *, convert: bool, channels: int | None) -> Pixels:
    """Decode a TIFF's first picture; (H, W, C) uint8 or uint16.

    Its alpha is kept as a fourth channel where `channels` is 4, else must hide nothing, or is applied over white where
    `convert`. Raises DataError for a file that is truncated, damaged, too large, or stored in a way not known here.
    """
    with opened(payload, where) as file:
        header = read_header(file, where, max_pixels)
        try:
            page = file.pages.first
            check_stored(page, payload, where, 4 * max_pixels)
            mixed: Pixels = page.asarray(squeeze=False, maxworkers=1)[:, 0]  # (planes, H, W, channels of a plane)
            pixels = np.moveaxis(mixed, 0, 2).reshape(*mixed.shape[1:3], -1)
            pixels = np.ascontiguousarray(oriented(pixels, orientation_of(page)), pixels.dtype.newbyteorder("="))
        except DataError:
            raise
        except Exception as error:  # damaged bytes end in anything
            raise damaged(where, error) from error
    if not header.alpha:
        return pixels
    if channels == 4:
        return pixels if header.channels == 3 else pixels[:, :, [0, 0, 0, 1]]
    return opaque(pixels, where, convert)


def opened(payload: bytes, where: str) -> tifffile.TiffFile:
    try:
        return tifffile.TiffFile(io.BytesIO(payload))
    except Exception as error:  # a header can be damaged in any way
        raise damaged(where, error) from error


def damaged(where: str, error: Exception) -> DataError:
    return DataError(
        f"A picture must decode to its last row. {where} is truncated or damaged: {error}. Replace or remove it."
    )


def read_header(file: tifffile.TiffFile, where: str, max_pixels: int) -> Header:
    """What the first picture's tags say, checked."""
    try:
        page: Any = file.pages.first
        samples, bits, kind = int(page.samplesperpixel), page.bitspersample, page.sampleformat
        height, width = int(page.imagelength), int(page.imagewidth)
        turned = orientation_of(page) >= 5
        alpha = samples in (2, 4) and tuple(page.extrasamples) == (tifffile.EXTRASAMPLE.UNASSALPHA,)
        photometric, compression, depth = page.photometric, page.compression, page.imagedepth
    except Exception as error:  # as above
        raise damaged(where, error) from error
    check_size((height, width), samples, where, max_pixels)
    if bits not in (8, 16) or kind != tifffile.SAMPLEFORMAT.UINT:
        name = {3: "floating-point ones", 2: "signed ones"}.get(kind, f"such of {bits} bits")
        raise DataError(f"Pixels must be of 8 or 16 bits, without sign. {where} holds {name}. Convert it.")
    if not 1 <= samples <= MAX_CHANNELS or depth != 1 or photometric not in (BLACK_IS_ZERO, RGB):
        name = getattr(photometric, "name", photometric)
        raise DataError(
            f"A TIFF of this kind must be grey, RGB, or hold 1 to {MAX_CHANNELS} channels in one layer. {where} has "
            f"{samples} channels in {depth} layers, of photometric interpretation {name}. Convert it."
        )
    if compression not in INFLATION:
        raise DataError(
            f"A TIFF with {samples} channels of {bits} bits must be stored without compression, or with deflate or "
            f"PackBits. {where} is compressed by {getattr(compression, 'name', compression)}. Save it anew."
        )
    size = (width, height) if turned else (height, width)
    return Header(*size, samples - alpha, bits, alpha)


def orientation_of(page: Any) -> int:
    orientation = page.tags.valueof(ORIENTATION, 1)
    return int(orientation) if orientation in range(1, 9) else 1


def check_stored(page: Any, payload: bytes, where: str, max_values: int) -> None:
    """Raises DataError where the file can't hold what it promises, so that no memory is reserved for a lie."""
    offsets, counts = page.dataoffsets, page.databytecounts
    expected = math.prod(page.chunked)
    if not len(offsets) == len(counts) == expected:
        raise damaged(where, ValueError(f"it has {len(counts)} of {expected} parts"))
    if any(o <= 0 or c <= 0 or o + c > len(payload) for o, c in zip(offsets, counts, strict=True)):
        raise damaged(where, ValueError("parts of it lie beyond its end"))
    itemsize, inflation = page.dtype.itemsize, INFLATION[page.compression]
    values = math.prod(page.shape)
    if sum(counts) > len(payload) or values * itemsize > inflation * sum(counts):
        raise damaged(where, ValueError(f"{sum(counts):,} bytes can't hold {values:,} values"))
    part = math.prod(page.chunks)
    if part > max_values:
        raise damaged(where, ValueError(f"one part of it has {part:,} values"))
    if inflation == INFLATION[8]:
        for offset, count in zip(offsets, counts, strict=True):
            if inflates_beyond(payload[offset : offset + count], part * itemsize):
                raise damaged(where, ValueError("a part of it inflates to more than it should hold"))


def inflates_beyond(data: bytes, limit: int) -> bool:
    """Whether a deflated stream is longer than it should be, found without keeping it."""
    stream, length = zlib.decompressobj(), 0
    while length <= limit:
        piece = stream.decompress(data, 2**20)
        if not piece:
            return False
        length, data = length + len(piece), stream.unconsumed_tail
    return True


def opaque(pixels: Pixels, where: str, convert: bool) -> Pixels:
    """The picture without its last channel, alpha, which must hide nothing, or is applied over white."""
    white = np.iinfo(pixels.dtype).max
    colours, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    if alpha.min() == white:
        return colours
    if not convert:
        raise DataError(
            f"Pictures must be opaque. {where} is transparent in places, and what lies behind is not known. Flatten "
            "it, keep alpha as a channel with --data.channels 4, or accept a white background with "
            "--data.convert true in training."
        )
    share = alpha / np.float64(white)
    return np.round(colours * share + white * (1 - share)).astype(pixels.dtype)
