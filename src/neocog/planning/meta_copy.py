"""Copies of a network that leave it alone: one without memory, and one that shares its weights."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from neocog.errors import PlanError
from neocog.planning.trace import first_line
from neocog.torch_private import keep_hooks, own_tensors, unwrap_compiled

__all__ = ["meta_copy", "shared_copy"]

WEIGHT_MAKERS = (WeightNorm, SpectralNorm, BasePruningMethod)
"""Hooks that are a part of the network: they make its weights from its parameters."""


def meta_copy(model: nn.Module) -> nn.Module:
    """A copy of the network on the meta device, in evaluation mode and without the hooks of the original.

    Nothing of the original is touched, and its weights are not copied: tensors that are shared in it are shared in
    the copy. Raises PlanError if it has lazy parameters, or holds something that can't be copied.
    """
    return copy_modules(model, on_meta)


def shared_copy(model: nn.Module) -> nn.Module:
    """A copy of the network's modules with the very tensors of the original, in evaluation mode and without its hooks.

    Modes, hooks and attributes of the copy can be changed without a trace in the original. Raises PlanError as
    `meta_copy` does.

    >>> net = nn.Sequential(nn.Linear(2, 1), nn.Dropout()).train()
    >>> copied = shared_copy(net)
    >>> copied[0].weight is net[0].weight, copied.training, net.training
    (True, False, True)
    """
    return copy_modules(model, lambda tensor: tensor)


def copy_modules(model: nn.Module, stand_in: Callable[[Tensor], object]) -> nn.Module:
    """A copy of all modules, with another tensor in the place of each."""
    if not isinstance(model, nn.Module):
        raise PlanError(
            "A plan is of an nn.Module.", received=f"{type(model).__name__}", fix="Wrap a function in a module."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise PlanError("A network compiled by torch.jit can't be followed. Plan the network that was compiled.")
    model = unwrap_compiled(model)
    stand_ins: dict[int, object] = {}
    for module in model.modules():
        for tensor in own_tensors(module):
            if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
                raise PlanError(
                    "Lazy layers have no shape before they have seen an input. "
                    "Run the network once on a batch, then plan."
                )
            if isinstance(tensor, Tensor):
                stand_ins[id(tensor)] = stand_in(tensor)
    try:
        copied = copy.deepcopy(model, stand_ins)
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise PlanError(
            f"{type(model).__name__} holds something that can't be copied: {first_line(error)}. "
            "Remove it from the network's attributes for the plan."
        ) from error
    for module in copied.modules():
        keep_hooks(module, WEIGHT_MAKERS)
    return copied.eval()


def on_meta(tensor: Tensor) -> Tensor:
    """A tensor of the same shape, type and role on the meta device."""
    bare = torch.empty_like(tensor.detach(), device="meta")
    return nn.Parameter(bare, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else bare
