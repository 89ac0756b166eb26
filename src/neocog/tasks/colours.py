"""Colours of classes in drawings: told apart by eye, the same in every image, and drawn over an image."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import UNLABELLED

__all__ = ["class_colours", "css_colours", "overlay"]

GOLDEN = 0.61803398875  # of the circle of hues from one class to the next, so that any number of them is spread
OPACITY = 0.5


def class_colours(num_classes: int) -> NDArray[np.uint8]:
    """A colour for each class, no two alike, the first black, as it is mostly the background; (K, 3), K at most 255.

    >>> class_colours(2).tolist()
    [[0, 0, 0], [224, 56, 56]]
    """
    found = [(0, 0, 0)]
    for k in range(num_classes - 1):
        lightness, saturation = (0.55, 0.73) if k % 2 == 0 else (0.68, 0.9)
        red, green, blue = colorsys.hls_to_rgb((k * GOLDEN) % 1, lightness, saturation)
        found.append((round(255 * red), round(255 * green), round(255 * blue)))
    return np.array(found[:num_classes], np.uint8)


def css_colours(num_classes: int) -> list[str]:
    """The same colours as CSS writes them.

    >>> css_colours(2)
    ['#000000', '#e03838']
    """
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in class_colours(num_classes).tolist()]


def overlay(pixels: NDArray[np.integer], mask: NDArray[np.integer], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (H, W) or (H, W, C) with its mask (H, W) over it; class 0 and what isn't known stay as they are."""
    values = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    planes = np.atleast_3d(values)
    image = np.repeat(planes[:, :, :1], 3, axis=2) if planes.shape[2] < 3 else planes[:, :, :3]
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    shown = (mask != 0) & (mask != UNLABELLED)
    mixed = (1 - OPACITY) * image + OPACITY * table[mask]
    return np.where(shown[:, :, None], mixed, image).astype(np.uint8)
