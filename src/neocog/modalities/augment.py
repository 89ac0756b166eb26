"""Shared by the augmentation of all kinds of data: the key of each sample's draws, and simple draws from it."""

from collections.abc import Callable
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.rng import uniform

__all__ = ["Key", "Stage", "draw_chosen", "draw_spread"]

Stage = Callable[[Tensor], Tensor]
"""A step from decoded inputs to those of the network; (N, *shape) -> the same."""


class Key(TypedDict):
    """The draws of each sample follow from these three, whatever its batch."""

    seed: int
    epoch: int
    samples: NDArray[np.uint64]


def draw_chosen(key: Key, purpose: str, probability: float) -> NDArray[np.bool_]:
    """Which samples are chosen; (N,)."""
    return uniform(**key, purpose=purpose)[:, 0] < probability


def draw_spread(key: Key, purpose: str, limit: float) -> NDArray[np.float64]:
    """A uniform number from -limit to limit for each sample; (N,)."""
    return limit * (2 * uniform(**key, purpose=purpose)[:, 0] - 1)
