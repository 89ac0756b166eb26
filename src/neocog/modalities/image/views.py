"""An image as the views that a network of one size needs to cover it."""

from collections.abc import Iterator

import numpy as np
import torch

from neocog.modalities.image.pixels import Pixels, Size
from neocog.modalities.image.resize import FITS, ResizeRule
from neocog.modalities.views import View, Views, tile_places

__all__ = ["cut_tile", "image_tiles", "place_of", "whole_image"]

Place = tuple[tuple[float, float], tuple[float, float]]
"""Origin and scale of a `View`, each along y and x."""


def place_of(full: Size, rule: ResizeRule, size: Size, pad: tuple[int, int]) -> Place:
    """Where an image of `full` size comes to lie when it is resized by a rule and padded.

    >>> place_of((100, 200), "letterbox", (64, 64), (0, 0))
    ((-50.0, 0.0), (0.32, 0.32))
    """
    fit = FITS[rule](full, size)
    left, top, right, bottom = fit.box
    scale = fit.size[0] / (bottom - top), fit.size[1] / (right - left)
    free = ((size[0] - fit.size[0]) // 2, (size[1] - fit.size[1]) // 2) if rule != "tile" else (0, 0)
    origin = top - (free[0] + pad[0]) / scale[0], left - (free[1] + pad[1]) / scale[1]
    return origin, scale


def whole_image(inputs: torch.Tensor, full: Size, rule: ResizeRule, size: Size, pad: tuple[int, int]) -> Views:
    """The only view of an image that was resized and padded as a whole."""
    view = View(inputs, *place_of(full, rule, size, pad))
    return Views(full, 1, lambda: iter([view]))


def image_tiles(pixels: Pixels, tile: Size) -> Views:
    """Overlapping tiles of an image (H, W, C) at its own scale."""
    size = pixels.shape[:2]
    places = tile_places(size, tile)

    def make() -> Iterator[View]:
        for place in places:
            part = cut_tile(pixels, (place[0], place[1]), tile)
            inputs = torch.from_numpy(np.array(part.transpose(2, 0, 1), order="C"))
            yield View(inputs, tuple(float(start) for start in place), (1.0, 1.0))

    return Views((size[0], size[1]), len(places), make)


def cut_tile(pixels: Pixels, place: tuple[int, int], tile: Size) -> Pixels:
    """A tile of (H, W, C), black where the image ends; (*tile, C)."""
    part = pixels[place[0] : place[0] + tile[0], place[1] : place[1] + tile[1]]
    if part.shape[:2] == tile:
        return part
    filled = np.zeros((*tile, pixels.shape[2]), pixels.dtype)
    filled[: part.shape[0], : part.shape[1]] = part
    return filled
