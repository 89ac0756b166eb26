"""What can be wrong with one signal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.doctor import kinds
from neocog.data.doctor.digest import digest
from neocog.data.doctor.facts import Facts

__all__ = ["examine_signal"]


def examine_signal(signal: NDArray[Any]) -> Facts:
    """Look at one signal, (channels, length), for values that are none, and for channels without any change."""
    facts = Facts()
    channels = signal.reshape(1, -1) if signal.ndim < 2 else signal.reshape(len(signal), -1)
    if not channels.size:
        facts.fault(kinds.SIGNAL_EMPTY)
        return facts
    numbers = np.isfinite(channels)
    if not numbers.any():
        facts.fault(kinds.ALL_NAN)
        return facts
    facts.size = (*channels.shape, 0)
    facts.digest = digest(np.ascontiguousarray(signal), (signal.dtype.str, signal.shape))
    if not numbers.all():
        facts.fault(kinds.PARTLY_NAN, f"{channels.size - np.count_nonzero(numbers):,} of {channels.size:,} values")
    flat = [k for k, (values, known) in enumerate(zip(channels, numbers, strict=True)) if constant(values[known])]
    if len(flat) == len(channels):
        facts.fault(kinds.CONSTANT_SIGNAL)
    elif flat:
        facts.fault(kinds.DEAD_CHANNEL, f"channel {', '.join(map(str, flat))}")
    return facts


def constant(values: NDArray[Any]) -> bool:
    return not values.size or bool(values.min() == values.max())
