"""What processes tell each other, in numbers and JSON, never as pickle. A world of one talks to itself, at no cost.

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
    "on_first",
    "same_everywhere",
    "sum_everywhere",
]

T = TypeVar("T")


def barrier(world: World) -> None:
    """Wait until all are here."""
    if world.size > 1:
        dist.barrier(group=world.control)


def sum_everywhere(values: Sequence[float], world: World) -> list[float]:
    """The sums of these numbers over all processes, to float64, the same bits in each.

    >>> sum_everywhere([3, 0.5], World())
    [3.0, 0.5]
    """
    sums = torch.tensor(values, dtype=torch.float64)
    if world.size > 1:
        dist.all_reduce(sums, group=world.control)
    return sums.tolist()


def agree_stop(flag: int, world: World) -> int:
    """The largest of all processes' flags: with it a signal to one of them stops all at the same step.

    Serves for everything on which processes that look at their own clock would differ, such as whether to save.
    """
    if world.size == 1:
        return int(flag)
    largest = torch.tensor([int(flag)])
    dist.all_reduce(largest, dist.ReduceOp.MAX, group=world.control)
    return int(largest.item())


def broadcast_json(value: Any, world: World) -> Any:
    """The first process's value in all, as JSON gives it back; that of others is not looked at.

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
    """All processes' values in each, by rank, as JSON gives them back."""
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
    """Bytes as a tensor of this length, zeros behind them."""
    return torch.tensor(list(text.ljust(length, b"\0")), dtype=torch.uint8)


def on_first(work: Callable[[], T], world: World) -> T | None:
    """Let the first process do what is done once, such as writing a file, while the others wait for it.

    Its result, None elsewhere. An error of it ends all where they are `guarded`.

    >>> on_first(lambda: 7, World())
    7
    """
    result = work() if world.first else None
    barrier(world)
    return result


def same_everywhere(value: Any, what: str, world: World) -> None:
    """Raises ConfigError in all processes where they differ in a value, such as the data's fingerprint.

    Of a mapping, such as the settings by name, those entries are named that differ.
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
        f"All processes need the same {what}. Received, in process 0 and process {rank}: {differing}. "
        "Start all with the same command, version and data."
    )


def broadcast_buffers(model: nn.Module, world: World) -> None:
    """The first process's buffers in all: without synchronised batch norm each has moving averages of its own."""
    if world.size > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)
