"""Several views of each picture, whose predictions are averaged: augmentation at test time."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.errors import ConfigError, GeometryError

__all__ = ["Views", "num_views", "view_weights", "views"]

Views = Literal["none", "flip", "shift", "flip+shift", "ten-crop"]

WEIGHTS = {
    "none": (1.0,),
    "flip": (1 / 2, 1 / 2),
    "shift": (1 / 2, 1 / 4, 1 / 4),
    "flip+shift": (1 / 4, 1 / 8, 1 / 8) * 2,
    "ten-crop": (1 / 10,) * 10,
}


def num_views(kind: Views) -> int:
    """How many views there are.

    >>> num_views("flip+shift")
    6
    """
    return len(weights(kind))


def view_weights(kind: Views) -> Tensor:
    """The share of each view in the average; (V,), adding up to 1.

    The picture in place counts half, and its two shifts together as much, as in airbench (Jordan 2024, section 3.5).
    """
    return torch.tensor(weights(kind))


def views(images: Tensor, kind: Views, crop: tuple[int, int] | None = None) -> Tensor:
    """All views of each picture; (N, C, H, W) -> (V, N, C, H', W').

    flip: as it is, and mirrored left to right. shift: as it is, and one pixel to the lower right and to the upper left,
    the border mirrored. ten-crop: windows of `crop`, height and width, at the upper left, upper right, lower left and
    lower right corner and in the centre, then the same mirrored.
    Raises ConfigError for a kind that is unknown, GeometryError for a crop that does not fit.
    Sources: Krizhevsky et al. 2012, section 4.1 (ten crops); Jordan 2024, section 3.5 (flips and shifts).

    >>> views(torch.zeros(8, 3, 32, 32), "ten-crop", crop=(28, 28)).shape
    torch.Size([10, 8, 3, 28, 28])
    """
    weights(kind)
    if kind == "ten-crop":
        seen = crops(images, crop)
    elif "shift" in kind:
        seen = shifts(images)
    else:
        seen = images[None]
    return seen if kind in ("none", "shift") else torch.cat([seen, seen.flip(4)])


def shifts(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if min(height, width) < 2:
        raise GeometryError(f"Shifted views need at least 2x2 pixels. Received: {height}x{width}. Use flip or none.")
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    return torch.stack([images, padded[:, :, :height, :width], padded[:, :, 2:, 2:]])


def crops(images: Tensor, crop: tuple[int, int] | None) -> Tensor:
    height, width = images.shape[2:]
    h, w = crop or (height, width)
    if not (1 <= h <= height and 1 <= w <= width):
        raise GeometryError(
            f"A crop must fit into the picture. Received: {h}x{w} of {height}x{width}. Make it smaller."
        )
    down, right = height - h, width - w
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    return torch.stack([images[:, :, top : top + h, left : left + w] for top, left in corners])


def weights(kind: str) -> tuple[float, ...]:
    if kind not in WEIGHTS:
        raise ConfigError(f"Views are one of {', '.join(get_args(Views))}. Received: {kind!r}.")
    return WEIGHTS[kind]
