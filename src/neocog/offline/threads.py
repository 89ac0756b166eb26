"""How many threads compute a network beside those that decode its inputs.

torch divides each operation among its threads, which then wait for each other in a loop that takes all of a core. The
threads that decode small images need these cores more than a network of a few operations does.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["SMALL", "count_products", "one_thread"]

SMALL = 2**20
"""Products for one input, below which a network is computed by one thread: it takes no longer than decoding does."""


def count_products(model: nn.Module, inputs: Tensor) -> float:
    """The products of one input's numbers with weights, by the shapes of outputs; inputs are (1, *shape).

    Infinite if weights are used by anything but a module of their own with one output, which can't be counted so.

    >>> count_products(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 10)), torch.zeros(1, 3, 8, 8))
    10656
    """
    found: dict[nn.Module, float] = {}

    def count(module: nn.Module, _: object, outputs: object) -> None:
        weight = next(matrices(module))
        known = isinstance(outputs, Tensor) and isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
        size = (
            outputs.numel() // weight.shape[0] * weight.numel() if isinstance(outputs, Tensor) and known else math.inf
        )
        found[module] = found.get(module, 0) + size

    holders = [module for module in model.modules() if next(matrices(module), None) is not None]
    handles = [module.register_forward_hook(count) for module in holders]
    try:
        with torch.inference_mode():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return sum(found.values()) if len(found) == len(holders) else math.inf


def matrices(module: nn.Module) -> Iterator[Tensor]:
    """A module's own parameters that inputs are multiplied with, and not only scaled by."""
    return (parameter for parameter in module.parameters(recurse=False) if parameter.ndim > 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """torch computes in one thread within this block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
