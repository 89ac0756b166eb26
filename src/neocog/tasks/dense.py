"""Tasks whose targets and outputs have places within the input: masks, boxes, a class for each sample of a signal.

A network has one size of input, and an image has any. So an image reaches the network as `Views`, and its outputs come
back to the places of the image through an `Assembler`. While a network trains, it is scored at its own size, by
`Task.score`; at the end, and for every prediction, at the size of the image.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neocog.dataset.record import Record
from neocog.modalities.draw import Drawing
from neocog.modalities.views import View
from neocog.tasks.task import Prediction, Task

__all__ = ["Assembler", "Compared", "DenseTask"]

THINNED = 32  # places along each axis of which golden samples store the logits


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of comparing one record's prediction with its target. Each task adds its own fields."""

    key: str


class Assembler(ABC):
    """Puts the outputs of a payload's views together. Views come in the order of their origins."""

    @abstractmethod
    def add(self, view: View, logits: Tensor) -> None:
        """Take the outputs of one view, (K, ...)."""

    @abstractmethod
    def finish(self, name: str) -> Prediction:
        """The prediction for the whole payload."""


class DenseTask(Task):
    """A task whose targets have places. Its logits are (N, K, *places)."""

    dense = True
    worst_shown: ClassVar[int] = 12
    """How many of the worst samples a report draws."""

    @abstractmethod
    def assemble(self, size: tuple[int, ...]) -> Assembler:
        """The assembler of the outputs for a payload of this size."""

    @abstractmethod
    def compare(self, prediction: Prediction, record: Record) -> Compared:
        """All that the metrics need of a prediction and the record's target, both at the size of the payload."""

    @abstractmethod
    def draw(self, record: Record, prediction: Prediction) -> Drawing:
        """The record with target and prediction, for a report."""

    @property
    def num_channels(self) -> int:
        """Of the logits."""
        return self.num_outputs

    def check_logits(self, logits: Tensor) -> None:
        assert logits.ndim > 2, logits.shape
        assert logits.shape[1] == self.num_channels, logits.shape

    def thin(self, logits: Tensor) -> Tensor:
        """Evenly spread places; (N, K, *places) -> (N, K, at most 32 along each axis)."""
        for axis in range(2, logits.ndim):
            length = logits.shape[axis]
            chosen = torch.linspace(0, length - 1, min(THINNED, length), dtype=torch.float64).long()
            logits = logits.index_select(axis, chosen)
        return logits.contiguous()

    def predictions(self, names: Sequence[str], logits: Tensor, top: int) -> list[Prediction]:
        raise NotImplementedError("predictions of a dense task are assembled from views")

    def decode(self, logits: Tensor) -> Tensor:
        """(N, K, *places) logits -> the same, as probabilities in float64."""
        return logits.double().softmax(dim=1)
