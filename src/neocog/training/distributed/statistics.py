"""Mean and variance of each channel over the values of all processes."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from neocog.torch_private import BatchNormBase

__all__ = ["combine_statistics", "global_moments"]


def global_moments(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (C,) and the count () of each channel's values in all processes; (N, C, ...).

        n = sum(n_r)    mean = sum(n_r mean_r) / n    var = sum(n_r (var_r + (mean_r - mean)**2)) / n

    Source: Chan et al. 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    """
    mean, var = moments(maps)
    return combine_moments(*gather_moments(torch.cat([mean, var, mean.new_tensor([maps.numel() // len(mean)])])))


def gather_moments(own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means, variances (W, C) and counts (W, 1) of all W processes; this process's own are in one tensor (2C + 1,)."""
    found = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(found, own)
    num_channels = len(own) // 2
    means, variances, counts = torch.stack(found).tensor_split([num_channels, 2 * num_channels], dim=1)
    return means, variances, counts


def combine_moments(means: Tensor, variances: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance (C,) and count () of several populations together, of (W, C), (W, C), (W, 1)."""
    count = counts.sum()
    shares = counts / count
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0), count


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of this process's values, (N, C, ...), in float32 or wider; zeros if it has none."""
    zeros = torch.zeros(maps.shape[1], dtype=torch.promote_types(maps.dtype, torch.float32), device=maps.device)
    if not maps.numel():
        return zeros, zeros
    if maps.device.type == "cpu":  # one pass, twenty times as fast as var_mean; the zeros set the type of its sums
        mean, var = torch.batch_norm_update_stats(maps, zeros, zeros.clone(), 0.0)
        return mean, var
    axes = [axis for axis in range(maps.ndim) if axis != 1]
    var, mean = torch.var_mean(maps.to(zeros.dtype), dim=axes, correction=0)
    return mean, var


@torch.no_grad()
def combine_statistics(model: nn.Module, num_samples: int) -> None:
    """After `precise_bn` in each process over its part of the data: the statistics of all parts together, in all.

    `num_samples` is the size of this process's part. Frozen norms are left alone. In a single process nothing happens.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    for norm in measured_norms(model):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        own = torch.cat([norm.running_mean, norm.running_var, norm.running_mean.new_tensor([num_samples])])
        mean, var = combine_moments(*gather_moments(own))[:2]
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)


def measured_norms(model: nn.Module) -> list[BatchNormBase]:
    """The norms with statistics that are not frozen: a frozen norm stays in evaluation mode while the model trains."""
    modes = [(module, module.training) for module in model.modules()]
    if not model.training:
        model.train()
    norms = [module for module in model.modules() if isinstance(module, BatchNormBase) and module.training]
    for module, mode in modes:
        module.training = mode
    return [norm for norm in norms if norm.running_mean is not None]
