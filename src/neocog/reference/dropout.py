"""Dropout: values switched off by chance in training, so that none can be relied on.

Source: Srivastava et al. 2014, "Dropout", section 4, with the scaling moved from testing to training.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError
from neocog.reference.axes import Array, check_shape, floats
from neocog.rng import uniform

__all__ = ["dropout", "dropout_backward"]


def dropout(
    x: ArrayLike,
    p: float,
    *,
    seed: int,
    epoch: int = 0,
    samples: Sequence[int] | None = None,
    purpose: str = "dropout",
) -> tuple[Array, Array]:
    """Each value set to 0 with probability p, the others made larger; gives y and the mask.

        y = mask x,   mask = 0 with probability p, else 1 / (1 - p)

    The mean of the mask is 1, so a network without dropout sees the same mean: nothing is scaled in use. The mask is
    a function of (seed, epoch, sample, purpose), so a sample's mask does not depend on its batch; `samples` are the
    identities of the rows, 0..N-1 unless given.
    Shapes: x (N, *any) -> y and mask, both like x. Raises ConfigError for a p outside of 0..1.

    >>> y, mask = dropout(np.ones((1, 8)), 0.5, seed=0)
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    """
    if not 0 <= p <= 1:
        raise ConfigError("p of dropout is a probability, 0..1.", received=f"{p}")
    inputs = floats(x)
    identities = range(len(inputs)) if samples is None else samples
    draws = uniform(seed, epoch, identities, purpose, math.prod(inputs.shape[1:])).reshape(inputs.shape)
    mask = np.where(draws < p, 0.0, 1 / (1 - p) if p < 1 else 0.0)
    return inputs * mask, mask


def dropout_backward(delta: ArrayLike, mask: Array) -> Array:
    """dE/dx = mask delta: what was switched off carries nothing back either."""
    deltas = floats(delta)
    check_shape("delta", deltas, mask.shape, "the mask")
    return deltas * mask
