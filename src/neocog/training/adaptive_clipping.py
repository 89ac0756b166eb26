"""Gradients kept in proportion to the weights that they change."""

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["clip_adaptively"]


@torch.no_grad()
def clip_adaptively(parameters: Iterable[Tensor], clipping: float = 0.01, eps: float = 1e-3) -> None:
    """Scale gradients down, in place, where they are large beside their weights; each unit of a layer on its own.

        g <- g * min(1, clipping * max(|w|, eps) / |g|)    for the weights w of a unit and their gradient g

    A unit is a row of a weight: all that one output channel is made of (in a transposed convolution, that one input
    channel goes into). Biases, gains and other vectors are one unit each, as in the authors' code. `eps` lets weights
    that are zero learn. Call it between `backward` and the optimiser's step. The paper leaves out the last layer; so
    does who does not pass it.
    Raises ValueError for a limit that is not above zero.
    Source: Brock et al. 2021, "High-performance large-scale image recognition without normalization", section 4.1,
    equation 3.

    >>> weight = torch.tensor([[3.0, 4.0], [3.0, 4.0]], requires_grad=True)
    >>> weight.grad = torch.tensor([[0.0, 0.04], [0.0, 1.0]])
    >>> clip_adaptively([weight])  # both rows have norm 5, so that gradients may have 0.05
    >>> weight.grad
    tensor([[0.0000, 0.0400], [0.0000, 0.0500]])
    """
    if clipping <= 0 or eps <= 0:
        raise ValueError(f"clipping and eps must be above 0. Received: clipping={clipping}, eps={eps}.")
    pairs = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    if not pairs:
        return
    gradients = [gradient for _, gradient in pairs]
    scales = [unit_norms(weight) for weight, _ in pairs]
    torch._foreach_clamp_min_(scales, eps)
    torch._foreach_mul_(scales, clipping)
    torch._foreach_div_(scales, [unit_norms(gradient) for gradient in gradients])  # infinite for a gradient of zero
    torch._foreach_clamp_max_(scales, 1.0)
    torch._foreach_mul_(gradients, scales)


def unit_norms(tensor: Tensor) -> Tensor:
    """The Euclidean norm of each row, in a shape that spreads over the rows; of all numbers in vectors."""
    rest = list(range(1, tensor.ndim)) if tensor.ndim > 1 else None
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=rest, keepdim=True)
    return norms
