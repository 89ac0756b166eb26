"""Which values of an input a network's outputs depend on, by brute force."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def measure_dependence(
    model: Callable[[Tensor], Tensor], shape: Sequence[int], seed: int = 0, at_once: int = 48
) -> NDArray[np.bool_]:
    """Change each value of the input in turn; (values of the input, *output shape), true where an output changes."""
    count = int(np.prod(shape))
    base = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        was = model(base)
        changed = torch.zeros(count, *was.shape[1:], dtype=torch.bool)
        for step in (0.7, -3.0):
            batch = base.repeat(count, *[1] * len(shape))
            batch.view(count, -1)[range(count), range(count)] += step
            now = torch.cat([model(part) for part in batch.split(at_once)])  # type: ignore[no-untyped-call]
            changed |= (now - was).abs() > 1e-10 * (1 + was.abs())
    return changed.numpy()
