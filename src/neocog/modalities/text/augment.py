"""Word dropout: random tokens of a text become unknown, by each sample's own draws."""

from functools import partial
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.modalities.augment import Key, Stage
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.text.preprocess import PADDING, UNKNOWN, TextPreprocess
from neocog.rng import uniform
from neocog.settings import SETTINGS

__all__ = ["TextAugmentConfig", "augment_stages", "augment_texts"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class TextAugmentConfig:
    """Augmentation of training texts."""

    drop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that a token becomes unknown (word dropout). At least one token is kept."""


def augment_stages(config: TextAugmentConfig, spec: Preprocess, key: Key) -> list[Stage]:
    """Word dropout, then normalisation."""
    unknown = spec.unknown if isinstance(spec, TextPreprocess) else UNKNOWN
    return [partial(augment_texts, config=config, unknown=unknown, **key), spec.normalise]


def augment_texts(
    tokens: Tensor,
    samples: NDArray[np.uint64],
    config: TextAugmentConfig,
    *,
    seed: int,
    epoch: int,
    unknown: int = UNKNOWN,
) -> Tensor:
    """Replace tokens by `unknown`; padding, which is 0, stays.

    Shapes: tokens (N, L) of integers, samples (N,) -> (N, L). If all tokens of a text would go, the one with the
    highest draw is kept.
    Source: Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods for text classification".
    """
    if not config.drop or not tokens.numel():
        return tokens
    draws = torch.from_numpy(uniform(seed, epoch, samples, "word dropout", tokens.shape[1])).to(tokens.device)
    draws = draws.masked_fill(tokens == PADDING, -1.0)
    last = draws >= draws.amax(dim=1, keepdim=True)
    dropped = (draws >= 0) & (draws < config.drop) & ~last
    return tokens.masked_fill(dropped, unknown)
