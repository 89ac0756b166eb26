"""Tasks whose targets and outputs have places within the input: masks, boxes, a class for each sample of a signal.

A network has one size of input, and an image has any. So an image reaches the network as `Views`, and its outputs come
back to the places of the image through an `Assembler`. While a network trains, it is scored at its own size, by
`Task.score`; at the end, and for every prediction, at the size of the image.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Record
from neocog.errors import ConfigError
from neocog.modalities.draw import Drawing
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import View
from neocog.tasks.target import Target, find_output
from neocog.tasks.task import Prediction, Task

__all__ = ["Assembler", "Compared", "DenseTask", "MaskPrediction", "mean_target"]

THINNED = 32  # places along each axis of which golden samples store the logits


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of comparing one record's prediction with its target. Each task adds its own fields."""

    key: str


@dataclass(frozen=True, slots=True)
class MaskPrediction(Prediction):
    """The classes of the pixels of one input."""

    classes: tuple[str, ...]
    confidence: float
    """The mean probability of what is predicted at a pixel."""
    shares: dict[str, float]
    """The share of the pixels of each class that occurs, the largest first. If classes overlap, the sum exceeds 1."""
    size: tuple[int, int]
    """Height and width."""

    def to_json(self) -> dict[str, Any]:
        height, width = self.size
        return {"width": width, "height": height, "confidence": self.confidence, "shares": self.shares}

    def cells(self) -> dict[str, str]:
        height, width = self.size
        named = ", ".join(f"{name} {share:.1%}" for name, share in list(self.shares.items())[:5])
        return {"size": f"{width} x {height}", "pixels": named or "none", "confidence": f"{self.confidence:.1%}"}


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

    def find_target(self, outputs: Tensor, spec: str | int | None = None) -> Target:
        """A class where it is predicted (`name`), or at one place (`name@y,x` of an image, `name@t` of a signal).

        Outputs (1, K, *places); places are those of the network's input. By default it is the class with most places
        besides the first, which is usually the background, or the first where there is nothing else. A class that is
        predicted nowhere is averaged over all places.
        """
        found = outputs[0].argmax(dim=0) == torch.arange(len(self.classes), device=outputs.device).view(
            -1, *[1] * (outputs.ndim - 2)
        )
        return mean_target(found, self.classes, spec, first=1)

    @property
    def tensor_specs(self) -> tuple[TensorSpec, ...]:
        raise NotImplementedError(f"{self.name} has no arrays for programs outside of Neocog")

    def tensors_of(self, predictions: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """Predictions for payloads of one size as the arrays of `tensor_specs`."""
        raise NotImplementedError(f"{self.name} has no arrays for programs outside of Neocog")

    def predictions_of(self, tensors: Mapping[str, NDArray[Any]], names: Sequence[str]) -> list[Prediction]:
        """The inverse of `tensors_of`, but for how sure the network was of a mask, which no array says: NaN."""
        raise NotImplementedError(f"{self.name} has no arrays for programs outside of Neocog")

    def predictions(self, names: Sequence[str], logits: Tensor, top: int) -> list[Prediction]:
        raise NotImplementedError("predictions of a dense task are assembled from views")

    def decode(self, logits: Tensor) -> Tensor:
        """(N, K, *places) logits -> the same, as probabilities in float64."""
        return logits.double().softmax(dim=1)


def mean_target(there: Tensor, classes: Sequence[str], spec: str | int | None, first: int = 0) -> Target:
    """The target that `DenseTask.find_target` describes, for classes that are predicted at some places.

    (K, *places) of bool. By default it is the class with most places from the class `first` on.
    """
    if spec is None:
        sizes = there.flatten(1).sum(dim=1).tolist()
        index = max(range(first, len(classes)), key=lambda k: sizes[k], default=0)
        spec = index if sizes[index] else 0
    name, at, place = str(spec).rpartition("@")
    if at and str(spec) not in classes:
        index, where = find_output(name, classes), read_place(place, tuple(there.shape[1:]), str(spec))
        return Target(f"{classes[index]} at {', '.join(map(str, where))}", index, place=where)
    index = find_output(spec, classes)
    found = there[index]
    if not found.any():
        return Target(f"{classes[index]}, predicted nowhere", index, where=torch.ones_like(found))
    return Target(f"{classes[index]} where it is predicted", index, where=found)


def read_place(text: str, shape: tuple[int, ...], spec: str) -> tuple[int, ...]:
    """A place as it is written, `120,80`. Raises ConfigError for one that the outputs don't have."""
    try:
        place = tuple(int(part) for part in text.split(","))
    except ValueError:
        place = ()
    if len(place) != len(shape) or any(not 0 <= at < size for at, size in zip(place, shape, strict=False)):
        axes = "y,x" if len(shape) == 2 else "t"
        raise ConfigError(
            f"A place is written @{axes}, from 0 and below {' x '.join(map(str, shape))}.", received=repr(spec),
            fix="Count in pixels of the network's input, or samples of a signal.",
        )  # fmt: skip
    return place
