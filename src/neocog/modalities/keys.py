"""By what the draws of a batch are keyed, and what it means for a chance to come true."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from neocog.rng import uniform

__all__ = ["Key", "chosen", "spread"]


class Key(TypedDict):
    """Each sample's draws follow from these three, whatever its batch."""

    seed: int
    epoch: int
    samples: NDArray[np.uint64]


def chosen(key: Key, purpose: str, chance: float) -> NDArray[np.bool_]:
    """Whose draw falls below a chance; (N,)."""
    return uniform(**key, purpose=purpose)[:, 0] < chance


def spread(key: Key, purpose: str, most: float) -> NDArray[np.float64]:
    """A number from -most to most for each sample, evenly; (N,)."""
    return most * (2 * uniform(**key, purpose=purpose)[:, 0] - 1)
