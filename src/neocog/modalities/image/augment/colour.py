"""Photometric changes of whole batches: (N, C, H, W) float32 on the scale 0..255.

A factor of 1 keeps an image, as in Pillow's ImageEnhance; the functions that policies draw do what those of the same
name do in Pillow's ImageOps, on floats. Without three channels there is no colour: each channel is its own grey.
"""

import torch
from torch import Tensor

__all__ = [
    "WHITE", "auto_contrast", "brightness", "contrast", "equalize", "grey", "hue", "lighting", "luma", "posterize",
    "saturation", "sharpness", "solarize",
]  # fmt: skip

WHITE = 255.0
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Principal components of RGB from 0 to 1 in ImageNet, the strongest first: the axes as rows, and the standard deviation
# along each. Source: Facebook's fb.resnet.torch, datasets/imagenet.lua.
AXES = ((-0.5675, -0.5808, -0.5836), (0.7192, -0.0045, -0.6948), (0.4009, -0.8140, 0.4203))
STRENGTHS = (0.2175, 0.0188, 0.0045)


def luma(images: Tensor) -> Tensor:
    """The grey of each pixel; (N, 3, H, W) -> (N, 1, H, W), other channels as they are."""
    if images.shape[1] != 3:
        return images
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    return red * LUMA[0] + green * LUMA[1] + blue * LUMA[2]


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Values times a factor for each image; factors (N,)."""
    return (images * column(factors)).clamp_(0, WHITE)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Distances from the mean grey of the image times a factor; factors (N,)."""
    # The sum of whole numbers is exact in any order, and so the same in any batch.
    mean = luma(images).round().mean(dim=(1, 2, 3), dtype=torch.float64)
    return blend(column(mean.float()), images, factors)


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Distances of each pixel from its grey times a factor; factors (N,)."""
    return blend(luma(images), images, factors) if images.shape[1] == 3 else images


def grey(images: Tensor) -> Tensor:
    """Every pixel its grey, in all channels."""
    return luma(images).expand_as(images)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """The hue of each pixel turned, its value and saturation kept; turns (N,), 1 being once around the circle.

    With h in sixths of the circle, v the largest and c the largest less the smallest value of a pixel, each channel is
    v - c max(0, min(k, 4 - k, 1)), k = (n + h) mod 6, with n = 5, 3, 1 for red, green, blue.
    Source: Smith 1978, "Color gamut transform pairs", the hexcone model.
    """
    if images.shape[1] != 3:
        return images
    red, green, blue = images.unbind(1)
    value, span = images.amax(1), images.amax(1) - images.amin(1)
    divisor = span.clamp(min=1e-6)
    from_others = torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor)
    sixths = torch.where(value == red, (green - blue) / divisor, from_others) + 6 * turns.view(-1, 1, 1)
    places = [(n + sixths).remainder_(6) for n in (5, 3, 1)]
    channels = [value - span * torch.minimum(k, 4 - k).clamp_(0, 1) for k in places]
    return torch.stack(channels, dim=1).clamp_(0, WHITE)


def lighting(images: Tensor, draws: Tensor) -> Tensor:
    """All pixels of an image moved alike along the principal axes of photographs' RGB; draws (N, 3), of unit size.

    Source: Krizhevsky et al. 2012, section 4.1.
    """
    along = draws * draws.new_tensor(STRENGTHS)
    # A matrix product may add in another order in another batch.
    moves = WHITE * (along[:, :, None] * draws.new_tensor(AXES)).sum(dim=1)
    return (images + moves[:, :, None, None]).clamp_(0, WHITE)


def auto_contrast(images: Tensor) -> Tensor:
    """The darkest value of each channel becomes 0, its brightest 255; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    stretched = (images - low) * (WHITE / (high - low).clamp(min=1e-6))
    return torch.where(high > low, stretched.clamp_(0, WHITE), images)


def equalize(images: Tensor) -> Tensor:
    """Each channel's values mapped such that all 256 are about equally frequent, as Pillow's `equalize`."""
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
    steps = column(2.0**bits)
    return (images.round() / steps).floor() * steps


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Values from a threshold on become their negative; thresholds (N,)."""
    return torch.where(images >= column(thresholds), WHITE - images, images)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Distances from the smoothed image times a factor, the outermost pixels as they are; factors (N,).

    Smoothed: (the eight neighbours + 5 times the pixel) / 13, as Pillow's SMOOTH.
    """
    rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = (sums + 4 * images[:, :, 1:-1, 1:-1]) / 13
    return blend(smooth, images, factors)


def blend(zero: Tensor, images: Tensor, factors: Tensor) -> Tensor:
    """From `zero`, at a factor of 0, to the image, at 1, and beyond."""
    return (images - zero).mul_(column(factors)).add_(zero).clamp_(0, WHITE)


def column(values: Tensor) -> Tensor:
    """One value for each image, which broadcasts over it; (N,) -> (N, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
