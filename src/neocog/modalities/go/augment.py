"""Augmentation of positions of Go: each turned and mirrored by one of the 8 symmetries, by its own draw."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.modalities.augment import Key, Stage
from neocog.modalities.go.symmetry import NUM_SYMMETRIES, move_planes, moved_points
from neocog.modalities.preprocess import Preprocess
from neocog.rng import integers
from neocog.settings import SETTINGS

__all__ = ["BoardAugmentConfig", "augment_boards", "augment_stages", "draw_symmetries", "move_labels"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class BoardAugmentConfig:
    """Augmentation of training positions of Go."""

    symmetries: bool | None = None
    """Turn and mirror each position, and its move, by one of the 8 symmetries of the board, drawn at random; unset:
    leave them as they are. The recipe board sets it."""


def augment_stages(config: BoardAugmentConfig, spec: Preprocess, key: Key) -> list[Stage]:
    """Symmetries, then normalisation."""
    return [partial(augment_boards, config=config, key=key), spec.normalise]


def draw_symmetries(key: Key) -> NDArray[np.int64]:
    """The symmetry of each sample, from 0 to 7; (N,)."""
    return integers(**key, purpose="board symmetry", low=0, high=NUM_SYMMETRIES - 1)[:, 0]


def augment_boards(planes: Tensor, config: BoardAugmentConfig, key: Key) -> Tensor:
    """Each position under its symmetry; (N, planes, S, S) -> the same."""
    if not config.symmetries:
        return planes
    drawn, moved = draw_symmetries(key), planes.clone()
    for symmetry in range(1, NUM_SYMMETRIES):
        rows = torch.from_numpy(np.flatnonzero(drawn == symmetry)).to(planes.device)
        moved[rows] = move_planes(planes[rows], symmetry)
    return moved


def move_labels(labels: Tensor, key: Key, *, size: int) -> Tensor:
    """The moves of positions that `augment_boards` has moved with the same keys; a pass stays; (N,) -> (N,)."""
    table = moved_points(size).to(labels.device)
    return table[torch.from_numpy(draw_symmetries(key)).to(labels.device), labels]
