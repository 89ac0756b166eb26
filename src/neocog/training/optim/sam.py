"""SAM: the gradient is taken at the worst point near the weights, so that training ends at a flat minimum."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

__all__ = ["ascend", "descend", "keep_buffers", "perturb_weights"]


@contextmanager
def perturb_weights(model: nn.Module, optimizer: torch.optim.Optimizer, rho: float) -> Iterator[None]:
    """Within this block the weights are where the loss is about the worst within `rho`; afterwards they are as before.

    Call it between the first backward and the optimiser's step, with the second forward and backward inside. Gradients
    start empty there, and running statistics are restored afterwards, too.
    Source: Foret et al. 2021, "Sharpness-aware minimization for efficiently improving generalization", algorithm 1.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(model.weight, 2.0)
    >>> optimizer = torch.optim.SGD(model.parameters())
    >>> (model.weight**2).sum().backward()
    >>> with perturb_weights(model, optimizer, rho=0.5):
    ...     (model.weight**2).sum().backward()
    >>> model.weight.item(), model.weight.grad.item()  # the slope of w^2 at 2.5
    (2.0, 5.0)
    """
    before = ascend(optimizer, rho)
    try:
        with keep_buffers(model):
            yield
    finally:
        descend(before)


@torch.no_grad()
def ascend(optimizer: torch.optim.Optimizer, rho: float) -> list[tuple[nn.Parameter, Tensor]]:
    """Move the weights up the gradient, and clear it; returns them with their values from before.

        W <- W + rho G / |G|    with the norm over all gradients together

    The values are kept rather than the move: adding and subtracting it would leave rounding errors.
    Source: Foret et al. 2021, equation 2 with p = 2.
    """
    moved = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    before = [(parameter, parameter.detach().clone()) for parameter in moved]
    scale = rho / get_total_norm([p.grad for p in moved]).clamp(min=torch.finfo(torch.float32).tiny)
    for parameter in moved:
        parameter.add_(parameter.grad * scale.to(parameter))
        parameter.grad = None
    return before


@torch.no_grad()
def descend(before: list[tuple[nn.Parameter, Tensor]]) -> None:
    """Restore what `ascend` has moved; gradients stay."""
    for parameter, value in before:
        parameter.copy_(value)


@contextmanager
def keep_buffers(model: nn.Module) -> Iterator[None]:
    """Within this block norms in training mode normalise by the batch as usual; their running statistics, and all other
    buffers, are restored at the end."""
    buffers = list(model.buffers())
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
