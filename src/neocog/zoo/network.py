"""The base of all networks of the zoo: a stem, stages, a head, and how it was built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from neocog.errors import ConfigError

__all__ = ["BuildSpec", "Network", "Normalisation", "WithAuxiliary", "join_outputs"]


class Normalisation(NamedTuple):
    """Mean and standard deviation of each channel, for values in 0..1, that the weights were trained with."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class WithAuxiliary(NamedTuple):
    """Outputs of a network with auxiliary classifiers in training mode; in evaluation mode it returns logits only."""

    logits: Tensor
    auxiliary: tuple[Tensor, ...]
    """The logits of each auxiliary classifier."""
    weight: float
    """Of each auxiliary classifier's loss; the loss of the logits has weight 1."""


def join_outputs(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The outputs of a network as one tensor: several maps (N, K, h, w) of one size are joined channel by channel."""
    return outputs if isinstance(outputs, Tensor) else torch.cat(tuple(outputs), dim=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildSpec:
    """How a network of the catalogue was built, so that it can be rebuilt for other classes or channels."""

    name: str
    build: Callable[..., "Network"]
    num_classes: int
    in_channels: int
    options: Mapping[str, Any]

    def rebuild(self, *, num_classes: int | None = None, in_channels: int | None = None) -> "Network":
        """The same network with fresh weights; `num_classes` and `in_channels` replace those that it was built with."""
        return self.build(
            num_classes=num_classes or self.num_classes, in_channels=in_channels or self.in_channels, **self.options
        )

    def class_keys(self) -> frozenset[str]:
        """The keys of the tensors whose shape depends on the number of classes.

        Empty if the network can't have one more class: the outputs of a Go network are the points of the board.
        """
        try:
            return self.changed_by(num_classes=self.num_classes + 1)
        except (ConfigError, KeyError):  # another structure has other keys
            return frozenset()

    def channel_keys(self) -> frozenset[str]:
        """The keys of the tensors whose shape depends on the number of channels."""
        return self.changed_by(in_channels=self.in_channels + 1)

    def changed_by(self, **change: int) -> frozenset[str]:
        with torch.device("meta"), WithoutDraws():
            before, after = self.rebuild().state_dict(), self.rebuild(**change).state_dict()
        return frozenset(key for key, tensor in before.items() if tensor.shape != after[key].shape)


class WithoutDraws(TorchFunctionMode):
    """Within this block tensors are not filled with random numbers.

    On the meta device there is nothing to fill, and torch imports its compiler for it, which takes seconds.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **given)


class Network(nn.Module):
    """A network in three parts, which a subclass sets.

    `stem` takes the input, each of `stages` works at one resolution, and `head` turns feature maps into outputs. Stem
    and stages are the backbone. A subclass overrides `forward` if the parts don't simply follow one another.
    """

    stem: nn.Module
    stages: nn.Sequential
    head: nn.Module
    build_spec: BuildSpec | None = None
    """How `create_model` built it; None for a network that was built in another way."""
    num_frozen: int | None = None
    """Number of frozen stages; the stem is frozen with them. None: nothing is frozen."""
    normalisation: Normalisation | None = None
    """The input normalisation that published weights expect; None: measure it on the training data."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) images -> (N, num_classes) logits."""
        return self.head(self.stages(self.stem(images)))  # type: ignore[no-any-return]

    def features(self, images: Tensor) -> list[Tensor]:
        """The feature maps after each stage, in order."""
        maps, found = self.stem(images), []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found

    def init_from_data(self, images: Tensor) -> None:
        """Data-dependent initialisation from normalised training images; most networks have none."""

    def freeze(self, num_stages: int | None = None) -> Self:
        """Freeze the stem and the first `num_stages` stages; by default all stages.

        Their parameters get no gradient, and they stay in evaluation mode whatever `train` says, so that the statistics
        of batch norm don't change either. Later stages are unfrozen.
        Raises ValueError for more stages than there are.
        """
        count = len(self.stages) if num_stages is None else num_stages
        if not 0 <= count <= len(self.stages):
            raise ValueError(f"{type(self).__name__} has {len(self.stages)} stages. Received: freeze({num_stages}).")
        self.unfreeze()
        self.num_frozen = count
        for part in self.frozen_parts():
            part.requires_grad_(False)
        return self.train(self.training)

    def unfreeze(self) -> Self:
        """Make all parameters trainable again."""
        self.num_frozen = None
        return self.requires_grad_(True).train(self.training)

    def frozen_parts(self) -> list[nn.Module]:
        """The frozen stem and stages."""
        return [] if self.num_frozen is None else [self.stem, *list(self.stages)[: self.num_frozen]]

    def train(self, mode: bool = True) -> Self:
        """As in torch, but frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self.frozen_parts():
            part.eval()
        return self
