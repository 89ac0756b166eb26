"""Batch norm over a batch that several processes share, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from neocog.torch_private import BatchNormBase, check_rank
from neocog.training.distributed.statistics import global_moments

__all__ = ["SyncBatchNorm", "convert_batch_norms", "unsynchronised"]

apart: ContextVar[bool] = ContextVar("apart", default=False)


def convert_batch_norms(model: nn.Module) -> None:
    """Let every batch norm of a model compute with the global batch, in place.

    Names, parameters, buffers and modes stay; the class becomes one derived from the original, as `repr` shows. In
    evaluation mode, frozen, or in a single process, a norm computes as before.

    >>> model = nn.Sequential(nn.BatchNorm2d(3))
    >>> convert_batch_norms(model)
    >>> model
    Sequential(
      (0): SyncBatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    )
    """
    for norm in model.modules():
        if isinstance(norm, BatchNormBase) and not isinstance(norm, SyncBatchNorm | nn.SyncBatchNorm):
            norm.__class__ = make_synchronised(type(norm))  # type: ignore[arg-type]


@contextmanager
def unsynchronised() -> Iterator[None]:
    """Within this block each process is on its own: for work that one process does alone, such as locating a NaN."""
    token = apart.set(True)
    try:
        yield
    finally:
        apart.reset(token)


class SyncBatchNorm(BatchNormBase):
    """Mixed into a batch norm, normalises by the statistics of all processes' values together.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Counts may differ by process. Statistics are float32 or wider; the moving variance is unbiased, by the global count.
    torch.nn.SyncBatchNorm runs on GPUs only. Shapes: (N, C, ...) -> (N, C, ...).
    Raises ValueError for a global count of one, which has no variance.
    """

    def forward(self, maps: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1) or apart.get():
            return super().forward(maps)
        check_rank(self, maps)
        outputs, mean, var, count = Normalise.apply(maps, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        if self.track_running_stats:
            self.follow(mean, var, count)
        return outputs  # type: ignore[no-any-return]

    @torch.no_grad()
    def follow(self, mean: Tensor, var: Tensor, count: Tensor) -> None:
        """One step of the moving averages."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_((var * (count / (count - 1))).to(self.running_var), share)


@cache
def make_synchronised(kind: type[BatchNormBase]) -> type[BatchNormBase]:
    """A kind of batch norm that is synchronised."""
    return type(f"Sync{kind.__name__}", (SyncBatchNorm, kind), {})


class Normalise(torch.autograd.Function):
    """Batch norm's forward and backward with one exchange each. With n values of a channel in all processes together

        x' = (x - mean) s    s = 1 / sqrt(var + eps)
        dx = weight s (dy - sum(dy) / n - x' sum(dy x') / n)    dweight = sum(dy x')    dbias = sum(dy)

    where the sums in dx are over all processes, and those in dweight and dbias over this one's values, since gradients
    of parameters are averaged later. Source: Ioffe & Szegedy 2015, section 3.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        mean, var, count = global_moments(maps)
        if (
            maps.numel() <= maps.shape[1] and count <= 1
        ):  # in this order: reading the count makes the host wait for a GPU
            raise ValueError(f"Batch norm needs two values of each channel. Received: maps {tuple(maps.shape)} alone.")
        outputs = F.batch_norm(maps, mean, var, as_type(weight, mean), as_type(bias, mean), eps=eps)
        ctx.save_for_backward(maps, weight, mean, var, count)
        ctx.eps, ctx.has_bias = eps, bias is not None
        ctx.mark_non_differentiable(mean, var, count)
        return outputs, mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, var, count = ctx.saved_tensors
        scale = torch.ones_like(mean) if weight is None else weight.to(mean)
        # With running statistics it sums over the given values, all in one pass.
        _, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad, maps, scale, mean, var, None, None, False, ctx.eps, [False, True, True]
        )
        grad_maps = None
        if ctx.needs_input_grad[0]:
            sums = torch.stack([grad_bias, grad_weight])
            dist.all_reduce(sums)
            mean_grad, mean_dot = sums / count
            inverse = (var + ctx.eps).rsqrt()
            slope = mean_dot * inverse
            offsets = [along(maps, each) for each in (mean * slope - mean_grad, -slope, scale * inverse)]
            grad_maps = ((torch.addcmul(offsets[0], maps, offsets[1]) + grad) * offsets[2]).to(maps.dtype)
        return (
            grad_maps,
            None if weight is None else grad_weight.to(weight.dtype),
            grad_bias.to(mean if weight is None else weight) if ctx.has_bias else None,
            None,
        )


def along(maps: Tensor, values: Tensor) -> Tensor:
    """Values (C,) in a shape that broadcasts to maps (N, C, ...)."""
    return values.view(-1, *[1] * (maps.ndim - 2))


def as_type(values: Tensor | None, like: Tensor) -> Tensor | None:
    return None if values is None else values.to(like)
