"""Calls of torch's functions, counted: what a reader of a network's code sees as one operation."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

__all__ = ["NumberedCalls"]


class NumberedCalls(TorchFunctionMode):
    """Numbers the calls of torch's functions and of methods of tensors, in the order of execution.

    A call within another has no number of its own: `F.relu` is one call, whatever it calls in turn. A network gives
    the same numbers on the meta device and on real data, so a number stands for a place in its code, functional or not.

    >>> import torch
    >>> with NumberedCalls() as calls:
    ...     _ = torch.zeros(2).relu().sum()
    >>> calls.count
    3
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        number, self.count = self.count, self.count + 1
        return self.call(number, func, args, kwargs or {})

    def call(self, number: int, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call with this number; a subclass may do something else."""
        return func(*args, **kwargs)
