"""Adaptive gradient clipping: gradients stay in proportion to the weights that they change."""

from collections.abc import Iterable

import torch
from torch import Tensor

from neocog.torch_private import foreach_clamp_max_, foreach_clamp_min_, foreach_div_, foreach_mul_

__all__ = ["clip_adaptively"]


@torch.no_grad()
def clip_adaptively(parameters: Iterable[Tensor], clipping: float = 0.01, eps: float = 1e-3) -> None:
    """Scale gradients down, in place, if they are large beside their weights; each unit of a layer by itself.

        g <- g * min(1, clipping * max(|w|, eps) / |g|)    for the weights w of a unit and their gradient g

    A unit is a row of a weight: everything that makes one output channel (in a transposed convolution, everything that
    one input channel feeds). Biases, gains and other vectors are one unit each, as in the authors' code. `eps` lets
    zero weights learn. Call it between `backward` and the optimiser's step. The paper leaves the last layer out: to do
    so, don't pass it.
    Raises ValueError if clipping or eps is not above zero.
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
    foreach_clamp_min_(scales, eps)
    foreach_mul_(scales, clipping)
    foreach_div_(scales, [unit_norms(gradient) for gradient in gradients])  # infinite for a gradient of zero
    foreach_clamp_max_(scales, 1.0)
    foreach_mul_(gradients, scales)


def unit_norms(tensor: Tensor) -> Tensor:
    """The Euclidean norm of each row, in a shape that broadcasts over the rows; one norm for a vector."""
    rest = list(range(1, tensor.ndim)) if tensor.ndim > 1 else None
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=rest, keepdim=True)
    return norms
