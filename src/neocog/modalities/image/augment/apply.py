"""Augmentation of whole batches of images: the draws of each sample are keyed by (seed, epoch, sample)."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.augment import Key, Stage, draw_chosen, draw_spread
from neocog.modalities.image.augment import colour
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.image.augment.policies import OPERATIONS, Ranges, draw_policy
from neocog.modalities.image.augment.spatial import draw_spatial
from neocog.modalities.image.augment.texture import blur, erase, noise, normal
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.preprocess import Preprocess

__all__ = ["augment", "augment_stages"]


def augment_stages(config: AugmentConfig, spec: Preprocess, key: Key) -> list[Stage]:
    """Augmentation of decoded images, then normalisation."""
    white = float(spec.white) if isinstance(spec, ImagePreprocess) else 255.0
    return [partial(augment, config=config, fill=spec.fill, white=white, **key), spec.normalise]


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
    """Augment each image by its own draws: spatial transform, colours, blur, noise, erasing, in this order.

    Shapes: images (N, C, H, W) on the scale 0..white, samples (N,), fill (C,) on the same scale -> (N, C, H, W), of the
    same type if images are only moved by whole pixels, flipped and erased, else float32 on the same scale.
    """
    key: Key = {"seed": seed, "epoch": epoch, "samples": samples}
    height, width = images.shape[2:]
    if config.moves:
        images = draw_spatial(samples, (height, width), config, seed=seed, epoch=epoch).images(images)
    if config.recolours:
        scale = white / colour.WHITE
        images = recolour(images / scale if scale != 1 else images.float(), config, key) * scale
    return erase(images, config.erase, key, fill) if config.erase else images


def recolour(images: Tensor, config: AugmentConfig, key: Key) -> Tensor:
    """All that changes values in place; (N, C, H, W) float32 on the scale 0..255."""
    if config.policy:
        images = apply_policy(images, config, key)
    for change in (colour.brightness, colour.contrast, colour.saturation, colour.hue):
        name = change.__name__
        if limit := getattr(config, name):
            amounts = (name != "hue") + draw_spread(key, name, limit)  # a factor around 1, or a turn around 0
            images = change(images, torch.from_numpy(amounts.astype(np.float32)).to(images.device))
    if config.lighting:
        images = colour.lighting(images, config.lighting * normal(key, "lighting", 3).to(images.device))
    if config.grey:
        rows = torch.from_numpy(np.flatnonzero(draw_chosen(key, "grey", config.grey))).to(images.device)
        images = images.index_copy(0, rows, colour.grey(images.index_select(0, rows)))
    if config.blur:
        images = blur(images, config.blur, key)
    if config.noise:
        images = noise(images, colour.WHITE * config.noise, key)
    return images.clamp(0, colour.WHITE)


def apply_policy(images: Tensor, config: AugmentConfig, key: Key) -> Tensor:
    """The photometric operations of a policy; images with the same operation are changed at once."""
    drawn = draw_policy(config, key)
    levels = torch.from_numpy(drawn.levels).to(images.device, torch.float32)
    images = images.clone()
    for i in range(drawn.operations.shape[1]):
        for name, change in PHOTOMETRIC.items():
            rows = torch.from_numpy(np.flatnonzero(drawn.operations[:, i] == OPERATIONS.index(name))).to(images.device)
            if len(rows):
                images.index_copy_(0, rows, change(images.index_select(0, rows), levels[rows, i], drawn.full))
    return images


def factors(levels: Tensor, full: Ranges) -> Tensor:
    """Strengths as factors of colour, contrast, brightness and sharpness."""
    return full.factors[0] + levels * (full.factors[1] - full.factors[0])


PHOTOMETRIC: dict[str, Callable[[Tensor, Tensor, Ranges], Tensor]] = {
    "auto-contrast": lambda images, _, __: colour.auto_contrast(images),
    "equalize": lambda images, _, __: colour.equalize(images),
    "solarize": lambda images, levels, _: colour.solarize(images, 256 - (256 * levels).floor()),
    "posterize": lambda images, levels, full: colour.posterize(images, (full.bits * levels).floor()),
    "colour": lambda images, levels, full: colour.saturation(images, factors(levels, full)),
    "contrast": lambda images, levels, full: colour.contrast(images, factors(levels, full)),
    "brightness": lambda images, levels, full: colour.brightness(images, factors(levels, full)),
    "sharpness": lambda images, levels, full: colour.sharpness(images, factors(levels, full)),
}
