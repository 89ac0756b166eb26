"""Blur, noise and erasing."""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.augment import Key
from neocog.rng import bits, uniform

__all__ = ["blur", "boxes", "erase", "noise", "normal"]

Floats = NDArray[np.float64]

REACH = 3  # standard deviations after which a Gaussian is cut off
SIZE = 2**16  # of the table of normal quantiles
ERASED_AREA, ERASED_ASPECT = (0.02, 0.2), (0.3, 1 / 0.3)  # Zhong et al. 2017, "Random erasing", section 5.1


def blur(images: Tensor, max_sigma: float, key: Key) -> Tensor:
    """A Gaussian whose standard deviation is drawn from 0 to `max_sigma` pixels, the edge repeated outside."""
    radius = math.ceil(REACH * max_sigma)
    sigmas = max_sigma * uniform(**key, purpose="blur")
    taps = np.exp(-((np.arange(-radius, radius + 1) / sigmas) ** 2) / 2)
    taps /= taps.sum(axis=1, keepdims=True)
    weights = torch.from_numpy(taps.astype(np.float32)).to(images.device)[:, :, None, None, None]  # (N, T, 1, 1, 1)
    images = F.pad(images, (radius,) * 4, mode="replicate")
    for dim in (2, 3):
        length = images.shape[dim] - 2 * radius
        blurred = weights[:, 0] * images.narrow(dim, 0, length)
        for tap in range(1, 2 * radius + 1):
            blurred += weights[:, tap] * images.narrow(dim, tap, length)
        images = blurred
    return images


def normal(key: Key, purpose: str, num: int) -> Tensor:
    """Standard normal draws for each sample; (N, num) float32."""
    return quantiles()[torch.from_numpy((uniform(**key, purpose=purpose, num=num) * SIZE).astype(np.int64))]


def noise(images: Tensor, deviation: float, key: Key) -> Tensor:
    """Normal noise of this standard deviation on every value."""
    size = images[0].numel()
    words = bits(**key, purpose="noise", num=-(-size // 2))
    halves = np.concatenate([words & np.uint64(0xFFFF), words >> np.uint64(16)], axis=1)[:, :size]
    drawn = quantiles()[torch.from_numpy(halves.astype(np.int64))].view_as(images)
    return images + deviation * drawn.to(images.device)


def erase(images: Tensor, probability: float, key: Key, fill: Tensor) -> Tensor:
    """Replace one rectangle of some images by a constant. Source: Zhong et al. 2017, "Random erasing"."""
    height, width = images.shape[2:]
    draw, area, aspect, top, left = uniform(**key, purpose="erase", num=5).T
    chosen = np.flatnonzero(draw < probability)
    area = (ERASED_AREA[0] + area[chosen] * (ERASED_AREA[1] - ERASED_AREA[0])) * height * width
    low, high = np.log(ERASED_ASPECT)
    ratio = np.exp(low + aspect[chosen] * (high - low))
    h, w = np.minimum(np.sqrt(area * ratio).round(), height), np.minimum(np.sqrt(area / ratio).round(), width)
    top, left = np.floor(top[chosen] * (height - h + 1)), np.floor(left[chosen] * (width - w + 1))
    mask = torch.from_numpy(boxes(top, left, h, w, (height, width)))[:, None].to(images.device)
    places = torch.from_numpy(chosen).to(images.device)
    filled = torch.where(mask, fill.to(images).view(1, -1, 1, 1), images.index_select(0, places))
    return images.index_copy(0, places, filled)


def boxes(top: Floats, left: Floats, height: Floats, width: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where an image of this size lies within a box; (n,) each -> (n, H, W)."""
    y, x = np.arange(size[0]), np.arange(size[1])
    rows = (y >= top[:, None]) & (y < (top + height)[:, None])
    columns = (x >= left[:, None]) & (x < (left + width)[:, None])
    return np.asarray(rows[:, :, None] & columns[:, None, :])


@cache
def quantiles() -> Tensor:
    """The normal quantiles of all 16-bit numbers, so that a draw is a table look-up."""
    from scipy.special import ndtri  # takes a quarter of a second to import

    return torch.from_numpy(ndtri((np.arange(SIZE) + 0.5) / SIZE).astype(np.float32))
