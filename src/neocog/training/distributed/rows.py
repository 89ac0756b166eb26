"""Evaluation by several processes: each scores its part, every sample once, and all get all logits in order."""

import torch
import torch.distributed as dist
from torch import Tensor

from neocog.training.distributed.exchange import gather_json
from neocog.training.distributed.world import World

__all__ = ["gather_logits", "my_rows"]


def my_rows(num_total: int, world: World) -> range:
    """The rows that this process scores; those of all are all, and differ in number by at most one.

    >>> [my_rows(7, World(rank=rank, size=3)) for rank in range(3)]
    [range(0, 2), range(2, 4), range(4, 7)]
    """
    return range(world.rank * num_total // world.size, (world.rank + 1) * num_total // world.size)


def gather_logits(local: Tensor, num_total: int, world: World) -> Tensor:
    """The logits of all rows in order, on the CPU of every process.

    (n, ...) of `my_rows` in each process -> (num_total, ...). A process without rows brings an empty tensor of any
    shape. It is asserted, in all processes, that each has brought its rows.
    """
    parts = gather_json({"shape": list(local.shape), "type": str(local.dtype).removeprefix("torch.")}, world)
    counts = [part["shape"][0] for part in parts]
    due = [len(my_rows(num_total, World(rank=rank, size=world.size))) for rank in range(world.size)]
    assert counts == due, f"samples in = samples scored; by process {counts}, and not {due}"
    if world.size == 1:
        return local.cpu()
    full = next((part for part in parts if part["shape"][0]), parts[0])
    longest = local.new_zeros((max(counts), *full["shape"][1:]), dtype=getattr(torch, full["type"]), device="cpu")
    padded = [torch.empty_like(longest) for _ in counts]
    if len(local):
        longest[: len(local)] = local.cpu()
    dist.all_gather(padded, longest, group=world.control)
    return torch.cat([part[:count] for part, count in zip(padded, counts, strict=True)])
