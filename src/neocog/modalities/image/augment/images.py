"""Random changes of whole batches of pictures: each sample's own draws, keyed by (seed, epoch, sample)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.image.augment import colour
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.image.augment.erase import erase
from neocog.modalities.image.augment.operations import recolour
from neocog.modalities.image.augment.random_resized_crop import draw_geometry
from neocog.modalities.image.augment.texture import blur, noise, normal
from neocog.modalities.keys import Key, chosen, spread

__all__ = ["augment"]


def augment(
    images: Tensor,
    samples: NDArray[np.uint64],
    config: AugmentConfig,
    *,
    seed: int,
    epoch: int,
    fill: Tensor,
    white: float = 255.0,
) -> Tensor:
    """Change each picture by its own draws: moved, recoloured, blurred, made noisy, erased, in this order.

    Shapes: images (N, C, H, W) on the scale 0..white, samples (N,), fill (C,) on the same scale -> (N, C, H, W), of the
    same type where pictures are only moved by whole pixels, mirrored and erased, else float32 on the same scale.
    """
    key: Key = {"seed": seed, "epoch": epoch, "samples": samples}
    height, width = images.shape[2:]
    if config.moves:
        images = draw_geometry(samples, (height, width), config, seed=seed, epoch=epoch).images(images)
    if config.recolours:
        scale = white / colour.WHITE
        images = repaint(images / scale if scale != 1 else images.float(), config, key) * scale
    return erase(images, config.erase, key, fill) if config.erase else images


def repaint(images: Tensor, config: AugmentConfig, key: Key) -> Tensor:
    """All that changes values and not places; (N, C, H, W) float32 on the scale 0..255."""
    if config.policy:
        images = recolour(images, config, key)
    for name, change, middle in [
        ("brightness", colour.brightness, 1),
        ("contrast", colour.contrast, 1),
        ("saturation", colour.saturation, 1),
        ("hue", colour.hue, 0),
    ]:
        if most := getattr(config, name):
            amounts = torch.from_numpy((middle + spread(key, name, most)).astype(np.float32)).to(images.device)
            images = change(images, amounts)
    if config.lighting:
        images = colour.lighting(images, config.lighting * normal(key, "lighting", 3).to(images.device))
    if config.grey:
        rows = torch.from_numpy(np.flatnonzero(chosen(key, "grey", config.grey))).to(images.device)
        images = images.index_copy(0, rows, colour.greyed(images.index_select(0, rows)))
    if config.blur:
        images = blur(images, config.blur, key)
    if config.noise:
        images = noise(images, colour.WHITE * config.noise, key)
    return images.clamp(0, colour.WHITE)
