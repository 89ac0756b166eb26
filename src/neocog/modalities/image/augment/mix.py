"""Mixup and CutMix: pairs of images, and their labels, are mixed."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.augment import Key
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.image.augment.texture import boxes
from neocog.rng import bits, uniform

__all__ = ["mix"]


def mix(
    images: Tensor, targets: Tensor, samples: NDArray[np.uint64], config: AugmentConfig, *, seed: int, epoch: int
) -> tuple[Tensor, Tensor]:
    """Mix rows 2i and 2i + 1, and their labels by the share of each image that is left.

    The draws of a pair follow from its two samples, whichever comes first. Shapes: images (2M, C, H, W) float, targets
    (2M, K) probabilities, samples (2M,) -> images and targets of the same shapes.
    Sources: Zhang et al. 2018, "mixup"; Yun et al. 2019, "CutMix", algorithm 1.
    """
    if not config.mixes or not len(images):
        return images, targets
    num, height, width = len(images) // 2, *images.shape[2:]
    key: Key = {"seed": seed, "epoch": epoch, "samples": pair_ids(samples)}
    draws = uniform(**key, purpose="mix", num=4)
    # The share of each image that stays, place by place: 0 or 1 for CutMix, one share everywhere for mixup.
    kept = np.empty((num, height, width), np.float32)
    shares = np.empty(num, np.float32)
    cuts = draws[:, 0] < 0.5 if config.mixup and config.cutmix else np.full(num, config.cutmix > 0)
    if cuts.any():
        kept[cuts] = outside_boxes(draws[cuts], config.cutmix, (height, width))
        shares[cuts] = kept[cuts].mean(axis=(1, 2), dtype=np.float64)
    if not cuts.all():
        shares[~cuts] = symmetric_beta(config.mixup, draws[~cuts, 1])
        kept[~cuts] = shares[~cuts, None, None]
    places = torch.from_numpy(kept).to(images)[:, None, None]  # (M, 1, 1, H, W)
    own = torch.from_numpy(shares).to(targets)[:, None, None]  # (M, 1, 1)
    return blend(images, places), blend(targets, own)


def pair_ids(samples: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number for each pair, the same whichever comes first; (2M,) -> (M,).

    The numbers are scrambled before they are added, since consecutive ones have equal sums and differences.
    """
    words = bits(0, 0, samples, "pair", 2)
    scrambled = words[:, 0] << np.uint64(32) | words[:, 1]
    return np.asarray(scrambled[::2] + scrambled[1::2])


def blend(rows: Tensor, own: Tensor) -> Tensor:
    """own * each + (1 - own) * its partner; (2M, ...)."""
    pairs = rows.reshape(-1, 2, *rows.shape[1:])
    return (pairs * own + pairs.flip(1) * (1 - own)).flatten(0, 1)


def outside_boxes(draws: NDArray[np.float64], alpha: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where no box is cut; draws (n, 4) -> (n, H, W).

    A box has the shape of the image, a share 1 - Beta of its area, a centre anywhere, and is clipped to the image.
    """
    side = np.sqrt(1 - symmetric_beta(alpha, draws[:, 1]))
    h, w = (np.floor(length * side) for length in size)
    top, left = np.floor(size[0] * draws[:, 2]) - h // 2, np.floor(size[1] * draws[:, 3]) - w // 2
    return np.asarray(~boxes(top, left, h, w, size))


def symmetric_beta(alpha: float, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws from Beta(alpha, alpha), from uniform draws in [0, 1); (n,) -> (n,)."""
    from scipy.special import betaincinv  # takes a quarter of a second to import

    return np.asarray(betaincinv(alpha, alpha, draws))
