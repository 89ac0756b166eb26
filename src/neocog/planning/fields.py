"""What every value of a trace sees of the input."""

from functools import reduce

from neocog.planning.layout import Layout
from neocog.planning.rules import reads
from neocog.planning.trace import Trace

__all__ = ["first_axis", "layouts"]


def first_axis(trace: Trace) -> int:
    """The first dimension of the input, batch included, along which fields are followed: after batch and channels."""
    return min(2, len(trace.values[trace.input].shape) - 1)


def layouts(trace: Trace) -> dict[int, Layout]:
    """The layout of each value that the input is in."""
    found = {trace.input: Layout.of_input(trace.values[trace.input].shape, first_axis(trace))}
    for operation in trace.operations:
        for output, value in enumerate(operation.outputs):
            if not trace.values[value].from_input:
                continue
            shape = trace.values[value].shape
            parts = []
            for source, steps in reads(trace, operation, output):
                parts.append(reduce(lambda layout, step: step.forward(layout), steps, found[source]))
            if parts:
                found[value] = reduce(lambda a, b: a.join(b, shape), parts)
    return found
