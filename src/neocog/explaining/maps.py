"""Feature maps of every layer for an input, and where the channels and places of a layer are in its output.

Not every output is (N, C, *places): tokens are (N, L, C), and ConvNeXt's dense layers work on (N, H, W, C). A `Grid`
knows from the plan which dimensions of an output hold the axes of the input, and brings any output to one form.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer, Layers
from neocog.explaining.rules import PLAIN
from neocog.explaining.tape import Recorder, run
from neocog.planning.fields import layouts
from neocog.planning.layout import Layout

__all__ = ["ChannelRange", "Grid", "channel_ranges", "feature_maps", "run_until"]


def feature_maps(explainer: Explainer, inputs: Tensor, layers: Iterable[Layer] | None = None) -> dict[Layer, Tensor]:
    """The feature maps of layers, by default of all, for one input (1, *shape), in one forward pass.

    Each is (C, *places), or (C,) of a layer without places. A layer has the values of its own moment, also where a
    later one writes to the same memory. If no layers are named, those are left out that run in another way on this
    device than the plan says; raises ConfigError if such a layer is named.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2))
    >>> maps = feature_maps(Explainer(net, (1, 8, 8)), torch.ones(1, 1, 8, 8))
    >>> [(layer.name, tuple(values.shape)) for layer, values in maps.items()]
    [('0', (4, 6, 6)), ('1', (4, 6, 6)), ('3', (2,))]
    """
    wanted = list(explainer.layers) if layers is None else list(layers)
    values = run(explainer.network, inputs, wanted, gradients=False).values
    grids = {layer: Grid.of(explainer, layer) for layer in wanted}
    kept = [layer for layer in wanted if layers is not None or grids[layer].fits(values[layer])]
    return {layer: grids[layer].maps(values[layer])[0] for layer in kept}


@dataclass(frozen=True, slots=True, eq=False)
class ChannelRange:
    """The values of each channel of a layer, (C,) each."""

    low: Tensor
    high: Tensor
    zeros: Tensor
    """The share of values that are exactly zero."""


def channel_ranges(maps: Tensor) -> ChannelRange:
    """The smallest and largest value of each channel, and its share of zeros; maps (C, *places).

    >>> found = channel_ranges(torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    >>> found.low.tolist(), found.high.tolist(), found.zeros.tolist()
    ([0.0, 0.0], [2.0, 0.0], [0.5, 1.0])
    """
    rows = maps.reshape(len(maps), -1)
    return ChannelRange(rows.amin(1), rows.amax(1), (rows == 0).to(torch.get_default_dtype()).mean(1))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The channels and places of a layer's output. A unit is a channel and a place, one number for each axis."""

    value: int
    """The output among the values of the plan's trace."""
    output_shape: tuple[int, ...]
    """As the network has it, with a batch of 1."""
    atoms: tuple[int, ...]
    """The output's dimensions after the batch, split into axes of the input and pieces of channels."""
    axes: tuple[int, ...]
    """Which of the atoms are places, in the order of the input's axes."""
    input_axes: tuple[int, ...]
    """The axis of the input that each of these belongs to."""
    uniform: bool
    """Whether all channels have the same receptive field."""

    @classmethod
    def of(cls, explainer: Explainer, layer: Layer) -> "Grid":
        """The grid of a layer's output, as the layer's call returns it."""
        trace, known = explainer.layers.plan.trace, known_layouts(explainer.layers)
        made = [o for o in trace.operations if o.call == layer.call and o.operator is not None]
        value = next(o.outputs[0] for o in reversed(made) if o.outputs and o.outputs[0] in known)
        layout = known[value]
        atoms = [atom for dim in layout.dims for atom in dim]
        axes = sorted((i for i, atom in enumerate(atoms) if atom.axis is not None), key=lambda i: atoms[i].axis or 0)
        numbers = tuple(atoms[i].axis or 0 for i in axes)
        sizes = tuple(atom.size for atom in atoms)
        return cls(value, trace.values[value].shape, sizes, tuple(axes), numbers, layout.kinds.size == 1)

    @property
    def places(self) -> tuple[int, ...]:
        """The number of places along each axis; empty for a layer without places."""
        return tuple(self.atoms[i] for i in self.axes)

    @property
    def channels(self) -> int:
        return int(np.prod([size for i, size in enumerate(self.atoms) if i not in self.axes], dtype=int))

    def fits(self, values: Tensor) -> bool:
        """Whether an output has the size that the plan says, for N inputs.

        It has not if the network does on this device something else than on the one that is planned for.
        """
        return values.ndim > 0 and values[:1].numel() * self.output_shape[0] == int(np.prod(self.atoms, dtype=int))

    def maps(self, values: Tensor) -> Tensor:
        """The layer's output for N inputs as (N, C, *places); a view wherever one is possible.

        Raises ConfigError for an output of another size.
        """
        if not self.fits(values):
            raise ConfigError(
                "A layer must run each time in the same place.",
                received=f"an output of shape {tuple(values.shape)} where the plan has {self.output_shape}",
                fix="Choose another layer: this one runs in another way on this device.",
            )  # fmt: skip
        split = values.reshape(len(values) // max(self.output_shape[0], 1), *self.atoms)
        rest = [i for i in range(len(self.atoms)) if i not in self.axes]
        moved = split.permute(0, *(1 + i for i in rest), *(1 + i for i in self.axes))
        return moved.flatten(1, len(rest)) if rest else moved[:, None]

    def index(self, unit: tuple[int, ...], channel: int | None = None) -> tuple[NDArray[np.int64], ...]:
        """Where a place, of one channel or of all, is in an output of one sample; the batch is the first dimension.

        Raises ConfigError for a unit that the layer does not have.
        """
        self.check(unit, channel)
        numbers = self.maps(torch.arange(int(np.prod(self.output_shape, dtype=int))).view(self.output_shape))
        picked = numbers[0, slice(None) if channel is None else slice(channel, channel + 1), *unit]
        return tuple(np.unravel_index(picked.numpy(), self.output_shape))

    def check(self, unit: tuple[int, ...], channel: int | None = None) -> None:
        """Raises ConfigError for a unit that the layer does not have."""
        fits = len(unit) == len(self.places) and all(0 <= at < size for at, size in zip(unit, self.places, strict=True))
        if not fits or not (channel is None or 0 <= channel < self.channels):
            received = f"place {tuple(unit)}" + ("" if channel is None else f" of channel {channel}")
            raise ConfigError(
                f"A unit is a place within {self.places}, of one of {self.channels} channels.", received=received,
                fix="Use numbers from 0, one for each axis.",
            )  # fmt: skip


LAYOUTS: WeakKeyDictionary[Layers, dict[int, Layout]] = WeakKeyDictionary()


def known_layouts(layers: Layers) -> dict[int, Layout]:
    """The layout of every value of a network's trace, computed once."""
    if layers not in LAYOUTS:
        LAYOUTS[layers] = layouts(layers.plan.trace)
    return LAYOUTS[layers]


class Reached(BaseException):
    """The last layer that is wanted has run. Not an Exception, so that no network catches it."""


class UpTo(Recorder):
    """Keeps layers and stops behind the last of them."""

    def __init__(self, layers: dict[int, Layer]) -> None:
        super().__init__(layers, PLAIN, {})
        self.last = max(layers)

    def call(self, number: int, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        made = super().call(number, func, args, kwargs)
        if number == self.last:
            raise Reached
        return made


def run_until(network: nn.Module, inputs: Tensor, layers: Iterable[Layer]) -> dict[Layer, Tensor]:
    """The outputs of layers for normalised inputs (N, *shape), as the network has them, without gradients.

    Nothing behind the last of the layers is computed.
    """
    recorder = UpTo({layer.call: layer for layer in layers})
    with torch.inference_mode():
        given = inputs.clone()  # a network may write to its input
        try:
            with recorder:
                network(given)
        except Reached:
            pass
    return recorder.values
