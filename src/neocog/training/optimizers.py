"""How weights follow gradients."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from neocog.settings import SETTINGS
from neocog.training.muon import Muon, matrix_parameters

__all__ = ["OptimizerConfig", "make_optimizer", "penalise"]

Beta = Annotated[float, Field(ge=0, lt=1)]
FIELDS = {
    "sgd": {"momentum", "nesterov"},
    "adam": {"betas", "eps"},
    "adamw": {"betas", "eps"},
    "muon": {"momentum", "betas", "eps"},
}


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class OptimizerConfig:
    """How weights follow gradients."""

    name: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    """The update rule; muon moves filters by orthogonal matrices, and all else as adamw does."""
    lr: Annotated[float, Field(gt=0)] = 0.05
    """The highest learning rate of the schedule."""
    momentum: Beta = 0.9
    """Share of the last update that is kept (sgd, muon)."""
    nesterov: bool = True
    """Look ahead along the momentum (sgd)."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Decay of the means of gradients and of their squares (adam, adamw, muon)."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root of the second mean (adam, adamw, muon)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2: sgd and adam add this times the weights to the gradient; adamw and muon shrink the weights directly."""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """L1: adds this times the sign of the weights to the gradient."""

    def ignored(self) -> dict[str, str]:
        others = set().union(*FIELDS.values()) - FIELDS[self.name]
        reasons = {field: f"{self.name} has no {field}" for field in sorted(others)}
        if self.name == "sgd" and not self.momentum:
            reasons["nesterov"] = "optimizer.momentum is 0"
        return reasons


def make_optimizer(
    model: nn.Module, config: OptimizerConfig, hidden: Sequence[nn.Parameter] | None = None
) -> torch.optim.Optimizer:
    """The optimiser over all trainable parameters, with torch's fused update: one call for all of them.

    `hidden` are the parameters before the classifier, by default all; Muon is for filters among them.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    decay = config.weight_decay
    match config.name:
        case "sgd":
            nesterov = config.nesterov and config.momentum > 0
            return torch.optim.SGD(
                parameters,
                config.lr,
                momentum=config.momentum,
                nesterov=nesterov,
                weight_decay=decay,
                fused=True,
            )
        case "adam":
            return torch.optim.Adam(parameters, config.lr, config.betas, config.eps, decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, config.lr, config.betas, config.eps, decay, fused=True)
        case "muon":
            inner = {id(p) for p in (parameters if hidden is None else hidden)}
            matrices = [p for p in matrix_parameters(model) if id(p) in inner]
            chosen = {id(p) for p in matrices}
            others = [p for p in parameters if id(p) not in chosen]
            return Muon(matrices, others, config.lr, config.momentum, decay, config.betas, config.eps)


def penalise(optimizer: torch.optim.Optimizer, l1: float) -> None:
    """Add the subgradient of `l1 * sum |w|` to every gradient."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=l1)
