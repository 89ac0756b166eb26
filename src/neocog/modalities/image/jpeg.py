"""JPEG by libjpeg-turbo, decoded at the smallest k/8 of its size that resizing needs, which saves most of the work.

A JPEG holds blocks of 8x8 frequencies. The lowest k x k of each directly give an image of k/8 the size, antialiased.
Source: libjpeg's `scale_num`; Wallace 1992, IEEE Transactions on Consumer Electronics 38(1).
"""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import simplejpeg

from neocog.modalities.image.jpeg_frame import Frame, component_scales, read_frame
from neocog.modalities.image.pillow import open_image, orientation_of
from neocog.modalities.image.pixels import Decoded, Header, Size, check_size, flips, orient

__all__ = ["choose_eighths", "decode_jpeg", "jpeg_header", "read_frame"]

COLOURS = {1: "GRAY", 3: "RGB"}
"""By number of components. Four are CMYK, which this decoder does not take."""
GREY = bytes([0x11])
"""The sampling factors of a grey JPEG."""


def usual_frame(payload: bytes) -> Frame | None:
    """The frame header of a JPEG; None if this decoder does not take it."""
    frame = read_frame(payload)
    return frame if frame and frame.bits == 8 and frame.components in COLOURS else None


def jpeg_header(payload: bytes, where: str, max_pixels: int) -> Header | None:
    """The header of a JPEG without tags; None if Pillow has to read it. Raises DataError for its size."""
    frame = usual_frame(payload)
    if not frame or frame.tagged:
        return None
    check_size(frame.size, 1, where, max_pixels)
    return Header(*frame.size, frame.components, 8)


def choose_eighths(full: Size, need: Size, sampling: bytes = GREY) -> int:
    """The smallest k for which k/8 of an image is at least as large as needed, on both sides; 8 if none is.

    A colour plane must not become smaller than needed either, unless it is stored so: if only its rows or only its
    columns are subsampled, as in 4:2:2, k must be larger. `sampling` holds the factors of the components.

    >>> choose_eighths((1500, 2000), (224, 224)), choose_eighths((375, 500), (224, 224))
    (2, 5)
    >>> choose_eighths((256, 256), (32, 32), bytes([0x22, 0x11, 0x11])), "for 4:2:0"
    (1, 'for 4:2:0')
    >>> choose_eighths((256, 256), (32, 32), bytes([0x21, 0x11, 0x11])), "for 4:2:2"
    (4, 'for 4:2:2')
    """
    if max(full) < 8:  # two scales could give the same number of pixels, by which alone the decoder knows them
        return 8
    large = (k for k in range(1, 8) if full[0] * k >= 8 * need[0] and full[1] * k >= 8 * need[1])
    return next((k for k in large if keeps_colours(full, need, sampling, k)), 8)


def keeps_colours(full: Size, need: Size, sampling: bytes, eighths: int) -> bool:
    """Whether every component has as many rows and columns as needed, or all that are stored.

    If the decoder has to enlarge them, there must be twice as many, since it smooths them.
    """
    return all(
        stored
        or all(
            side * share >= (n if 8 * share >= eighths else 2 * n)
            for side, share, n in zip(full, shares, need, strict=True)
        )
        for shares, stored in component_scales(sampling, eighths)
    )


def decode_jpeg(
    payload: bytes, where: str, max_pixels: int, need: Callable[[Size], Size] | None, *, whole_colours: bool = True
) -> Decoded | None:
    """Decode a JPEG, turned as its EXIF orientation says, at the scale that `need` asks for, or at full size.

    `need` maps the size of an image to what it will be resized to. Without `whole_colours`, the scale follows from the
    brightness alone, as in version 2 of the preprocessing. None if this decoder can't read it exactly: not a JPEG,
    CMYK, damaged, unusual. Pillow then reads it, or says why not. Raises DataError for its size.
    """
    frame = usual_frame(payload)
    if not frame:
        return None
    check_size(frame.size, 1, where, max_pixels)
    orientation, eighths = 1, 8
    if frame.tagged:
        image = open_image(payload, where, max_pixels)  # Pillow knows all forms of tags
        with suppress(Exception):  # tags can be damaged in an intact image
            orientation = orientation_of(image)
    full = frame.size[::-1] if orientation >= 5 else frame.size
    if need and frame.blocks:
        wanted = need(full)[::-1] if orientation >= 5 else need(full)
        eighths = choose_eighths(frame.size, wanted, frame.sampling if whole_colours else GREY)
    small = (-(-frame.size[0] * eighths // 8), -(-frame.size[1] * eighths // 8))
    try:
        if simplejpeg.decode_jpeg_header(payload)[:2] != frame.size:
            return None
        colours, least = COLOURS[frame.components], {"min_height": small[0], "min_width": small[1]}
        pixels = simplejpeg.decode_jpeg(payload, colours, **least, strict=True)
    except Exception:  # damaged bytes raise anything here, and Pillow reports them better
        return None
    assert pixels.shape[:2] == small, "simplejpeg decodes at the scale that was asked for"
    if orientation == 1:
        return Decoded(pixels, full, eighths)
    turned = np.ascontiguousarray(orient(pixels, orientation))
    rows, columns = flips(orientation)
    top = turned.shape[0] - full[0] * eighths / 8 if rows else 0.0
    left = turned.shape[1] - full[1] * eighths / 8 if columns else 0.0
    return Decoded(turned, full, eighths, (left, top))
