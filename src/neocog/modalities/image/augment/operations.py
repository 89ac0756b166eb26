"""The changes of colour that policies draw from, on whole batches: (N, C, H, W) float32 on the scale 0..255.

Each does what Pillow's function of the same name does, on floats rather than on bytes.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neocog.modalities.image.augment import colour
from neocog.modalities.image.augment.colour import WHITE
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.image.augment.policies import OPERATIONS, Ranges, draw, ranges
from neocog.modalities.keys import Key

__all__ = ["auto_contrast", "equalize", "posterize", "recolour", "sharpness", "solarize"]


def recolour(images: Tensor, config: AugmentConfig, key: Key) -> Tensor:
    """Each picture changed as its policy says, but for the moves; pictures with the same change are changed at once."""
    drawn, full = draw(config, key), ranges(config)
    levels = torch.from_numpy(drawn.levels).to(images.device, torch.float32)
    images = images.clone()
    for i in range(drawn.operations.shape[1]):
        for operation, name in enumerate(OPERATIONS):
            rows = torch.from_numpy(np.flatnonzero(drawn.operations[:, i] == operation)).to(images.device)
            if name in CHANGES and len(rows):
                changed = CHANGES[name](images.index_select(0, rows), levels[rows, i], full)
                images.index_copy_(0, rows, changed)
    return images


def auto_contrast(images: Tensor) -> Tensor:
    """The darkest value of each channel becomes 0, its brightest 255; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    stretched = (images - low) * (WHITE / (high - low).clamp(min=1e-6))
    return torch.where(high > low, stretched.clamp_(0, WHITE), images)


def equalize(images: Tensor) -> Tensor:
    """Each channel's values moved so that all of 256 are about equally frequent, as Pillow's `equalize`."""
    planes = images.round().long().flatten(2).flatten(0, 1)  # (N C, H W)
    starts = 256 * torch.arange(len(planes), device=images.device)[:, None]
    counts = (planes + starts).flatten().bincount(minlength=256 * len(planes)).view(-1, 256)
    highest = counts.gather(1, planes.amax(1, keepdim=True))
    step = (planes.shape[1] - highest) // 255
    below = counts.cumsum(1) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    moved = table.gather(1, planes).view_as(images).float()
    return torch.where((step > 0).view(*images.shape[:2], 1, 1), moved, images)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """The lowest bits of every value become 0; bits (N,)."""
    steps = colour.column(2.0**bits)
    return (images.round() / steps).floor() * steps


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Values from a threshold on become their negative; thresholds (N,)."""
    return torch.where(images >= colour.column(thresholds), WHITE - images, images)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Distances from the smoothed picture times a factor, the outermost pixels as they are; factors (N,).

    Smoothed: (the eight neighbours + 5 times the pixel) / 13, as Pillow's SMOOTH.
    """
    rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = (sums + 4 * images[:, :, 1:-1, 1:-1]) / 13
    return colour.blend(smooth, images, factors)


def factors(levels: Tensor, full: Ranges) -> Tensor:
    """Strengths as factors of colour, contrast, brightness and sharpness."""
    low, high = full.factors
    return low + levels * (high - low)


CHANGES: dict[str, Callable[[Tensor, Tensor, Ranges], Tensor]] = {
    "auto-contrast": lambda images, _, __: auto_contrast(images),
    "equalize": lambda images, _, __: equalize(images),
    "solarize": lambda images, levels, _: solarize(images, 256 - (256 * levels).floor()),
    "posterize": lambda images, levels, full: posterize(images, (full.bits * levels).floor()),
    "colour": lambda images, levels, full: colour.saturation(images, factors(levels, full)),
    "contrast": lambda images, levels, full: colour.contrast(images, factors(levels, full)),
    "brightness": lambda images, levels, full: colour.brightness(images, factors(levels, full)),
    "sharpness": lambda images, levels, full: sharpness(images, factors(levels, full)),
}
