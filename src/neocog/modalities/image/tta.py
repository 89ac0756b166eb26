"""Test-time augmentation (TTA): several views of each image, over which predictions are averaged."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.errors import ConfigError, GeometryError

__all__ = ["TTA", "tta_views", "tta_weights"]

TTA = Literal["none", "flip", "shift", "flip+shift", "ten-crop"]

WEIGHTS = {
    "none": (1.0,),
    "flip": (1 / 2, 1 / 2),
    "shift": (1 / 2, 1 / 4, 1 / 4),
    "flip+shift": (1 / 4, 1 / 8, 1 / 8) * 2,
    "ten-crop": (1 / 10,) * 10,
}


def tta_weights(kind: TTA) -> Tensor:
    """The share of each view in the average; (V,), adding up to 1.

    The unshifted image counts half, and its two shifts together the other half, as in airbench (Jordan 2024,
    section 3.5).

    >>> tta_weights("shift").tolist()
    [0.5, 0.25, 0.25]
    """
    if kind not in WEIGHTS:
        raise ConfigError(f"Test-time augmentation is one of {', '.join(WEIGHTS)}.", received=repr(kind))
    return torch.tensor(WEIGHTS[kind])


def tta_views(images: Tensor, kind: TTA, crop: tuple[int, int] | None = None) -> Tensor:
    """All views of each image; (N, C, H, W) -> (V, N, C, H', W').

    flip: unchanged, and mirrored left to right. shift: unchanged, and shifted by one pixel to the lower right and to
    the upper left, with reflected borders. ten-crop: windows of `crop` (height, width) at the upper left, upper right,
    lower left and lower right corner and in the centre, then the same mirrored.
    Raises ConfigError for an unknown kind, GeometryError for a crop that does not fit.
    Sources: Krizhevsky et al. 2012, section 4.1 (ten crops); Jordan 2024, section 3.5 (flips and shifts).

    >>> tta_views(torch.zeros(8, 3, 32, 32), "ten-crop", crop=(28, 28)).shape
    torch.Size([10, 8, 3, 28, 28])
    """
    tta_weights(kind)  # refuses an unknown kind
    seen = crops(images, crop) if kind == "ten-crop" else shifts(images) if "shift" in kind else images[None]
    return seen if kind in ("none", "shift") else torch.cat([seen, seen.flip(4)])


def shifts(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if min(height, width) < 2:
        rule, fix = "Shifted views need at least 2x2 pixels.", "Use flip or none."
        raise GeometryError(rule, received=f"{height}x{width}", fix=fix)
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    return torch.stack([images, padded[:, :, :height, :width], padded[:, :, 2:, 2:]])


def crops(images: Tensor, crop: tuple[int, int] | None) -> Tensor:
    height, width = images.shape[2:]
    h, w = crop or (height, width)
    if not (1 <= h <= height and 1 <= w <= width):
        received = f"{h}x{w} of {height}x{width}"
        raise GeometryError("A crop must fit into the image.", received=received, fix="Make it smaller.")
    down, right = height - h, width - w
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    return torch.stack([images[:, :, top : top + h, left : left + w] for top, left in corners])
