"""The plan of a network for an input of a given shape, before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

from neocog.errors import NeocogError, PlanError, did_you_mean
from neocog.planning.cost import by_axis
from neocog.planning.dependencies import Marks
from neocog.planning.fields import first_axis, layouts, support
from neocog.planning.fitting import explained
from neocog.planning.memory import inference_peak, training_bytes
from neocog.planning.meta_copy import meta_copy
from neocog.planning.rows import Row, rows_of
from neocog.planning.table import markdown, text, totals
from neocog.planning.trace import Trace, trace

__all__ = ["Plan", "plan"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A network's operations and totals for one sample of a given shape. Memory in bytes."""

    model: str
    input_shape: tuple[int, ...]
    output_shapes: tuple[tuple[int, ...], ...]
    rows: list[Row] = field(repr=False)
    parameters: int
    """All of the network's, each once."""
    unused: dict[str, int]
    """Parameters that no operation of the traced pass reads, such as those of heads used in training alone."""
    weight_bytes: int
    """Parameters and buffers."""
    inference_bytes: int
    """Activations alive at the fullest moment of inference."""
    training_bytes: int
    """Activations that are kept for the backward pass."""
    itemsize: int
    trace: Trace = field(repr=False)

    def __str__(self) -> str:
        return "\n".join([f"{self.model} on {by_axis(self.input_shape)}", "", text(self), "", *totals(self)])

    def _repr_markdown_(self) -> str:
        """The Markdown that a notebook shows."""
        return markdown(self)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @property
    def flops(self) -> int:
        """2 x MACs; additions of biases are apart, in `bias_adds`."""
        return 2 * self.macs

    @property
    def bias_adds(self) -> int:
        return sum(row.bias_adds for row in self.rows)

    @property
    def axes(self) -> tuple[int, ...]:
        """The input's sizes along the axes of receptive fields: height and width of an image."""
        return self.trace.values[self.trace.input].shape[first_axis(self.trace) :]

    def row(self, name: str, operator: str | None = None) -> Row:
        """The last operation that a module asked for, or the last of this kind.

        Raises PlanError if there is none.
        """
        found = [row for row in self.rows if row.name == name and operator in (None, row.operator)]
        if not found:
            kind = f" with operator {operator!r}" if operator else ""
            raise PlanError(f"No row is called {name!r}{kind}. {did_you_mean(name, {row.name for row in self.rows})}")
        return found[-1]

    def support(self, row: Row, unit: Sequence[int], channel: int | None = None) -> Marks:
        """Marks on the input, in its shape, of every value that a unit is made of; of all its channels, unless given.

        The unit is a position in the row's output, one number for each dimension after the channels. At borders the
        support is smaller than the field, as zeros of padding are not of the input.

        Raises PlanError for a place that the output does not have.
        """
        shape = row.output_shape
        place = (*([] if channel is None else [channel]), *unit)
        bounds = shape if channel is not None else shape[1:]
        if len(place) != len(bounds) or any(not 0 <= at < size for at, size in zip(place, bounds, strict=False)):
            raise PlanError(
                "A unit is a place in the output.",
                received=f"{tuple(place)} for an output of {shape}"
                f"{(' without its channels' if channel is None else '')}",
                fix="Use one number from 0 for each dimension.",
            )
        value = self.trace.operations[row.operation].outputs[0]
        every = slice(None) if channel is None else channel
        return support(self.trace, value, (0, every, *unit))

    def box(self, row: Row, unit: Sequence[int], channel: int | None = None) -> tuple[tuple[int, int], ...] | None:
        """The first and last sample of the input that a unit is made of, along each axis; None if it reads none."""
        marks = self.support(row, unit, channel)
        places = np.nonzero(marks)[marks.ndim - len(self.axes) :]
        if not places[0].size:
            return None
        return tuple((int(along.min()), int(along.max())) for along in places)

    def to_json(self) -> dict[str, Any]:
        """The plan as numbers, strings and lists."""
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "output_shapes": [list(shape) for shape in self.output_shapes],
            "parameters": self.parameters,
            "unused_parameters": self.unused,
            "macs": self.macs,
            "flops": self.flops,
            "bias_adds": self.bias_adds,
            "weight_bytes": self.weight_bytes,
            "inference_activation_bytes": self.inference_bytes,
            "training_activation_bytes": self.training_bytes,
            "rows": [row.to_json() for row in self.rows],
        }


def plan(model: nn.Module, input_shape: Sequence[int], *, dtype: torch.dtype | None = None) -> Plan:
    """Plan a network for a sample of this shape, without the batch: (3, 224, 224) for a colour image.

    The network runs once on the meta device, as a copy without memory and in evaluation mode; it is left as it was.
    Every operation that is executed has a row, functional ones too. Token ids are planned with `dtype=torch.int64`;
    otherwise the input has the type of the parameters.

    Raises GeometryError if sizes don't match, with the layer and what would fit; PlanError if the network asks
    for values, fails in its own code, or can't be copied.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2048, 10))
    >>> found = plan(net, (3, 32, 32))
    >>> found.parameters, found.macs, found.row("1").receptive_field
    (20714, 241664, (4, 4))
    """
    shape = checked_shape(input_shape)
    copied = meta_copy(model)
    sizes = {name: parameter.numel() for name, parameter in copied.named_parameters()}
    dtype = dtype or next((p.dtype for p in copied.parameters() if p.is_floating_point()), torch.float32)
    try:
        traced = trace(copied, shape, dtype)
    except NeocogError:
        raise
    except Exception as error:
        raise explained(copied, shape, dtype, error) from error
    found = layouts(traced)
    axes = traced.values[traced.input].shape[first_axis(traced) :]
    used = frozenset[str]().union(*(traced.values[v].parameters for o in traced.operations for v in o.inputs))
    kept = training_bytes(copied, shape, dtype)
    rows = rows_of(traced, found, sizes, axes)
    return Plan(
        model=type(model).__name__,
        input_shape=shape,
        output_shapes=tuple(traced.values[value].shape[1:] for value in traced.outputs),
        rows=rows,
        parameters=sum(sizes.values()),
        unused={name: size for name, size in sizes.items() if name not in used},
        weight_bytes=sum(tensor.nbytes for tensor in (*copied.parameters(), *copied.buffers())),
        inference_bytes=inference_peak(traced),
        training_bytes=sum(row.activation_bytes for row in rows) if kept is None else kept,
        itemsize=dtype.itemsize,
        trace=traced,
    )


def checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Raises PlanError unless this is the shape of a sample."""
    sizes = shape if isinstance(shape, Sequence) and not isinstance(shape, str) else ()
    if not sizes or any(isinstance(size, bool) or not isinstance(size, Integral) or size < 1 for size in sizes):
        raise PlanError(
            "An input shape is channels and sizes of at least 1, without the batch: (3, 224, 224).", received=f"{shape}"
        )
    return tuple(int(size) for size in sizes)
