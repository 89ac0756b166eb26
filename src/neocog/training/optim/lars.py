"""LARS: each layer moves in proportion to its weights, so that large batches can train at large rates."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from neocog.torch_private import (
    foreach_add,
    foreach_add_,
    foreach_mul_,
    foreach_norm,
    foreach_sub_,
)
from neocog.training.optim.skipping import SkippableOptimizer

__all__ = ["LARS", "trust_ratios", "with_gradients"]


class LARS(SkippableOptimizer):
    """Momentum with a rate for each layer.

        M <- m M + lr ratio (G + wd W),    W <- W - M,    ratio = trust |W| / (|G| + wd |W|)

    The rate scales what enters the momentum. A group with `layerwise` false, for norms and biases, has the ratio 1.
    Source: You, Gitman & Ginsburg 2017, "Large batch training of convolutional networks", algorithm 1, with the trust
    coefficient of equation 6.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "layerwise": True}
        super().__init__(params, defaults)

    def step_groups(self) -> None:
        for group in self.param_groups:
            weights, gradients = with_gradients(group)
            if weights:
                self.move(weights, gradients, group)

    def move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        """The update of one group."""
        for weight in weights:
            if "momentum_buffer" not in self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
        decay = group["weight_decay"]
        updates = foreach_add(gradients, weights, alpha=decay)
        if group["layerwise"]:
            lengths = torch.stack(foreach_norm(weights))
            slopes = torch.stack(foreach_norm(gradients))
            ratios = trust_ratios(group["trust"] * lengths, slopes + decay * lengths)
            foreach_mul_(updates, list(ratios.unbind()))
        foreach_mul_(momenta, group["momentum"])
        foreach_add_(momenta, updates, alpha=group["lr"])
        foreach_sub_(weights, momenta)


def trust_ratios(lengths: Tensor, changes: Tensor) -> Tensor:
    """Lengths over changes; 1 if either is zero, so that zero weights can learn. All of shape (num_layers,).

    The papers do not define it at zero; this follows the authors' code.

    >>> trust_ratios(torch.tensor([6.0, 0.0, 6.0]), torch.tensor([3.0, 3.0, 0.0]))
    tensor([2., 1., 1.])
    """
    return torch.where((lengths > 0) & (changes > 0), lengths / changes, 1.0)


def with_gradients(group: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters of a group that have a gradient, and these gradients."""
    parameters: list[nn.Parameter] = [parameter for parameter in group["params"] if parameter.grad is not None]
    return cast(list[Tensor], parameters), [cast(Tensor, parameter.grad) for parameter in parameters]
