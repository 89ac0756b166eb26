"""How a network of the catalogue was built, so that it can be built again for other classes or channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from neocog.errors import ConfigError
from neocog.zoo.network import Network

__all__ = ["Origin"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """A builder and what it was called with."""

    name: str
    build: Callable[..., Network]
    num_classes: int
    in_channels: int
    options: Mapping[str, Any]

    def again(self, *, num_classes: int | None = None, in_channels: int | None = None) -> Network:
        """The same network with fresh weights, for another number of classes or channels if one is given."""
        return self.build(
            num_classes=num_classes or self.num_classes, in_channels=in_channels or self.in_channels, **self.options
        )

    def class_keys(self) -> frozenset[str]:
        """The keys of the tensors whose shape follows from the number of classes.

        There are none where one class more makes no sense, as with the points of a board.
        """
        try:
            return self.changed_by(num_classes=self.num_classes + 1)
        except ConfigError:
            return frozenset()

    def channel_keys(self) -> frozenset[str]:
        """The keys of the tensors whose shape follows from the number of channels."""
        return self.changed_by(in_channels=self.in_channels + 1)

    def changed_by(self, **change: int) -> frozenset[str]:
        with torch.device("meta"):
            before, after = self.again().state_dict(), self.again(**change).state_dict()
        return frozenset(key for key, tensor in before.items() if tensor.shape != after[key].shape)
