"""The next move of a game: a point of the board, or a pass."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Record
from neocog.evaluation import Mistake, MovesPredicted, WorstError, evaluate_moves
from neocog.modalities.draw import Drawing
from neocog.modalities.go.augment import BoardAugmentConfig, move_labels
from neocog.modalities.go.draw import draw_position
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.source import PASS, move_number
from neocog.modalities.preprocess import Preprocess
from neocog.tasks.classification import Classification
from neocog.tasks.task import MoveTargets, register_task

__all__ = ["NextMove"]


@register_task
class NextMove(Classification):
    """The next move of a game as a class: a point of the board, or a pass. A class need not occur in every set."""

    name = "next move"
    network_task = "next move"
    learns_decisions = False  # a rare position is not a wrong input
    drawn = "A green ring is the move that was played, a red one the network's, a dot the last move"

    @classmethod
    def mover(cls, augment: Any, preprocess: Preprocess) -> MoveTargets | None:
        """Moves turn with their positions."""
        if not isinstance(augment, BoardAugmentConfig) or not augment.symmetries:
            return None
        assert isinstance(preprocess, BoardPreprocess), preprocess
        return partial(move_labels, size=preprocess.size)

    @property
    def num_points(self) -> int:
        """Of the board."""
        return len(self.classes) - (self.classes[-1] == PASS)

    @property
    def size(self) -> int:
        """Points on each side of the board."""
        return math.isqrt(self.num_points)

    def evaluate(
        self, logits: NDArray[np.floating], targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str
    ) -> MovesPredicted:
        numbers = np.array([move_number(key) or 0 for key in keys])
        scaled = logits if self.temperature is None else logits / self.temperature
        return evaluate_moves(
            scaled, targets, self.classes, keys, numbers, num_points=self.num_points, data=data, split=split
        )

    def draw_error(self, record: Record, error: WorstError) -> Drawing | None:
        """The board with the move that was played, ringed in green, and the one that was predicted, in red."""
        assert isinstance(error, Mistake), error
        played, predicted = (self.classes.index(name) for name in (error.truth, error.prediction))
        return draw_position(record.payload, None, record.key, played=played, predicted=predicted)
