"""One network in several processes, whose gradients are averaged while they are computed.

The loss of a batch that several processes share is exact, however its samples are divided.
"""

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

__all__ = ["distribute", "loss_weight", "scaled_loss"]


def distribute(
    model: nn.Module,
    world: World,
    *,
    sync_batch_norm: bool = True,
    bf16_gradients: bool = False,
    bucket_mb: float = 25,
) -> nn.Module:
    """A callable like the model, through which `backward` leaves the same gradient in all processes.

    The gradient is the average over processes; `scaled_loss` makes it that of the global batch. All start with the
    first process's weights. The model itself changes in its batch norms only, which compute with the statistics of the
    global batch (see `convert_batch_norms`); save, evaluate and optimise the model rather than the returned callable.
    Gradients travel in buckets of `bucket_mb` mebibytes, with `bf16_gradients` as bfloat16: half the bytes and three
    digits less. In a single process the model is returned as it is.
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

    gloo's own sums go round a ring and start, for each piece of a bucket, at another rank; and buckets change their
    layout after the first step, also that of a resumed run. Here each process receives its piece from all, adds up, and
    sends the mean to all: as many bytes as the ring. `wire` is their type on the way; sums are float32 at least.
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


def scaled_loss(loss: Tensor, own: float, total: float, world: World) -> Tensor:
    """The loss whose gradient, averaged over processes, is that of the mean over the global batch.

        loss * own * W / total    so that    1/W sum_r grad(scaled_r) = grad(sum_r own_r loss_r / total)

    `own` is the divisor of this process's mean: its number of samples, or with class weights their sum (see
    `loss_weight`); `total` is its sum over all W processes (see `sum_everywhere`).

    >>> import torch
    >>> scaled_loss(torch.tensor(2.0), own=3, total=8, world=World(size=2))
    tensor(1.5000)
    """
    return loss if world.size == 1 else loss * (own * world.size / total)


def loss_weight(labels: Tensor, class_weights: Tensor | None = None) -> float:
    """The divisor of the mean loss of these targets.

    The sum of the weights of the labels (N,); or N if classes have no weights or targets are values or probabilities
    (N, K), over which torch takes the mean by sample. Source: torch.nn.CrossEntropyLoss.

    >>> import torch
    >>> loss_weight(torch.tensor([0, 1, 1])), loss_weight(torch.tensor([0, 1, 1]), torch.tensor([2.0, 0.5]))
    (3.0, 3.0)
    """
    if class_weights is None or labels.ndim > 1:
        return float(len(labels))
    return float(class_weights.to(labels.device)[labels].double().sum())
