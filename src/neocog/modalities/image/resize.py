"""Resizing an image by one of three rules, each antialiased."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from neocog.modalities.image.pixels import Decoded, Pixels, Size

__all__ = ["FITS", "Box", "Fit", "ResizeRule", "Size", "needed_size", "resize_image"]

ResizeRule = Literal["squash", "crop", "letterbox", "tile"]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


class Fit(NamedTuple):
    """The part of an image that is kept, in its own pixels, and the size that this part becomes."""

    box: Box
    size: Size


def crop(full: Size, size: Size) -> Fit:
    """The largest centre crop with the aspect ratio of the target, scaled to it."""
    height, width = full
    scale = min(height / size[0], width / size[1])
    # Rounding must not let the box reach outside the image.
    rows, columns = min(height, size[0] * scale), min(width, size[1] * scale)
    left, top = (width - columns) / 2, (height - rows) / 2
    return Fit((left, top, min(width, left + columns), min(height, top + rows)), size)


def letterbox(full: Size, size: Size) -> Fit:
    """Scaled until it just fits into the target."""
    scale = min(size[0] / full[0], size[1] / full[1])
    height, width = (min(t, max(1, round(f * scale))) for f, t in zip(full, size, strict=True))
    return Fit((0, 0, full[1], full[0]), (height, width))


def tile(full: Size, size: Size) -> Fit:
    """The upper left part at its own scale; the other parts of a larger image are other tiles."""
    height, width = (min(pair) for pair in zip(full, size, strict=True))
    return Fit((0, 0, width, height), (height, width))


FITS: dict[ResizeRule, Callable[[Size, Size], Fit]] = {
    "squash": lambda full, size: Fit((0, 0, full[1], full[0]), size),
    "crop": crop,
    "letterbox": letterbox,
    "tile": tile,
}


def needed_size(full: Size, rule: ResizeRule, size: Size) -> Size:
    """The size that an image of `full` size must be decoded at, so that resizing enlarges it no further.

    If a rule crops, the part that is kept is large enough exactly if both sides are.

    >>> needed_size((1500, 2000), "letterbox", (224, 224))
    (168, 224)
    """
    return FITS[rule](full, size).size


def resize_image(image: Decoded, rule: ResizeRule, size: Size) -> Pixels:
    """An image resized by a rule, with black bars if it does not fill the size; (*size, C)."""
    fit = FITS[rule](image.full, size)
    (left, top), scale = image.origin, image.eighths / 8
    x0, y0, x1, y1 = (side * scale for side in fit.box)
    pixels = resample(image.pixels, fit.size, (left + x0, top + y0, left + x1, top + y1))
    if fit.size == size:
        return pixels
    (height, width), filled = fit.size, np.zeros((*size, pixels.shape[2]), pixels.dtype)
    up, across = (0, 0) if rule == "tile" else ((size[0] - height) // 2, (size[1] - width) // 2)
    filled[up : up + height, across : across + width] = pixels
    return filled


def resample(pixels: Pixels, size: Size, box: Box) -> Pixels:
    """A box of an image stretched to a size, antialiased, each channel by itself; (H, W, C) -> (*size, C)."""
    if pixels.shape[:2] == size:
        return pixels
    small = pixels.dtype == np.uint8
    values = pixels if small else pixels.astype(np.float32)
    # RGB as one. Pillow would take two or four channels for colours with alpha, and weight the colours by it.
    planes = [values] if small and values.shape[2] == 3 else np.moveaxis(values, 2, 0)
    parts = [Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR, box) for plane in planes]
    if small:
        # Taken plane by plane, the values have the layout that torch wants, without another copy.
        joined = bytearray().join(band.tobytes() for part in parts for band in part.split())
        return np.frombuffer(joined, np.uint8).reshape(-1, *size).transpose(1, 2, 0)
    return np.round(np.stack([np.asarray(part) for part in parts], axis=2)).clip(0, 0xFFFF).astype(np.uint16)
