"""The rows of a plan: one for each operation that the input goes through, or that multiplies, as executed."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from neocog.arithmetic import Field
from neocog.planning.cost import MOVES, detail, macs_and_bias, operator_name
from neocog.planning.layout import Layout
from neocog.planning.rules import is_known
from neocog.planning.trace import Operation, Trace

__all__ = ["Row", "rows_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One operation, of several outputs the first. Shapes are without the batch; figures are for one sample."""

    name: str
    """The module that asked for it, as in `named_modules`; empty for the network itself."""
    operator: str
    detail: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]
    parameters: int
    """Those first used here; a shared parameter is counted once."""
    shared: int
    """Those used here that an earlier row has counted."""
    macs: int
    bias_adds: int
    activation_bytes: int
    """The memory of the output; 0 if it is a view, or written in place."""
    fields: tuple[Field, ...]
    """The receptive field along each axis of the input, padding included; empty if the input has no part in it."""
    whole: tuple[bool, ...]
    """Along each axis: whether every unit sees the whole input."""
    known: bool
    """False where the operation is not known, and its outputs are taken to read all of its inputs."""
    exact: bool
    """False where the fields are upper bounds: behind an operation that is not known, or whose places depend on
    values."""
    moves: bool
    """Whether it only says where elements are."""
    operation: int
    """Its place among the traced operations."""

    @property
    def flops(self) -> int:
        """2 x MACs; additions of a bias are apart, in `bias_adds`."""
        return 2 * self.macs

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """Samples seen along each axis, padding included; where `whole`, the whole input."""
        return tuple(field.size for field in self.fields)

    @property
    def stride(self) -> tuple[int | Fraction, ...]:
        """Samples of the input between neighbouring units, along each axis."""
        return tuple(field.stride for field in self.fields)

    @property
    def offset(self) -> tuple[int | Fraction, ...]:
        """Where the first unit's field begins; below zero it begins in the padding."""
        return tuple(field.offset for field in self.fields)

    def to_json(self) -> dict[str, Any]:
        """The row as numbers, strings and lists; fractions are floats."""
        return {
            "name": self.name,
            "operator": self.operator,
            "detail": self.detail,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "output_shape": list(self.output_shape),
            "parameters": self.parameters,
            "shared_parameters": self.shared,
            "macs": self.macs,
            "flops": self.flops,
            "bias_adds": self.bias_adds,
            "activation_bytes": self.activation_bytes,
            "receptive_field": list(self.receptive_field),
            "whole_input": list(self.whole),
            "stride": [float(value) for value in self.stride],
            "offset": [float(value) for value in self.offset],
            "exact": self.exact,
        }


def rows_of(trace: Trace, layouts: dict[int, Layout], sizes: dict[str, int], axes: tuple[int, ...]) -> list[Row]:
    """The rows of a trace; `sizes` are the parameters' numbers of values, `axes` the input's sizes along its axes."""
    counted: set[str] = set()
    rows = []
    for place, operation in enumerate(trace.operations):
        if operation.operator is None:
            continue
        macs, bias_adds = macs_and_bias(trace, operation)
        output = next((value for value in operation.outputs if value in layouts), None)
        if output is None and not macs:  # what is done to parameters alone has a row only where it is work
            continue
        fields = layouts[output].fields if output is not None else ()
        used = frozenset[str]().union(*(trace.values[value].parameters for value in operation.inputs))
        rows.append(
            Row(
                name=operation.module,
                operator=operator_name(trace, operation),
                detail=detail(trace, operation),
                input_shapes=tuple(
                    trace.values[value].shape[1:] for value in operation.inputs if trace.values[value].from_input
                ),
                output_shape=trace.values[operation.outputs[0] if output is None else output].shape[1:],
                parameters=sum(sizes[name] for name in used - counted),
                shared=sum(sizes[name] for name in used & counted),
                macs=macs,
                bias_adds=bias_adds,
                activation_bytes=new_bytes(trace, operation),
                fields=fields,
                whole=tuple(field.covers(size) for field, size in zip(fields, axes, strict=False)),
                known=is_known(operation),
                exact=output is None or layouts[output].exact,
                moves=operation.name in MOVES,
                operation=place,
            )
        )
        counted |= used
    return rows


def new_bytes(trace: Trace, operation: Operation) -> int:
    """Bytes of the outputs that are not views of, or the same as, what was there before."""
    before = {trace.values[value].storage for value in operation.inputs}
    made = {trace.values[value].storage: trace.values[value].size for value in operation.outputs}
    return sum(size for storage, size in made.items() if storage not in before)
