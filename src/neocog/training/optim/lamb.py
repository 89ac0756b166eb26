"""LAMB: Adam's direction, at a length that follows each layer's weights."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from neocog.torch_private import (
    foreach_add_,
    foreach_addcmul_,
    foreach_div,
    foreach_div_,
    foreach_lerp_,
    foreach_mul_,
    foreach_norm,
    foreach_sqrt_,
)
from neocog.training.optim.lars import trust_ratios, with_gradients
from neocog.training.optim.skipping import SkippableOptimizer

__all__ = ["LAMB"]


class LAMB(SkippableOptimizer):
    """Adam with decoupled decay and a rate for each layer.

        m <- b1 m + (1 - b1) G,    v <- b2 v + (1 - b2) G^2
        U = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + wd W
        W <- W - lr (|W| / |U|) U

    A group with `layerwise` false, for norms and biases, takes U at the plain rate.
    Source: You et al. 2020, "Large batch optimization for deep learning: training BERT in 76 minutes", algorithm 2,
    with the identity for phi.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "layerwise": True}
        super().__init__(params, defaults)

    def step_groups(self) -> None:
        for group in self.param_groups:
            weights, gradients = with_gradients(group)
            if weights:
                updates = self.adapt(weights, gradients, group)
                foreach_add_(updates, weights, alpha=group["weight_decay"])
                if group["layerwise"]:
                    lengths = torch.stack(foreach_norm(weights))
                    ratios = trust_ratios(lengths, torch.stack(foreach_norm(updates)))
                    foreach_mul_(updates, list(ratios.unbind()))
                foreach_add_(weights, updates, alpha=-group["lr"])

    def adapt(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """Adam's direction for each parameter; its means and step counts are updated."""
        for weight in weights:
            if "step" not in self.state[weight]:
                self.state[weight] |= {
                    "step": torch.zeros((), device=weight.device),
                    "exp_avg": torch.zeros_like(weight),
                    "exp_avg_sq": torch.zeros_like(weight),
                }
        steps, means, squares = (
            [self.state[weight][slot] for weight in weights] for slot in ("step", "exp_avg", "exp_avg_sq")
        )
        first, second = group["betas"]
        foreach_add_(steps, 1)
        foreach_lerp_(means, gradients, 1 - first)
        foreach_mul_(squares, second)
        foreach_addcmul_(squares, gradients, gradients, 1 - second)
        # The counts are float32; powers of betas near one need at least that, and the precision of the weights.
        counts = torch.stack(steps).to(torch.promote_types(torch.float32, weights[0].dtype))
        roots = foreach_div(squares, list((1 - second**counts).unbind()))
        foreach_sqrt_(roots)
        foreach_add_(roots, group["eps"])
        updates = foreach_div(means, list((1 - first**counts).unbind()))
        foreach_div_(updates, roots)
        return list(updates)
