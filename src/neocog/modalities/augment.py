"""One door to all augmentation: how decoded inputs are changed, and normalised, follows from the settings' type."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.image.augment.images import augment
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.augment import SignalAugmentConfig, augment_signals
from neocog.modalities.text.augment import TextAugmentConfig, augment_texts
from neocog.modalities.text.preprocess import UNKNOWN, TextPreprocess

__all__ = ["Changes", "stages"]

Changes = AugmentConfig | SignalAugmentConfig | TextAugmentConfig

Stage = Callable[[Tensor], Tensor]


def stages(
    samples: NDArray[np.uint64], config: Changes | None, *, seed: int, epoch: int, spec: Preprocess
) -> list[Stage]:
    """What is done, one after the other, to decoded inputs before the network receives them; (N, *shape) -> the same.

    Pictures and texts are changed by their own draws before they are normalised, signals after it, when their
    deviation is one. The caller goes from stage to stage, and so holds no more than two of their results at a time.
    """
    match config:
        case None:
            return [spec.normalise]
        case SignalAugmentConfig():
            return [spec.normalise, partial(changed_signals, samples=samples, config=config, seed=seed, epoch=epoch)]
        case TextAugmentConfig():
            unknown = spec.unknown if isinstance(spec, TextPreprocess) else UNKNOWN
            return [
                partial(augment_texts, samples=samples, config=config, unknown=unknown, seed=seed, epoch=epoch),
                spec.normalise,
            ]
        case AugmentConfig():
            white = float(spec.white) if isinstance(spec, ImagePreprocess) else 255.0
            change = partial(
                augment, samples=samples, config=config, fill=spec.fill, white=white, seed=seed, epoch=epoch
            )
            return [change, spec.normalise]


def changed_signals(
    inputs: Tensor, samples: NDArray[np.uint64], config: SignalAugmentConfig, *, seed: int, epoch: int
) -> Tensor:
    return augment_signals(inputs, samples, config, seed=seed, epoch=epoch, fill=inputs.new_zeros(()))
