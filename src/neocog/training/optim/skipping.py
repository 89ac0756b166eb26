"""Updates that change nothing if a flag on the device says so, which the host need not read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from neocog.torch_private import SkipsOnDevice, read_skip

__all__ = ["SkippableOptimizer", "skip_if"]


@contextmanager
def skip_if(flag: Tensor | None, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Within this block an optimiser's parameters and state stay as they are if `flag`, of shape (), is above 0.

    For updates that torch has not fused: theirs take such a flag. State that the block creates is then zero, which is
    where momenta and counts start. It costs a copy of parameters and state; without a flag nothing happens.
    """
    if flag is None:
        yield
        return
    with torch.no_grad():
        before = [(tensor, tensor.clone()) for tensor in held_tensors(optimizer)]
        known = {id(tensor) for tensor, _ in before}
        yield
        before += [(tensor, torch.zeros_like(tensor)) for tensor in held_tensors(optimizer) if id(tensor) not in known]
        for tensor, value in before:
            tensor.copy_(torch.where(flag > 0, value, tensor))


def held_tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All parameters of an optimiser and all tensors of its state."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return [*parameters, *slots]


class SkippableOptimizer(SkipsOnDevice, torch.optim.Optimizer):
    """An optimiser of ours, whose step changes nothing if GradScaler or the loop flags it on the device."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        assert closure is None, "each step has its gradients already"
        with skip_if(read_skip(self), self):
            self.step_groups()

    def step_groups(self) -> None:
        """Update all groups; a subclass says how."""
        raise NotImplementedError
