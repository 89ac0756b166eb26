"""JPEG by libjpeg-turbo, at the smallest eighths of its size that resizing needs: most of the work is then never done.

A JPEG holds blocks of 8x8 frequencies. From the lowest k x k of each, a picture of k/8 the size follows directly,
antialiased. Source: libjpeg's `scale_num`; Wallace 1992, The JPEG still picture compression standard.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import simplejpeg

from neocog.data.preprocess.pillow import open_image, orientation_of
from neocog.data.preprocess.pixels import Decoded, Header, Size, check_size, flips, oriented

__all__ = ["Frame", "choose_eighths", "decode_jpeg", "jpeg_header", "read_frame"]

START = b"\xff\xd8\xff"
COLOURS = {1: "GRAY", 3: "RGB"}
"""By number of components. Four are CMYK, which is not for this decoder."""
BLOCKS, FRAMES, NO_FRAMES = frozenset({0xC0, 0xC1, 0xC2}), range(0xC0, 0xD0), frozenset({0xC4, 0xC8, 0xCC})
SCAN, TAGS, UNUSUAL = 0xDA, 0xE1, frozenset({*range(0xC0), *range(0xD0, 0xDA), 0xFF})


class Frame(NamedTuple):
    """What a JPEG's markers say."""

    size: Size
    """As stored."""
    components: int
    blocks: bool
    """Whether it holds blocks of frequencies. One that does not, a lossless one, must not be decoded to scale."""
    tagged: bool
    """Whether EXIF or XMP tags are there, and with them perhaps an orientation."""


def read_frame(payload: bytes) -> Frame | None:
    """Follow a JPEG's markers up to its scan, as the decoder does; None where anything on the way is unusual."""
    place, frame, tagged = 2, None, False
    while payload.startswith(START) and place + 4 <= len(payload) and payload[place] == 0xFF:
        marker, length = payload[place + 1], int.from_bytes(payload[place + 2 : place + 4])
        if marker == SCAN:
            return frame and frame._replace(tagged=tagged)
        if marker in UNUSUAL:
            return None
        if marker in FRAMES and marker not in NO_FRAMES:
            said = payload[place + 4 : place + 10]
            if frame or len(said) < 6 or said[0] != 8 or said[5] not in COLOURS:  # twice, damaged, 12 bits, CMYK
                return None
            size = int.from_bytes(said[1:3]), int.from_bytes(said[3:5])
            frame = Frame(size, said[5], marker in BLOCKS, False)
        tagged |= marker == TAGS
        place += 2 + length
    return None


def jpeg_header(payload: bytes, where: str, max_pixels: int) -> Header | None:
    """The header of a JPEG without tags; None where Pillow has to read it. Raises DataError for its size."""
    frame = read_frame(payload)
    if not frame or frame.tagged:
        return None
    check_size(frame.size, 1, where, max_pixels)
    return Header(*frame.size, frame.components, 8)


def choose_eighths(full: Size, need: Size) -> int:
    """The smallest k with which k/8 of a picture is at least as large as needed, on both sides; 8 where none is.

    >>> choose_eighths((1500, 2000), (224, 224)), choose_eighths((375, 500), (224, 224))
    (2, 5)
    """
    if max(full) < 8:  # two scales could give the same number of pixels, by which alone the decoder knows them
        return 8
    return next((k for k in range(1, 8) if full[0] * k >= 8 * need[0] and full[1] * k >= 8 * need[1]), 8)


def decode_jpeg(payload: bytes, where: str, max_pixels: int, need: Callable[[Size], Size] | None) -> Decoded | None:
    """Decode a JPEG, turned as its EXIF orientation says, at the scale that `need` asks for; without: whole.

    `need` maps the size of a picture to what it will be resized to. None where this decoder can't read it exactly:
    no JPEG, CMYK, damaged, unusual. Pillow then says why, or reads it. Raises DataError for its size.
    """
    frame = read_frame(payload)
    if not frame:
        return None
    check_size(frame.size, 1, where, max_pixels)
    orientation = tagged_orientation(payload, where, max_pixels) if frame.tagged else 1
    full = frame.size[::-1] if orientation >= 5 else frame.size
    eighths = choose_eighths(full, need(full)) if need and frame.blocks else 8
    small = (-(-frame.size[0] * eighths // 8), -(-frame.size[1] * eighths // 8))
    try:
        if simplejpeg.decode_jpeg_header(payload)[:2] != frame.size:
            return None
        pixels = simplejpeg.decode_jpeg(
            payload,
            COLOURS[frame.components],
            min_height=small[0],
            min_width=small[1],
            strict=True,
        )
    except Exception:  # damaged bytes end in anything here, and Pillow's words for them are those that users know
        return None
    assert pixels.shape[:2] == small, "simplejpeg chooses the scale that was asked for"
    if orientation == 1:
        return Decoded(pixels, full, eighths)
    turned = np.ascontiguousarray(oriented(pixels, orientation))
    rows, columns = flips(orientation)
    top = turned.shape[0] - full[0] * eighths / 8 if rows else 0.0
    left = turned.shape[1] - full[1] * eighths / 8 if columns else 0.0
    return Decoded(turned, full, eighths, (left, top))


def tagged_orientation(payload: bytes, where: str, max_pixels: int) -> int:
    """The orientation in a JPEG's tags, of which Pillow knows all forms."""
    image = open_image(payload, where, max_pixels)
    try:
        return orientation_of(image)
    except Exception:  # tags can be damaged in any way, and the picture be good
        return 1
