"""Lookahead: slow weights that follow fast ones every few steps, around any optimiser."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from neocog.torch_private import foreach_copy_, foreach_lerp_
from neocog.training.optim.skipping import skip_if

__all__ = ["lookahead"]


@contextmanager
def lookahead(
    optimizer: torch.optim.Optimizer,
    step: int,
    steps: int,
    alpha: float = 0.5,
    *,
    gather: bool = False,
    skip: Tensor | None = None,
) -> Iterator[None]:
    """Put it around an optimiser's step number `step`, from 0; with `steps` 0 it does nothing.

        slow <- slow + alpha (W - slow),    W <- slow    after every `steps`-th step

    With `gather` it also does so now, such as at the end of an epoch, when the slow weights are to be validated. If
    `skip` is above 0 on the device, nothing changes. The slow weights start as the initial ones and live in the
    optimiser's state, as `slow`. Nothing else is kept, so a run resumes from its state and the step's number. Momenta
    stay as they are.
    Source: Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back", algorithm 1.

    >>> weight = torch.nn.Parameter(torch.tensor([0.0]))
    >>> optimizer = torch.optim.SGD([weight], lr=1.0)
    >>> for step in range(4):
    ...     weight.grad = torch.tensor([-1.0])
    ...     with lookahead(optimizer, step, steps=2):
    ...         optimizer.step()
    ...     print(weight.item(), end=" ")
    1.0 1.0 2.0 2.0
    """
    if not steps:
        yield
        return
    moved = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    # They enter the state after the step: optimisers set up a parameter whose state is empty.
    fresh = [(p, p.detach().clone()) for p in moved if "slow" not in optimizer.state.get(p, {})]
    yield
    for parameter, slow in fresh:
        optimizer.state[parameter]["slow"] = slow
    if (step + 1) % steps == 0 or gather:
        with skip_if(skip, optimizer):
            follow(optimizer, alpha)


@torch.no_grad()
def follow(optimizer: torch.optim.Optimizer, alpha: float) -> None:
    """Move the slow weights towards the fast ones, and set these back to them."""
    parameters = [p for p, state in optimizer.state.items() if "slow" in state]
    slow = [optimizer.state[parameter]["slow"] for parameter in parameters]
    if parameters:
        foreach_lerp_(slow, parameters, alpha)
        foreach_copy_(parameters, slow)
