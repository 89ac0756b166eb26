"""Blur and noise."""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.modalities.keys import Key
from neocog.rng import bits, uniform

__all__ = ["blur", "noise", "normal"]

REACH = 3  # standard deviations after which a Gaussian is cut off
SIZE = 2**16  # of the table of normal quantiles


def blur(images: Tensor, most: float, key: Key) -> Tensor:
    """A Gaussian whose standard deviation is drawn from 0 to `most` pixels, the edge repeated outside."""
    radius = math.ceil(REACH * most)
    sigmas = most * uniform(**key, purpose="blur")
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
    """So many standard normal draws for each sample; (N, num) float32."""
    return quantiles()[torch.from_numpy((uniform(**key, purpose=purpose, num=num) * SIZE).astype(np.int64))]


def noise(images: Tensor, deviation: float, key: Key) -> Tensor:
    """Normal noise of this standard deviation on every value."""
    size = images[0].numel()
    words = bits(**key, purpose="noise", num=-(-size // 2))
    halves = np.concatenate([words & np.uint64(0xFFFF), words >> np.uint64(16)], axis=1)[:, :size]
    drawn = quantiles()[torch.from_numpy(halves.astype(np.int64))].view_as(images)
    return images + deviation * drawn.to(images.device)


@cache
def quantiles() -> Tensor:
    """The normal quantiles of all 16-bit numbers: a draw is a look into a table."""
    from scipy.special import ndtri  # takes a quarter of a second to import

    return torch.from_numpy(ndtri((np.arange(SIZE) + 0.5) / SIZE).astype(np.float32))
