"""Word dropout: some tokens of a text are read as unknown, by each sample's own draws."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.rng import uniform
from neocog.settings import SETTINGS

__all__ = ["TextAugmentConfig", "augment_texts"]

PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class TextAugmentConfig:
    """Random changes of training texts."""

    drop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Chance of each token to be read as an unknown one. At least one is kept."""


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

    Shapes: tokens (N, L) of integers, samples (N,) -> (N, L). Where all of a text's tokens would go, the one with the
    highest draw is kept.
    Source: Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods for text classification".
    """  # fmt: skip
    if not config.drop or not tokens.numel():
        return tokens
    draws = torch.from_numpy(uniform(seed, epoch, samples, "word dropout", tokens.shape[1])).to(tokens.device)
    draws = draws.masked_fill(tokens == PADDING, -1.0)
    last = draws >= draws.amax(dim=1, keepdim=True)
    dropped = (draws >= 0) & (draws < config.drop) & ~last
    return tokens.masked_fill(dropped, unknown)
