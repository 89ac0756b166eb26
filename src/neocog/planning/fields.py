"""Receptive fields of a trace: forward as the layout of every value, backward as the exact support of one unit."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from neocog.planning.dependencies import Marks, Step
from neocog.planning.layout import Layout
from neocog.planning.rules import dependencies
from neocog.planning.trace import Trace

__all__ = ["first_axis", "layouts", "support"]


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
            for source, steps in dependencies(trace, operation, output):
                parts.append(reduce(lambda layout, step: step.forward(layout), steps, found[source]))
            if parts:
                found[value] = reduce(lambda a, b: a.join(b, shape), parts)
    return found


def support(trace: Trace, value: int, place: Sequence[int | slice]) -> Marks:
    """Marks on the input, in its shape without the batch, of all that the element at this place reads.

    Zeros of padding read nothing, so at the border this is less than the field.
    """
    shape = trace.values[value].shape
    marks: dict[int, Marks] = {value: np.zeros(shape, bool)}
    marks[value][tuple(place)] = True
    for operation in reversed(trace.operations):
        for output, made in enumerate(operation.outputs):
            wanted = marks.pop(made, None)
            if wanted is None or not wanted.any():
                continue
            for source, steps in dependencies(trace, operation, output):
                read = backward(wanted, trace.values[source].shape, steps)
                marks[source] = marks[source] | read if source in marks else read
    nothing = np.zeros(trace.values[trace.input].shape, bool)
    found: Marks = marks.get(trace.input, nothing)[0]
    return found


def backward(marks: Marks, shape: tuple[int, ...], steps: Sequence[Step]) -> Marks:
    """Marks followed back through a chain of steps to an input of this shape."""
    shapes = [shape]
    for step in steps[:-1]:
        shapes.append(step.shape_after(shapes[-1]))
    for step, before in zip(reversed(steps), reversed(shapes), strict=True):
        marks = np.asarray(step.backward(marks, before))  # NumPy makes a number of what has no dimensions
    return marks
