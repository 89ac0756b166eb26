"""The elements of the input that one element of a value is made of, exactly: followed back through every operation."""

from collections.abc import Sequence

import numpy as np

from neocog.planning.reads import Marks, Step
from neocog.planning.rules import reads
from neocog.planning.trace import Trace

__all__ = ["support"]


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
            for source, steps in reads(trace, operation, output):
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
