"""An operation with the shapes of what it reads and writes: what a rule is asked about."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from neocog.planning.dependencies import Move, Step
from neocog.planning.layout import Layout
from neocog.planning.trace import Operation, Ref, Trace
from neocog.torch_private import schema_arguments

__all__ = ["Call", "Chain", "Rule"]

Chain = tuple[int, tuple[Step, ...]]
"""An input, and the steps from it to the output."""


class Call:
    """An operation with the shapes of what it reads and writes."""

    def __init__(self, trace: Trace, operation: Operation, output: int) -> None:
        self.trace, self.operation = trace, operation
        self.args = operation.args
        self.output = output  # which of its outputs
        self.shape = trace.values[operation.outputs[output]].shape

    def shape_of(self, ref: Ref) -> tuple[int, ...]:
        return self.trace.values[ref.value].shape

    def chain(self, ref: Any, *steps: Step) -> list[Chain]:
        """The chain from an argument, if the input is in it."""
        seen = isinstance(ref, Ref) and self.trace.values[ref.value].from_input
        return [(ref.value, steps)] if seen else []

    def replay(self, position: int = 0) -> Callable[[Tensor], Any]:
        """The operation as a function of one argument alone; the others are as they were."""
        operator = self.operation.operator
        assert operator is not None
        named = {name: value for name, value in self.operation.named.items() if value is not None}
        mine = schema_arguments(operator)[position].name
        return lambda tensor: operator(**{**named, mine: tensor * 1})  # may be written to in place

    def move(self, follow: Callable[[Layout], Layout | None], *, pick: bool = False) -> list[Chain]:
        """The chain of an operation that only moves elements; with `pick`, of one of its several outputs."""
        play = self.replay()
        return self.chain(self.args[0], Move((lambda x: play(x)[self.output]) if pick else play, follow, self.shape))


Rule = Callable[[Call], list[Chain]]
"""The chains from each input to the output that a call is about."""
