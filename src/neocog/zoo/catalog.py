"""Every network by name, with what it was made for."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch

from torch import nn

from neocog.errors import ConfigError, did_you_mean
from neocog.zoo.networks.lenet5 import LeNet5
from neocog.zoo.networks.lenet5_relu import LeNet5ReLU

__all__ = ["Entry", "create_model", "entry", "list_models"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A network's builder, and the input and output it was published with."""

    build: Callable[..., nn.Module]
    in_channels: int
    input_size: tuple[int, int]  # height x width
    num_classes: int

    @property
    def options(self) -> frozenset[str]:
        """The builder's arguments beside channels and classes, such as `dropout`."""
        return frozenset(inspect.signature(self.build).parameters) - {"in_channels", "num_classes"}


CATALOG: dict[str, Entry] = {
    "lenet5": Entry(
        build=LeNet5,
        in_channels=1, input_size=(32, 32), num_classes=10,
    ),
    "lenet5_relu": Entry(
        build=LeNet5ReLU,
        in_channels=1, input_size=(32, 32), num_classes=10,
    ),
    "tutorial_cifar10": Entry(
        build=LeNet5ReLU,
        in_channels=3, input_size=(32, 32), num_classes=10,
    ),
}  # fmt: skip


def entry(name: str) -> Entry:
    """The catalogue's entry of this name.

    Raises ConfigError where there is none.
    """
    if name not in CATALOG:
        raise ConfigError(f"No network is called {name!r}. {did_you_mean(name, CATALOG)}")
    return CATALOG[name]


def list_models(pattern: str = "*") -> list[str]:
    """The names of all networks that match a pattern.

    >>> list_models("lenet*")
    ['lenet5', 'lenet5_relu']
    """
    return sorted(name for name in CATALOG if fnmatch(name, pattern))


def create_model(
    name: str, *, num_classes: int | None = None, in_channels: int | None = None, **options: object
) -> nn.Module:
    """Build a network by name, with fresh weights; classes and channels are the published ones unless given.

    Raises ConfigError for an unknown name, or an option that this network does not have.

    >>> sum(p.numel() for p in create_model("lenet5").parameters())
    60000
    """
    found = entry(name)
    for option in options.keys() - found.options:
        raise ConfigError(
            f"{name} has no {option}. {did_you_mean(option, found.options | {'num_classes', 'in_channels'})}"
        )
    return found.build(
        num_classes=found.num_classes if num_classes is None else num_classes,
        in_channels=found.in_channels if in_channels is None else in_channels,
        **options,
    )
