"""Drawing where each picture is moved."""

import numpy as np
from numpy.typing import NDArray

from neocog.modalities.image.augment.affine import Matrices, about, identity
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.image.augment.policies import draw, ranges
from neocog.modalities.image.augment.spatial import Geometry
from neocog.modalities.keys import Key, chosen
from neocog.rng import integers, uniform

__all__ = ["draw_geometry"]

CROP_ASPECT = (3 / 4, 4 / 3)  # width to height; Szegedy et al. 2015, "Going deeper with convolutions", section 6
CROP_TRIALS = 10


def draw_geometry(
    samples: NDArray[np.uint64], size: tuple[int, int], config: AugmentConfig, *, seed: int, epoch: int
) -> Geometry:
    """Where `augment` moves these pictures of this height and width; (N,) samples.

    A picture is cut out, mirrored, shifted, then turned, scaled and slanted about its centre, then moved as its policy
    says: one map, and so one resampling. A policy's moves thus come ahead of its colours.
    """
    key: Key = {"seed": seed, "epoch": epoch, "samples": samples}
    matrices = shifted_and_mirrored(config, key, size)
    if config.crop_area < 1:
        matrices = cut_out(config.crop_area, key, size) @ matrices
    if config.rotate or config.scale or config.shear:
        matrices = matrices @ about(turned(config, key), size)
    if config.policy:
        matrices = matrices @ draw(config, key).moves(size, ranges(config))
    # A cut reaches the picture's edge and not beyond; black from outside would darken its outermost pixels.
    border = config.border if config.leaves else "edge"
    return Geometry(matrices[:, :2], size, border, config.shift, config.resamples)


def shifted_and_mirrored(config: AugmentConfig, key: Key, size: tuple[int, int]) -> Matrices:
    """old = mirrored(new + shift); (N, 3, 3)."""
    height, width = size
    matrices = identity(len(key["samples"]))
    if config.shift:
        moves = integers(**key, purpose="shift", low=-config.shift, high=config.shift, num=2)
        matrices[:, 1, 2], matrices[:, 0, 2] = moves.T
    if config.translate:
        matrices[:, :2, 2] += config.translate * (2 * uniform(**key, purpose="translate", num=2) - 1) * [width, height]
    if config.flip:
        mirror(matrices, 0, width, to_mirror(config, key))
    if config.vertical_flip:
        mirror(matrices, 1, height, chosen(key, "vertical flip", config.vertical_flip))
    return matrices


def to_mirror(config: AugmentConfig, key: Key) -> NDArray[np.bool_]:
    """Which pictures are mirrored left to right; (N,)."""
    if not config.alternate:
        return chosen(key, "flip", config.flip)
    first: Key = {**key, "epoch": 0}  # Jordan 2024, "94% on CIFAR-10 in 3.29 seconds", section 3.6
    return chosen(first, "flip", config.flip) ^ bool(key["epoch"] % 2)


def mirror(matrices: Matrices, axis: int, side: int, rows: NDArray[np.bool_]) -> None:
    """old = side - (new + shift) along an axis, in some of these maps that shift by so much."""
    matrices[rows, axis, axis] = -1
    matrices[rows, axis, 2] = side - matrices[rows, axis, 2]


def turned(config: AugmentConfig, key: Key) -> NDArray[np.float64]:
    """Rotation and scale, and before them the slant, as seen from the new picture; (N, 2, 2)."""
    draws = 2 * uniform(**key, purpose="warp", num=4) - 1
    angle, zoom = np.deg2rad(config.rotate) * draws[:, 0], 1 + config.scale * draws[:, 1]
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    right, below = config.shear * draws[:, 2], config.shear * draws[:, 3]
    parts = [cos + sin * below, cos * right + sin, cos * below - sin, cos - sin * right]
    return np.stack(parts, axis=1).reshape(-1, 2, 2)


def cut_out(least: float, key: Key, size: tuple[int, int]) -> Matrices:
    """A window of a drawn area, shape and place, stretched to the whole; (N, 3, 3).

    Ten areas and shapes are tried until one fits into the picture; else the whole is taken, cut to the nearest shape.
    Source: Szegedy et al. 2015, section 6, where the area is 8% to 100%.
    """
    height, width = size
    draws = uniform(**key, purpose="crop", num=2 + 2 * CROP_TRIALS)
    areas = (least + (1 - least) * draws[:, 2 : 2 + CROP_TRIALS]) * height * width
    low, high = np.log(CROP_ASPECT)
    aspects = np.exp(low + (high - low) * draws[:, 2 + CROP_TRIALS :])
    w, h = np.sqrt(areas * aspects), np.sqrt(areas / aspects)
    fits = (w <= width) & (h <= height)
    trial = np.arange(len(fits)), fits.argmax(axis=1)
    found = fits[trial]
    aspect = np.clip(width / height, *CROP_ASPECT)
    w = np.where(found, w[trial], min(width, height * aspect))
    h = np.where(found, h[trial], min(height, width / aspect))
    left, top = np.where(found, draws[:, :2].T, 0.5) * [width - w, height - h]
    matrices = identity(len(fits))
    matrices[:, 0, 0], matrices[:, 1, 1] = w / width, h / height
    matrices[:, 0, 2], matrices[:, 1, 2] = left, top
    return matrices
