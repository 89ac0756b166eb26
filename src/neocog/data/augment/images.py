"""Small random changes of whole batches: each sample's own draws, keyed by (seed, epoch, sample)."""

from typing import Annotated, Literal, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.rng import integers, uniform
from neocog.settings import SETTINGS

__all__ = ["AugmentConfig", "augment"]

Probability = Annotated[float, Field(ge=0, le=1)]


class Key(TypedDict):
    """By what a batch's draws are keyed."""

    seed: int
    epoch: int
    samples: NDArray[np.uint64]


ERASED_AREA, ERASED_ASPECT = (0.02, 0.2), (0.3, 1 / 0.3)  # Zhong et al. 2017, "Random erasing", section 5.1


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class AugmentConfig:
    """Random changes of training pictures."""

    shift: Annotated[int, Field(ge=0)] = 0
    """Move by up to so many pixels each way: a random crop after padding."""
    flip: Probability = 0.0
    """Chance of a mirror image, left to right."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by up to so many degrees each way."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Grow or shrink by up to this share: 0.1 draws from 0.9 to 1.1."""
    erase: Probability = 0.0
    """Chance that a rectangle of 2% to 20% of the picture is replaced by the mean."""
    border: Literal["black", "edge", "mirror"] = "black"
    """What comes in from outside of the picture."""

    def ignored(self) -> dict[str, str]:
        moves = self.shift or self.rotate or self.scale
        return {} if moves else {"border": "nothing is shifted, rotated or scaled"}


def augment(
    images: Tensor, samples: NDArray[np.uint64], config: AugmentConfig, *, seed: int, epoch: int, fill: Tensor
) -> Tensor:
    """Change each picture by its own draws.

    Shapes: images (N, C, H, W) of integers, samples (N,), fill (C,) on the images' scale -> (N, C, H, W), of the same
    type where pictures are only moved by whole pixels and mirrored, else float32 on the same scale.
    """
    key: Key = {"seed": seed, "epoch": epoch, "samples": samples}
    if config.rotate or config.scale:
        images = warp(images, config, key)
    else:
        if config.flip:
            mirrored = torch.from_numpy(np.flatnonzero(uniform(**key, purpose="flip")[:, 0] < config.flip))
            mirrored = mirrored.to(images.device)
            images = images.index_copy(0, mirrored, images.index_select(0, mirrored).flip(3))
        if config.shift:
            images = move(images, config, key)
    return erase(images, config, key, fill) if config.erase else images


MODES = {"black": "constant", "edge": "replicate", "mirror": "reflect"}


def move(images: Tensor, config: AugmentConfig, key: Key) -> Tensor:
    """Pad by `shift` and cut each picture out at its own place.

    Every window that starts at any value of the padded batch is a row of one overlapping view, so cutting is selecting
    rows: a plain copy, five times as fast as indexing by rows and columns.
    """
    s = config.shift
    num, channels, height, width = images.shape
    offsets = torch.from_numpy(integers(**key, purpose="shift", low=0, high=2 * s, num=2)).to(images.device)
    padded = pad(images, s, config.border).contiguous()
    row, plane = width + 2 * s, (width + 2 * s) * (height + 2 * s)
    last = padded.numel() - (channels - 1) * plane - (height - 1) * row - width
    windows = padded.as_strided((last + 1, channels, height, width), (1, plane, row, 1))
    starts = torch.arange(num, device=images.device) * channels * plane + offsets[:, 0] * row + offsets[:, 1]
    return windows.index_select(0, starts)


def pad(images: Tensor, margin: int, border: str) -> Tensor:
    margins = (margin,) * 4
    if border == "black":
        return F.pad(images, margins)
    return F.pad(images.float(), margins, mode=MODES[border]).to(images.dtype)


def warp(images: Tensor, config: AugmentConfig, key: Key) -> Tensor:
    """Rotation, scale, mirror and shift as one resampling, bilinear."""
    height, width = images.shape[2:]
    draws = uniform(**key, purpose="warp", num=2)
    angle = np.deg2rad(config.rotate) * (2 * draws[:, 0] - 1)
    zoom = 1 + config.scale * (2 * draws[:, 1] - 1)
    mirror = np.where(uniform(**key, purpose="flip")[:, 0] < config.flip, -1.0, 1.0)
    s = config.shift
    rows, columns = integers(**key, purpose="shift", low=-s, high=s, num=2).T
    # From a place (x, y) in the new picture to one in the old, in half widths and heights: an affine map, whose part
    # in x and part in y are computed apart and added once (torch's affine_grid multiplies matrices at every place).
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    x, y = centred(width), centred(height)
    in_x = np.stack([mirror * cos, -sin * width / height])[:, :, None] * x
    in_y = np.stack([mirror * sin * height / width, cos])[:, :, None] * y
    in_y += np.stack([2 * mirror * columns / width, 2 * rows / height])[:, :, None]
    along, down = (torch.from_numpy(part.astype(np.float32)).to(images.device) for part in (in_x, in_y))
    grid = (down[:, :, :, None] + along[:, :, None, :]).permute(1, 2, 3, 0)  # (N, H, W, 2): x and y
    mode = {"black": "zeros", "edge": "border", "mirror": "reflection"}[config.border]
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode=mode, align_corners=False)


def erase(images: Tensor, config: AugmentConfig, key: Key, fill: Tensor) -> Tensor:
    """Replace one rectangle of some pictures by a constant. Source: Zhong et al. 2017, "Random erasing"."""
    height, width = images.shape[2:]
    chance, area, aspect, top, left = uniform(**key, purpose="erase", num=5).T
    chosen = np.flatnonzero(chance < config.erase)
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


def centred(size: int) -> NDArray[np.float64]:
    """The centres of pixels on the scale -1..1 of grid_sample; (size,)."""
    return (2 * np.arange(size) + 1) / size - 1
