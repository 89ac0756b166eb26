"""RandAugment and TrivialAugment: which changes each picture draws, how strong, and where they move it.

Sources: Cubuk et al. 2020, "RandAugment", section 3, with the ranges of AutoAugment (Cubuk et al. 2019, table 6);
Müller & Hutter 2021, "TrivialAugment", with the ranges that it calls wide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.modalities.image.augment.affine import Matrices, about, identity
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.keys import Key
from neocog.rng import uniform

__all__ = ["OPERATIONS", "Drawn", "Ranges", "draw", "ranges"]

OPERATIONS = (
    "identity", "auto-contrast", "equalize", "rotate", "solarize", "colour", "posterize", "contrast", "brightness",
    "sharpness", "shear x", "shear y", "translate x", "translate y",
)  # fmt: skip
STRENGTHS = 31  # TrivialAugment draws one of so many, from none to full


@dataclass(frozen=True, slots=True)
class Ranges:
    """What full strength means for each change."""

    rotate: float
    """Degrees."""
    shear: float
    """Pixels per pixel of distance from the upper left corner."""
    translate: tuple[float, float]
    """A share of the side, and pixels; both are added."""
    bits: int
    """How many bits posterize takes away."""
    factors: tuple[float, float]
    """Of colour, contrast, brightness and sharpness, from no strength to full; 1 keeps the picture."""


RANDAUGMENT = Ranges(rotate=30, shear=0.3, translate=(150 / 331, 0), bits=4, factors=(0.1, 1.9))
TRIVIALAUGMENT = Ranges(rotate=135, shear=0.99, translate=(0, 32), bits=6, factors=(0.01, 2.0))


def ranges(config: AugmentConfig) -> Ranges:
    return RANDAUGMENT if config.policy == "randaugment" else TRIVIALAUGMENT


@dataclass(frozen=True, slots=True)
class Drawn:
    """The changes of each picture, in the order in which they are made."""

    operations: NDArray[np.int64]
    """Indices into OPERATIONS; (N, number)."""
    levels: NDArray[np.float64]
    """Strengths from 0 to 1; (N, number)."""
    signs: NDArray[np.float64]
    """-1 or 1: which way a picture is moved; (N, number)."""

    def moves(self, size: tuple[int, int], full: Ranges) -> Matrices:
        """From a place in the changed picture to one before; (N, 3, 3), in pixels."""
        total = identity(len(self.operations))
        for i in range(self.operations.shape[1]):
            operation, signed = self.operations[:, i], self.signs[:, i] * self.levels[:, i]
            total = total @ move(operation, signed, size, full)
        return total


def draw(config: AugmentConfig, key: Key) -> Drawn:
    """Which changes each picture gets, each of the fourteen as often as any other."""
    wide = config.policy == "trivialaugment"
    number = 1 if wide else config.number
    draws = uniform(**key, purpose="policy", num=3 * number).reshape(-1, number, 3)
    levels = np.floor(STRENGTHS * draws[:, :, 1]) / (STRENGTHS - 1)
    return Drawn(
        operations=np.floor(len(OPERATIONS) * draws[:, :, 0]).astype(np.int64),
        levels=levels if wide else np.full_like(levels, config.magnitude / 10),
        signs=np.where(draws[:, :, 2] < 0.5, -1.0, 1.0),
    )


def move(operations: NDArray[np.int64], signed: NDArray[np.float64], size: tuple[int, int], full: Ranges) -> Matrices:
    """One change of each picture as a matrix: angles and distances in whole degrees and pixels, as published."""
    height, width = size
    matrices = identity(len(operations))
    turned, angle = operations == OPERATIONS.index("rotate"), np.deg2rad(np.trunc(full.rotate * signed))
    cos, sin = np.cos(angle[turned]), np.sin(angle[turned])
    matrices[turned] = about(np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2), size)
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
