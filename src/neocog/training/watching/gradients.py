"""How large gradients are, and which layers get none."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neocog.training.watching.stages import stage_of

__all__ = ["Size", "gradient_norms", "gradient_sizes", "without_gradient"]


class Size(NamedTuple):
    """Of one parameter's gradient."""

    norm: float
    """Euclidean."""
    largest: float
    """The largest magnitude: a norm of tiny numbers may round to zero, this one does not."""


@torch.no_grad()
def gradient_sizes(model: nn.Module) -> dict[str, Size]:
    """The size of each parameter's gradient, by the parameter's name.

    Parameters that have no gradient, as they are frozen or not in use, and sparse gradients are left out. The device is
    waited for once. Where parameters are spread over processes (DTensor), all of these must call it.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> model.weight.grad = torch.tensor([[3.0, -4.0]])
    >>> gradient_sizes(model)
    {'weight': Size(norm=5.0, largest=4.0)}
    """
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    found = {name: grad for name, grad in found.items() if grad.layout == torch.strided and grad.numel()}
    if not found:
        return {}
    grads = list(found.values())
    norms = torch._foreach_norm(grads, 2, dtype=torch.float32)
    largest = torch._foreach_norm(grads, math.inf, dtype=torch.float32)
    pairs = torch.stack([whole(size) for size in (*norms, *largest)]).view(2, -1).T.tolist()
    return {name: Size(norm, most) for name, (norm, most) in zip(found, pairs, strict=True)}


def whole(size: Tensor) -> Tensor:
    """A number that is spread over processes, put together."""
    gather = getattr(size, "full_tensor", None)
    return size if gather is None else gather()


def gradient_norms(sizes: Mapping[str, Size], stages: Iterable[str], other: str) -> dict[str, float]:
    """The Euclidean norm of each stage's gradient from those of its parameters, |g|**2 = sum |g_p|**2."""
    squares: dict[str, float] = {}
    stages = list(stages)
    for name, size in sizes.items():
        stage = stage_of(name, stages, other)
        squares[stage] = squares.get(stage, 0.0) + size.norm**2
    return {stage: math.sqrt(square) for stage, square in squares.items()}


def without_gradient(sizes: Mapping[str, Size]) -> list[str]:
    """The layers all of whose gradients are exactly zero, in the network's order.

    >>> without_gradient({"0.weight": Size(0, 0), "0.bias": Size(0, 0), "1.weight": Size(0, 0), "1.bias": Size(1, 1)})
    ['0']
    """
    layers: dict[str, bool] = {}
    for name, size in sizes.items():
        layer = name.rpartition(".")[0] or name
        layers[layer] = layers.get(layer, True) and size.largest == 0
    return [layer for layer, zero in layers.items() if zero]
