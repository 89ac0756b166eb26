"""Erasing: a rectangle of some pictures becomes the mean."""

import numpy as np
import torch
from torch import Tensor

from neocog.modalities.keys import Key
from neocog.rng import uniform

__all__ = ["erase"]

ERASED_AREA, ERASED_ASPECT = (0.02, 0.2), (0.3, 1 / 0.3)  # Zhong et al. 2017, "Random erasing", section 5.1


def erase(images: Tensor, chance: float, key: Key, fill: Tensor) -> Tensor:
    """Replace one rectangle of some pictures by a constant. Source: Zhong et al. 2017, "Random erasing"."""
    height, width = images.shape[2:]
    draw, area, aspect, top, left = uniform(**key, purpose="erase", num=5).T
    chosen = np.flatnonzero(draw < chance)
    area = (ERASED_AREA[0] + area[chosen] * (ERASED_AREA[1] - ERASED_AREA[0])) * height * width
    low, high = np.log(ERASED_ASPECT)
    ratio = np.exp(low + aspect[chosen] * (high - low))
    h, w = np.minimum(np.sqrt(area * ratio).round(), height), np.minimum(np.sqrt(area / ratio).round(), width)
    top, left = np.floor(top[chosen] * (height - h + 1)), np.floor(left[chosen] * (width - w + 1))
    y, x = np.arange(height), np.arange(width)
    rows = (y >= top[:, None]) & (y < (top + h)[:, None])
    columns = (x >= left[:, None]) & (x < (left + w)[:, None])
    mask = torch.from_numpy(rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)
    places = torch.from_numpy(chosen).to(images.device)
    return images.index_copy(
        0, places, torch.where(mask, fill.to(images).view(1, -1, 1, 1), images.index_select(0, places))
    )
