"""Faults of a single signal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.doctor import kinds
from neocog.doctor.digest import digest
from neocog.doctor.facts import Facts

__all__ = ["examine_signal"]


def examine_signal(signal: NDArray[Any]) -> Facts:
    """Look at one signal, (channels, length), for values that are none, and for channels without any change."""
    facts = Facts()
    if not signal.size:
        facts.fault(kinds.SIGNAL_EMPTY)
        return facts
    channels = signal.reshape(1, -1) if signal.ndim < 2 else signal.reshape(len(signal), -1)
    missing = np.isnan(channels)
    if missing.all():
        facts.fault(kinds.ALL_NAN)
        return facts
    facts.size = (*channels.shape, 0)
    facts.digest = digest(signal, (signal.dtype.str, signal.shape))
    if np.isinf(channels).any():
        facts.fault(kinds.INFINITE, f"{np.count_nonzero(np.isinf(channels)):,} of {channels.size:,} values")
    empty = np.flatnonzero(missing.all(axis=1)).tolist()
    if empty:
        facts.fault(kinds.CHANNEL_NAN, f"channel {', '.join(map(str, empty))}")
    elif missing.any():
        facts.fault(kinds.PARTLY_NAN, f"{np.count_nonzero(missing):,} of {channels.size:,} values")
    known = {k: channels[k, ~missing[k]] for k in range(len(channels)) if k not in empty}
    flat = [k for k, values in known.items() if values.min() == values.max()]
    if len(flat) == len(known):
        facts.fault(kinds.CONSTANT_SIGNAL)
    elif flat:
        facts.fault(kinds.DEAD_CHANNEL, f"channel {', '.join(map(str, flat))}")
    return facts
