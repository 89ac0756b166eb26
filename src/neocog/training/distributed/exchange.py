"""Messages between processes: numbers and JSON, never pickle. In a single process they cost nothing.

Every function here is called by all processes, in the same order.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.training.distributed.world import World

__all__ = [
    "agree_stop",
    "barrier",
    "broadcast_buffers",
    "broadcast_json",
    "gather_json",
    "gather_logits",
    "my_rows",
    "on_first",
    "same_everywhere",
    "sum_everywhere",
]

T = TypeVar("T")


def barrier(world: World) -> None:
    """Wait for all processes."""
    if world.size > 1:
        dist.barrier(group=world.control)


def sum_everywhere(values: Sequence[float], world: World) -> list[float]:
    """The sums of these numbers over all processes, in float64, the same bits in each.

    >>> sum_everywhere([3, 0.5], World())
    [3.0, 0.5]
    """
    sums = torch.tensor(values, dtype=torch.float64)
    if world.size > 1:
        dist.all_reduce(sums, group=world.control)
    return sums.tolist()


def agree_stop(flag: int, world: World) -> int:
    """The largest of all processes' flags: with it a signal to one of them stops all at the same step.

    It also serves for everything that each process decides by its own clock, such as whether to save.
    """
    if world.size == 1:
        return int(flag)
    largest = torch.tensor([int(flag)])
    dist.all_reduce(largest, dist.ReduceOp.MAX, group=world.control)
    return int(largest.item())


def broadcast_json(value: Any, world: World) -> Any:
    """The first process's value in all, as JSON returns it; those of the others are ignored.

    >>> broadcast_json({"path": "runs/a", "shape": (3, 32)}, World())
    {'path': 'runs/a', 'shape': [3, 32]}
    """
    text = json.dumps(value).encode() if world.first else b""
    if world.size > 1:
        size = torch.tensor([len(text)])
        dist.broadcast(size, src=0, group=world.control)
        letters = as_tensor(text, int(size.item()))
        dist.broadcast(letters, src=0, group=world.control)
        text = letters.numpy().tobytes()
    return json.loads(text)


def gather_json(value: Any, world: World) -> list[Any]:
    """All processes' values in each, by rank, as JSON returns them."""
    text = json.dumps(value).encode()
    if world.size == 1:
        return [json.loads(text)]
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(world.size)]
    dist.all_gather(sizes, torch.tensor([len(text)]), group=world.control)
    longest = int(max(sizes).item())
    letters = [torch.zeros(longest, dtype=torch.uint8) for _ in range(world.size)]
    dist.all_gather(letters, as_tensor(text, longest), group=world.control)
    return [json.loads(found[: int(size.item())].numpy().tobytes()) for found, size in zip(letters, sizes, strict=True)]


def as_tensor(text: bytes, length: int) -> Tensor:
    """Bytes as a tensor of this length, padded with zeros."""
    return torch.tensor(list(text.ljust(length, b"\0")), dtype=torch.uint8)


def on_first(work: Callable[[], T], world: World) -> T | None:
    """Let the first process do something once, such as writing a file, while the others wait for it.

    Returns its result, None elsewhere. An error of it ends all processes within `fail_together`.

    >>> on_first(lambda: 7, World())
    7
    """
    result = work() if world.first else None
    barrier(world)
    return result


def same_everywhere(value: Any, what: str, world: World) -> None:
    """Raises ConfigError in all processes if they differ in a value, such as the data's fingerprint.

    For a mapping, such as the settings by name, the error names the entries that differ.
    """
    found = gather_json(value, world)
    rank = next((rank for rank, other in enumerate(found) if other != found[0]), None)
    if rank is None:
        return
    one, other = found[0], found[rank]
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
        differing = "; ".join(f"{key} is {one.get(key)!r} and {other.get(key)!r}" for key in keys)
    else:
        differing = f"{one!r} and {other!r}"
    raise ConfigError(
        f"All processes need the same {what}.",
        received=differing,
        where=f"Processes 0 and {rank}",
        fix="Start all with the same command, version and data.",
    )


def broadcast_buffers(model: nn.Module, world: World) -> None:
    """The first process's buffers in all: without synchronised batch norm each has its own moving averages."""
    if world.size > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def my_rows(num_total: int, world: World) -> range:
    """The rows that this process scores; together the processes cover all, and their counts differ by at most one.

    >>> [my_rows(7, World(rank=rank, size=3)) for rank in range(3)]
    [range(0, 2), range(2, 4), range(4, 7)]
    """
    return range(world.rank * num_total // world.size, (world.rank + 1) * num_total // world.size)


def gather_logits(local: Tensor, num_total: int, world: World) -> Tensor:
    """The logits of all rows in order, on the CPU of every process.

    (n, ...) of `my_rows` in each process -> (num_total, ...). A process without rows passes an empty tensor of any
    shape. All processes assert that each has passed its rows.
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
