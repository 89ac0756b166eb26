"""Muon: filters follow their orthogonalised momentum, so that all directions move at the same rate."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from neocog.training.optim.skipping import SkippableOptimizer

__all__ = ["Muon", "matrix_parameters", "orthogonalise"]

QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(SkippableOptimizer):
    """Muon for groups with `muon` true, of matrices whose first axis counts filters; AdamW for all other groups.

        M <- m M + (1 - m) G,  W <- (1 - lr wd) W - 0.2 lr sqrt(max(rows, columns)) orthogonal((1 - m) G + m M)

    A filter bank (c_out, c_in, h, w) is the matrix (c_out, c_in h w). The factor gives updates the size of AdamW's, so
    that both take the same learning rate and weight decay. torch.optim.Muon, whose arithmetic this is, takes
    parameters of two axes only, hence no filters, and leaves all other parameters to a second optimiser.
    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the factor from Liu et al.
    2025, "Muon is scalable for LLM training", section 2.2.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "betas": betas, "eps": eps}
        super().__init__(groups, defaults)

    def step_groups(self) -> None:
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if group["muon"]:
                for parameter in moved:
                    self.step_matrix(parameter, group)
            elif moved:
                self.step_adamw(moved, group)

    def step_matrix(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        """Muon's update of one matrix."""
        gradient, state = cast(Tensor, parameter.grad), self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        matrix = gradient.lerp(momentum, group["momentum"]).flatten(1)
        update = orthogonalise(matrix).view_as(parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-0.2 * group["lr"] * max(matrix.shape) ** 0.5)

    def step_adamw(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """AdamW's update of all other parameters."""
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] |= {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            cast(list[Tensor], parameters),
            [cast(Tensor, parameter.grad) for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def orthogonalise(matrix: Tensor) -> Tensor:
    """About the nearest matrix with orthonormal rows or columns: all singular values end near one (0.7 to 1.2).

    Five steps of X <- a X + (b A + c A^2) X with A = X X^T, in bfloat16, which is enough; (R, C) -> (R, C).
    Source: Jordan et al. 2024; the polynomial is steep at zero and stays near one.
    """
    a, b, c = QUINTIC
    wide = matrix.bfloat16() if matrix.shape[0] <= matrix.shape[1] else matrix.bfloat16().T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return (wide if matrix.shape[0] <= matrix.shape[1] else wide.T).to(matrix.dtype)


def matrix_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The filters of all convolutions and dense layers with more than one filter per channel.

    The filters of depthwise convolutions, which share no input, and word vectors, of which a batch uses a few rows
    only, are left out.
    """
    return [
        parameter
        for module in model.modules()
        if not isinstance(module, nn.Embedding) and getattr(module, "groups", 1) == 1
        for parameter in module.parameters(recurse=False)
        if parameter.ndim >= 2 and parameter.requires_grad
    ]
