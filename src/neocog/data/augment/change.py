"""One door to all augmentation: how decoded inputs are changed, and normalised, follows from the settings' type."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.data.augment.config import AugmentConfig
from neocog.data.augment.images import augment
from neocog.data.augment.signals import SignalAugmentConfig, augment_signals
from neocog.data.augment.texts import TextAugmentConfig, augment_texts
from neocog.data.preprocess.image import ImagePreprocess
from neocog.data.preprocess.preprocess import Preprocess
from neocog.data.preprocess.text import UNKNOWN, TextPreprocess

__all__ = ["Changes", "changed"]

Changes = AugmentConfig | SignalAugmentConfig | TextAugmentConfig


def changed(
    inputs: Tensor, samples: NDArray[np.uint64], config: Changes | None, *, seed: int, epoch: int, spec: Preprocess
) -> Tensor:
    """Decoded inputs, each changed by its own draws, as the network receives them; (N, *shape) -> the same.

    Pictures and texts are changed before they are normalised, signals after it, when their deviation is one.
    """
    if config is None:
        return spec.normalise(inputs)
    if isinstance(config, SignalAugmentConfig):
        inputs = spec.normalise(inputs)
        return augment_signals(inputs, samples, config, seed=seed, epoch=epoch, fill=inputs.new_zeros(()))
    if isinstance(config, TextAugmentConfig):
        unknown = spec.unknown if isinstance(spec, TextPreprocess) else UNKNOWN
        return spec.normalise(augment_texts(inputs, samples, config, seed=seed, epoch=epoch, unknown=unknown))
    white = float(spec.white) if isinstance(spec, ImagePreprocess) else 255.0
    return spec.normalise(augment(inputs, samples, config, seed=seed, epoch=epoch, fill=spec.fill, white=white))
