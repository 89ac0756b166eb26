"""Boxes drawn over an image, one colour for each class."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neocog.tasks.colours import class_colours

__all__ = ["draw_boxes"]

DASH = 3  # pixels of a dash, and of the gap after it


def draw_boxes(
    pixels: NDArray[np.integer],
    boxes: NDArray[np.floating],
    labels: NDArray[np.integer],
    num_classes: int,
    *,
    ignored: NDArray[np.integer] | None = None,
    side: int | None = None,
) -> NDArray[np.uint8]:
    """An image (H, W) or (H, W, C) of 8 or 16 bits as RGB with boxes in its pixels, (n, 4), those ignored dashed.

    With `side`, the image is first brought to that longer side, so that lines stay as thin as they are drawn.

    >>> drawn = draw_boxes(np.zeros((6, 8), np.uint8), np.array([[1.0, 1.0, 5.0, 4.0]]), np.array([0]), 1)
    >>> (drawn.any(axis=2) * 1).tolist()[1:4]
    [[0, 1, 1, 1, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0, 0, 0], [0, 1, 1, 1, 1, 0, 0, 0]]
    """
    values = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    planes = np.atleast_3d(values)
    rgb = np.repeat(planes[:, :, :1], 3, axis=2) if planes.shape[2] < 3 else planes[:, :, :3]
    image, scale = Image.fromarray(np.ascontiguousarray(rgb)), 1.0
    if side is not None and max(image.size) > side:
        scale = side / max(image.size)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    canvas, colours = ImageDraw.Draw(image), class_colours(num_classes + 1)[1:]
    width = max(1, round(max(image.size) / 400))
    flags = np.zeros(len(boxes), bool) if ignored is None else ignored > 0
    for box, label, dashed in zip(boxes * scale, labels.tolist(), flags.tolist(), strict=True):
        left, top, right, bottom = (round(float(value)) for value in box)
        right, bottom = max(left, right - 1), max(top, bottom - 1)  # the last pixel inside
        colour = tuple(colours[label].tolist())
        if dashed:
            draw_dashes(canvas, (left, top, right, bottom), colour, width)
        else:
            canvas.rectangle((left, top, right, bottom), outline=colour, width=width)
    return np.asarray(image)


def draw_dashes(
    canvas: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: tuple[int, ...], width: int
) -> None:
    left, top, right, bottom = box
    for start in range(left, right + 1, 2 * DASH):
        for y in (top, bottom):
            canvas.line((start, y, min(start + DASH, right), y), fill=colour, width=width)
    for start in range(top, bottom + 1, 2 * DASH):
        for x in (left, right):
            canvas.line((x, start, x, min(start + DASH, bottom)), fill=colour, width=width)
