"""Bringing a picture to a size: three rules, each antialiased."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from neocog.data.preprocess.picture import Pixels

__all__ = ["RESIZE", "ResizeRule", "Size"]

ResizeRule = Literal["squash", "crop", "letterbox"]
Size = tuple[int, int]
"""Height and width."""


Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


def squash(pixels: Pixels, size: Size, box: Box | None = None) -> Pixels:
    """Both sides stretched to the target, antialiased; of the whole, or of a box in it; (H, W, C) -> (*size, C)."""
    if pixels.shape[:2] == size:
        return pixels
    height, width = size
    if pixels.dtype == np.uint8:
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box)).reshape(height, width, -1)
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(pixels, 2, 0)]
    resized = [np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR, box)) for plane in planes]
    return np.round(np.stack(resized, axis=2)).clip(0, 0xFFFF).astype(np.uint16)


def crop(pixels: Pixels, size: Size) -> Pixels:
    """The largest central part of the target's shape, scaled to it: the short side fits, the long side is cut."""
    height, width = pixels.shape[:2]
    scale = min(height / size[0], width / size[1])
    rows, columns = size[0] * scale, size[1] * scale
    left, top = (width - columns) / 2, (height - rows) / 2
    return squash(pixels, size, (left, top, left + columns, top + rows))


def letterbox(pixels: Pixels, size: Size) -> Pixels:
    """Scaled until it just fits into the target, black bars around."""
    scale = min(size[0] / pixels.shape[0], size[1] / pixels.shape[1])
    fitting = tuple(min(t, max(1, round(s * scale))) for s, t in zip(pixels.shape, size, strict=False))
    scaled = squash(pixels, (fitting[0], fitting[1]))
    filled = np.zeros((*size, pixels.shape[2]), pixels.dtype)
    top, left = (size[0] - fitting[0]) // 2, (size[1] - fitting[1]) // 2
    filled[top : top + fitting[0], left : left + fitting[1]] = scaled
    return filled


RESIZE: dict[str, Callable[[Pixels, Size], Pixels]] = {"squash": squash, "crop": crop, "letterbox": letterbox}
