"""One network in several processes, whose gradients are averaged while they are computed."""

from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed import GradBucket  # type: ignore[attr-defined]
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from neocog.training.distributed.sync_batch_norm import convert_batch_norms
from neocog.training.distributed.world import World

__all__ = ["distribute"]


def distribute(
    model: nn.Module,
    world: World,
    *,
    sync_batch_norm: bool = True,
    bf16_gradients: bool = False,
    bucket_mb: float = 25,
) -> nn.Module:
    """A callable like the model, through which `backward` leaves the same gradient in all processes.

    The gradient is the average over processes; `scaled_loss` makes it that of the global batch. All begin with the
    first process's weights. The model itself is changed in its batch norms alone, which compute with the statistics of
    the global batch (see `convert_batch_norms`); save, evaluate and optimise it, not what is returned. Gradients travel
    in buckets of `bucket_mb` mebibytes, with `bf16_gradients` as bfloat16: half the bytes, three digits less. A world
    of one gets the model back as it is.
    Source: Li et al. 2020, "PyTorch Distributed", sections 3 and 4.
    """
    if world.size == 1:
        return model
    if sync_batch_norm:
        convert_batch_norms(model)
    wrapped = DistributedDataParallel(
        model,
        device_ids=[world.device] if world.device.type == "cuda" else None,
        forward_sync_buffers=not sync_batch_norm,
        gradient_as_bucket_view=True,
        bucket_cap_mb=bucket_mb,
    )
    if dist.get_backend() != "gloo":
        if bf16_gradients:
            wrapped.register_comm_hook(None, bf16_compress_hook)
    elif bf16_gradients or world.size > 2:  # two numbers have the same sum in either order
        wrapped.register_comm_hook(None, average_in_order(torch.bfloat16 if bf16_gradients else None))
    return wrapped


Hook = Callable[[object, GradBucket], torch.futures.Future[Tensor]]


def average_in_order(wire: torch.dtype | None) -> Hook:
    """A hook that averages gradients in the order of ranks, so that a resumed run has the same bits.

    gloo's own sums go round a ring, and begin, for each piece of a bucket, at another rank; and buckets are laid out
    anew after the first step, of a resumed run as well. Here each process gets its piece from all, adds up, and sends
    the mean to all: as many bytes as the ring. `wire` is the type in which they travel; sums are in float32 at least.
    """

    def average(_: object, bucket: GradBucket) -> torch.futures.Future[Tensor]:
        gradient, size = bucket.buffer(), dist.get_world_size()
        sent = F.pad(gradient.to(wire or gradient.dtype), (0, -len(gradient) % size))
        received = torch.empty_like(sent)
        dist.all_to_all_single(received, sent)
        first, *others = received.view(size, -1).to(torch.promote_types(gradient.dtype, torch.float32))
        total = first.clone()
        for part in others:
            total += part
        dist.all_gather_single(received, (total / size).to(sent.dtype))
        gradient.copy_(received[: len(gradient)])
        done: torch.futures.Future[Tensor] = torch.futures.Future()
        done.set_result(gradient)
        return done

    return average
