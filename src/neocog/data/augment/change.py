"""One door to all augmentation: what is changed follows from the settings' type."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.data.augment.images import AugmentConfig, augment
from neocog.data.preprocess.preprocess import Preprocess

__all__ = ["Changes", "change"]

Changes = AugmentConfig


def change(
    inputs: Tensor, samples: NDArray[np.uint64], config: Changes, *, seed: int, epoch: int, spec: Preprocess
) -> Tensor:
    """Decoded inputs (N, *shape), each changed by its own draws."""
    return augment(inputs, samples, config, seed=seed, epoch=epoch, fill=spec.fill)
