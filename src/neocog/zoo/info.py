"""A network's entry in the catalogue."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from neocog.zoo.network import Network

__all__ = ["ModelInfo"]

Modality = str  # the name of a row of `neocog.modalities.table.MODALITIES`
Task = Literal["classification", "segmentation", "detection", "next move", "signal segmentation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """A network's builder, its paper, and the input and output it was published with."""

    build: Callable[..., Network]
    paper: str
    """Authors and year."""
    in_channels: int
    """Of images, signals and boards; of texts, how many different tokens there are."""
    input_size: tuple[int, ...]
    """Height x width of an image, frames x bands of a sound, samples of a signal, tokens of a text."""
    num_classes: int
    modality: Modality = "image"
    task: Task = "classification"
    trainable: bool = True
    """Whether it learns by gradient descent."""
    backbone: str | None = None
    """The network of the catalogue whose stem and stages it has, and whose published weights these can start from."""

    @property
    def year(self) -> int:
        return int(self.paper[-4:])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one input, without the batch; a text is a row of token ids."""
        return self.input_size if self.input_dtype else (self.in_channels, *self.input_size)

    @property
    def input_dtype(self) -> torch.dtype | None:
        """Of token ids; None if inputs are numbers of the type of the weights."""
        return torch.int64 if self.modality == "text" else None

    @property
    def options(self) -> frozenset[str]:
        """The builder's arguments beside channels and classes, such as `dropout`."""
        return frozenset(inspect.signature(self.build).parameters) - {"in_channels", "num_classes"}
