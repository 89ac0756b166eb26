"""The optimiser: its settings and its parameter groups."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from neocog.settings import SETTINGS
from neocog.torch_private import defer_compiler
from neocog.training.optim.groups import levels, split_groups, vectors
from neocog.training.optim.lamb import LAMB
from neocog.training.optim.lars import LARS
from neocog.training.optim.muon import Muon, matrix_parameters

__all__ = ["OptimizerConfig", "make_optimizer", "penalise", "set_rate", "start_momenta"]

Beta = Annotated[float, Field(ge=0, lt=1)]
FIELDS = {
    "sgd": {"momentum", "nesterov"},
    "adam": {"betas", "eps"},
    "adamw": {"betas", "eps"},
    "muon": {"momentum", "betas", "eps"},
    "lars": {"momentum", "trust"},
    "lamb": {"betas", "eps"},
}


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class OptimizerConfig:
    """How weights follow gradients."""

    name: Literal["sgd", "adam", "adamw", "muon", "lars", "lamb"] = "sgd"
    """The update rule. muon: orthogonalised momentum for convolution filters, AdamW for everything else; lars, lamb:
    SGD and AdamW with a rate per layer, for large batches."""
    lr: Annotated[float, Field(gt=0)] = 0.05
    """The highest learning rate of the schedule."""
    momentum: Beta = 0.9
    """Share of the previous update that is kept (sgd, muon, lars)."""
    nesterov: bool = True
    """Look ahead along the momentum (sgd)."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Decay of the means of gradients and of their squares (adam, adamw, muon, lamb)."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root of the second mean (adam, adamw, muon, lamb)."""
    trust: Annotated[float, Field(gt=0)] = 0.001
    """Largest update at rate 1, as a share of a layer's weights (lars)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2: sgd, adam and lars add this times the weights to the gradient; adamw, muon and lamb shrink the weights
    directly."""
    decay: Literal["all", "weights"] = "all"
    """Parameters that weight_decay acts on; weights: all but norms, biases and other vectors."""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """L1: adds this times the sign of the weights to the gradient."""
    bias_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the learning rate for norms, biases and other vectors."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor of the learning rate from each block to the one before it; the head has the full rate."""
    sam_rho: Annotated[float, Field(ge=0)] = 0.0
    """Take gradients at the worst point within this distance of the weights, in a second pass (SAM: 0.05); 0: off."""
    lookahead_steps: Annotated[int, Field(ge=0)] = 0
    """Every N steps, reset the weights to slow ones that follow them (Lookahead: 5); 0: off."""
    lookahead_alpha: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the way by which the slow weights follow."""

    def ignored(self) -> dict[str, str]:
        others = set().union(*FIELDS.values()) - FIELDS[self.name]
        reasons = {field: f"{self.name} has no {field}" for field in sorted(others)}
        if self.name == "sgd" and not self.momentum:
            reasons["nesterov"] = "optimizer.momentum is 0"
        if not self.weight_decay:
            reasons["decay"] = "optimizer.weight_decay is 0"
        if not self.lookahead_steps:
            reasons["lookahead_alpha"] = "optimizer.lookahead_steps is 0"
        return reasons


def make_optimizer(
    model: nn.Module, config: OptimizerConfig, hidden: Sequence[nn.Parameter] | None = None
) -> torch.optim.Optimizer:
    """The optimiser over all trainable parameters, with torch's fused update if it has one.

    `hidden` are the parameters before the classifier, by default all; Muon is for filters among them. Each group has
    its `lr_factor`, which `set_rate` uses.
    """
    defer_compiler()
    groups = make_groups(model, config, hidden)
    match config.name:
        case "sgd":
            nesterov = config.nesterov and config.momentum > 0
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                groups, config.lr, momentum=config.momentum, nesterov=nesterov, fused=True
            )
        case "adam":
            optimizer = torch.optim.Adam(groups, config.lr, config.betas, config.eps, fused=True)
        case "adamw":
            optimizer = torch.optim.AdamW(groups, config.lr, config.betas, config.eps, fused=True)
        case "muon":
            optimizer = Muon(groups, config.lr, config.momentum, betas=config.betas, eps=config.eps)
        case "lars":
            optimizer = LARS(groups, config.lr, config.momentum, trust=config.trust)
        case "lamb":
            optimizer = LAMB(groups, config.lr, config.betas, config.eps)
    set_rate(optimizer, config.lr)
    return optimizer


def make_groups(
    model: nn.Module, config: OptimizerConfig, hidden: Sequence[nn.Parameter] | None
) -> list[dict[str, Any]]:
    """Every trainable parameter in one group, with its factor of the rate and its decay; few groups mean few calls."""
    rows, level = vectors(model), levels(model)
    last = max(level.values(), default=0)
    inner = frozenset(level if hidden is None else hidden)
    matrices = frozenset(matrix_parameters(model)) & inner

    def traits(parameter: nn.Parameter) -> dict[str, Any]:
        is_row = parameter in rows
        factor = config.layer_decay ** (last - level[parameter]) * (config.bias_lr_factor if is_row else 1.0)
        decayed = config.decay == "all" or not is_row
        found = {"lr_factor": factor, "weight_decay": config.weight_decay if decayed else 0.0}
        if config.name == "muon":
            found["muon"] = parameter in matrices
        if config.name in ("lars", "lamb"):
            found["layerwise"] = not is_row
        return found

    return split_groups((p for p in model.parameters() if p.requires_grad), traits)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group this rate, times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]


def penalise(optimizer: torch.optim.Optimizer, l1: float) -> None:
    """Add the subgradient of `l1 * sum |w|` to every gradient."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=l1)


def start_momenta(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]) -> None:
    """Give SGD's momenta that are still missing the value zero, with which they start; other optimisers do so anyway.

    torch's fused SGD takes momenta for all parameters or for none, and leaves those of a first step that GradScaler
    skips uninitialised, to be used in the next.
    """
    if isinstance(optimizer, torch.optim.SGD) and optimizer.defaults["momentum"]:
        for parameter in parameters:
            if not optimizer.state[parameter]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
