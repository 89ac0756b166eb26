"""RandAugment and TrivialAugment: which operations each image draws, and how strong they are.

Sources: Cubuk et al. 2020, "RandAugment", section 3, with the ranges of AutoAugment (Cubuk et al. 2019, table 6);
Müller & Hutter 2021, "TrivialAugment", with the ranges that it calls wide.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.modalities.augment import Key
from neocog.modalities.image.augment.affine import Matrices, identity, keep_centre
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.rng import uniform

__all__ = ["OPERATIONS", "DrawnPolicy", "Ranges", "draw_policy"]

OPERATIONS = (
    "identity", "auto-contrast", "equalize", "rotate", "solarize", "colour", "posterize", "contrast", "brightness",
    "sharpness", "shear x", "shear y", "translate x", "translate y",
)  # fmt: skip
STRENGTHS = 31  # the levels that TrivialAugment draws from, from none to full


class Ranges(NamedTuple):
    """The full strength of each operation."""

    rotate: float  # degrees
    shear: float  # pixels per pixel of distance from the upper left corner
    translate: tuple[float, float]  # a share of the side, plus pixels
    bits: int  # the number of bits that posterize removes
    factors: tuple[float, float]
    """Of colour, contrast, brightness and sharpness, from no strength to full; 1 keeps the image."""


RANDAUGMENT = Ranges(rotate=30, shear=0.3, translate=(150 / 331, 0), bits=4, factors=(0.1, 1.9))
TRIVIALAUGMENT = Ranges(rotate=135, shear=0.99, translate=(0, 32), bits=6, factors=(0.01, 2.0))


class DrawnPolicy(NamedTuple):
    """The operations of each image, in order."""

    full: Ranges
    operations: NDArray[np.int64]  # indices into OPERATIONS; (N, number)
    levels: NDArray[np.float64]  # strengths from 0 to 1; (N, number)
    signs: NDArray[np.float64]  # -1 or 1, the direction of spatial operations; (N, number)

    def matrices(self, size: tuple[int, int]) -> Matrices:
        """The spatial operations as one affine transform; (N, 3, 3)."""
        total = identity(len(self.operations))
        for operations, signed in zip(self.operations.T, (self.signs * self.levels).T, strict=True):
            total = total @ operation_matrices(operations, signed, size, self.full)
        return total


def draw_policy(config: AugmentConfig, key: Key) -> DrawnPolicy:
    """The operations of each image, each of the fourteen with the same probability."""
    wide = config.policy == "trivialaugment"
    number = 1 if wide else config.number
    draws = uniform(**key, purpose="policy", num=3 * number).reshape(-1, number, 3)
    operations = np.floor(len(OPERATIONS) * draws[:, :, 0]).astype(np.int64)
    levels = np.floor(STRENGTHS * draws[:, :, 1]) / (STRENGTHS - 1)
    levels = levels if wide else np.full_like(levels, config.magnitude / 10)
    signs = np.where(draws[:, :, 2] < 0.5, -1.0, 1.0)
    return DrawnPolicy(TRIVIALAUGMENT if wide else RANDAUGMENT, operations, levels, signs)


def operation_matrices(
    operations: NDArray[np.int64], signed: NDArray[np.float64], size: tuple[int, int], full: Ranges
) -> Matrices:
    """One operation of each image as a matrix: angles and distances in whole degrees and pixels, as published."""
    height, width = size
    matrices = identity(len(operations))
    turned, angle = operations == OPERATIONS.index("rotate"), np.deg2rad(np.trunc(full.rotate * signed))
    cos, sin = np.cos(angle[turned]), np.sin(angle[turned])
    matrices[turned] = keep_centre(np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2), size)
    share, pixels = full.translate
    for name, place, amount in [
        ("shear x", (0, 1), full.shear * signed),
        ("shear y", (1, 0), full.shear * signed),
        ("translate x", (0, 2), np.trunc((share * width + pixels) * signed)),
        ("translate y", (1, 2), np.trunc((share * height + pixels) * signed)),
    ]:
        meant = operations == OPERATIONS.index(name)
        matrices[(meant, *place)] = amount[meant]
    return matrices
