"""Batch-norm statistics of a whole population, in place of a moving average over the last batches."""

from collections.abc import Iterable
from functools import cache
from typing import Self

import torch
from torch import Tensor, nn

from neocog.torch_private import BatchNormBase

__all__ = ["batch_norms", "freeze_norms", "precise_bn"]


@torch.no_grad()
def precise_bn(model: nn.Module, batches: Iterable[Tensor], *, freeze: bool = False) -> None:
    """Set the statistics of every batch norm to the mean and variance of all its inputs in these batches.

        mean = sum(x) / n    var = sum((x - mean)**2) / n    over the n values of a channel in all batches together

    The moving average of training lags behind the weights and is noisy; this is neither. During the pass the weights
    don't change, and each norm normalises by the current batch, as in training. The inputs of a later layer therefore
    depend slightly on how the data are batched: use batches as large as in training. Everything else, such as dropout,
    is in evaluation mode. Afterwards all modules are in their previous mode; with `freeze` the norms stay in evaluation
    mode from then on (see `freeze_norms`).

    Frozen norms (in evaluation mode while the model trains) and norms that the pass does not reach keep their
    statistics. torch's own moving variance divides by n - 1.
    Raises ValueError without batches.
    Source: Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3.

    >>> norm = nn.BatchNorm1d(1)
    >>> precise_bn(norm, [torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0], [10.0]])])
    >>> norm.running_mean.item(), norm.running_var.item(), norm.training
    (4.0, 10.0, True)
    """
    modes = [(module, module.training) for module in model.modules()]
    if not model.training:
        model.train()  # frozen norms then stay in evaluation mode
    norms = [norm for norm in batch_norms(model) if norm.training and norm.track_running_stats]
    populations = [Population() for _ in norms]
    hooks = [norm.register_forward_pre_hook(met.add) for norm, met in zip(norms, populations, strict=True)]
    num_batches = 0
    try:
        model.eval()
        for norm in norms:
            norm.training, norm.track_running_stats = True, False  # normalise by the batch, and store nothing
        for inputs in batches:
            model(inputs)
            num_batches += 1
    finally:
        for hook in hooks:
            hook.remove()
        for norm in norms:
            norm.track_running_stats = True
        for module, mode in modes:
            module.training = mode
    if not num_batches:
        raise ValueError("Statistics need at least one batch. Received: none.")
    for norm, met in zip(norms, populations, strict=True):
        met.store(norm)
    if freeze:
        freeze_norms(model)


def freeze_norms(model: nn.Module) -> None:
    """Keep every batch norm in evaluation mode from now on, whatever `train` says.

    Its scale and shift keep learning. A frozen norm has a class derived from the original one, as `repr` shows; a
    `state_dict` does not, so that a network that is rebuilt must be frozen again.

    >>> model = nn.Sequential(nn.BatchNorm2d(3))
    >>> freeze_norms(model)
    >>> type(model[0]).__name__, model.train()[0].training
    ('FrozenBatchNorm2d', False)
    """
    for norm in batch_norms(model):
        if not isinstance(norm, Frozen):
            norm.__class__ = make_frozen(type(norm))  # type: ignore[arg-type]
        norm.eval()


def batch_norms(model: nn.Module) -> list[BatchNormBase]:
    """All batch norms of a network, in its order."""
    return [module for module in model.modules() if isinstance(module, BatchNormBase)]


class Frozen(nn.Module):
    """Mixed into a batch norm, keeps it in evaluation mode."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


@cache
def make_frozen(kind: type[BatchNormBase]) -> type[BatchNormBase]:
    """A kind of batch norm that is frozen."""
    return type(f"Frozen{kind.__name__}", (Frozen, kind), {})


class Population:
    """Mean and variance per channel of all inputs of a layer so far; each batch counts by its size."""

    def __init__(self) -> None:
        self.count = 0
        self.mean, self.var = torch.zeros(()), torch.zeros(())

    def add(self, norm: nn.Module, inputs: tuple[Tensor]) -> None:
        """One more batch, of shape (N, C, ...), on its way into the layer. Source: Chan et al. 1979."""
        (maps,) = inputs
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
        var, mean = torch.var_mean(maps, dim=[axis for axis in range(maps.ndim) if axis != 1], correction=0)
        count = maps.numel() // len(mean)
        share = count / (self.count + count)
        before, spread = self.mean.to(mean), self.var.to(var)
        self.mean = torch.lerp(before, mean, share)
        self.var = torch.lerp(spread, var, share) + share * (1 - share) * (mean - before).square()
        self.count += count

    def store(self, norm: BatchNormBase) -> None:
        """Write both into a layer's buffers, if there were inputs."""
        if self.count and norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.copy_(self.mean)
            norm.running_var.copy_(self.var)
