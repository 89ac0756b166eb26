"""Channels that say nothing, or repeat another: what a pass over a data set shows about the channels of a layer.

Source of the running covariance: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", section 2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from neocog.errors import agree

__all__ = ["ALIKE", "ChannelFacts", "ChannelSums", "highest"]

ALIKE = 0.95  # correlation from which one channel repeats another
MOST_COMPARED = 4096  # channels; their correlations take 8 bytes for each pair


def highest(maps: Tensor) -> Tensor:
    """The largest value of each feature map; (N, C, *places) -> (N, C)."""
    return maps if maps.ndim == 2 else maps.amax(tuple(range(2, maps.ndim)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChannelFacts:
    """The channels of a layer as a data set shows them."""

    num_inputs: int
    low: Tensor
    """The smallest value of each channel at any place of any input, (C,)."""
    high: Tensor
    """The largest, (C,)."""
    correlation: Tensor | None
    """Between the channels' largest values over the inputs, (C, C); NaN for a constant one. None for more than 4,096
    channels."""
    threshold: float

    @property
    def dead(self) -> tuple[int, ...]:
        """Channels that are never above zero."""
        return tuple(torch.nonzero(self.high <= 0).flatten().tolist())

    @property
    def constant(self) -> tuple[int, ...]:
        """Channels that have one value everywhere; a dead channel behind a ReLU is one."""
        return tuple(torch.nonzero(self.high == self.low).flatten().tolist())

    @property
    def redundant(self) -> dict[int, tuple[int, float]]:
        """Channels that repeat an earlier one which is kept itself: channel -> that one, and their correlation."""
        found: dict[int, tuple[int, float]] = {}
        if self.correlation is None:
            return found
        table = self.correlation.nan_to_num(-1.0).numpy()
        kept: list[int] = []
        for channel in range(len(table)):
            row = table[channel, kept]
            best = int(row.argmax()) if kept else 0
            if kept and row[best] > self.threshold:
                found[channel] = (kept[best], float(row[best]))
            else:
                kept.append(channel)
        return found

    def of(self, channel: int) -> str:
        """One channel's fault in a sentence; empty if it has none.

        >>> ChannelFacts(num_inputs=9, low=torch.zeros(2), high=torch.tensor([0.0, 2.0]), correlation=None,
        ...              threshold=0.95).of(0)
        'Channel 0 is never above zero on 9 inputs: it is dead.'
        """
        if channel in self.dead:
            return f"Channel {channel} is never above zero on {self.num_inputs:,} inputs: it is dead."
        if channel in self.constant:
            return f"Channel {channel} has one value everywhere on {self.num_inputs:,} inputs."
        if channel in self.redundant:
            other, alike = self.redundant[channel]
            return f"Channel {channel} repeats channel {other}: their responses correlate by {alike:.2f}."
        return ""

    def __str__(self) -> str:
        count = len(self.high)
        parts = [
            agree("{n} (is|are) never above zero", len(self.dead)),
            agree("{n} (is|are) constant", len(self.constant)),
        ]
        if self.correlation is not None:
            repeat = agree("{n} (repeats|repeat) another one", len(self.redundant))
            parts.append(f"{repeat} (correlation above {self.threshold:g})")
        else:
            parts.append(f"more than {MOST_COMPARED:,} channels are not compared with each other")
        return f"Of {count:,} channels on {self.num_inputs:,} inputs, {', '.join(parts)}."


class ChannelSums:
    """Running extremes of each channel, and the covariance of their largest values."""

    def __init__(self, channels: int, threshold: float) -> None:
        self.threshold, self.num = threshold, 0
        self.low, self.high = torch.full((channels,), torch.inf), torch.full((channels,), -torch.inf)
        self.mean = torch.zeros(channels, dtype=torch.float64)
        compared = channels <= MOST_COMPARED
        self.products = torch.zeros(channels, channels, dtype=torch.float64) if compared else None

    def add(self, maps: Tensor, largest: Tensor) -> None:
        """Feature maps (n, C, *places), and the largest value of each, (n, C)."""
        lowest = maps if maps.ndim == 2 else maps.amin(tuple(range(2, maps.ndim)))
        self.low = torch.minimum(self.low, lowest.amin(0).float().cpu())
        self.high = torch.maximum(self.high, largest.amax(0).float().cpu())
        rows = largest.double().cpu()
        mean, n = rows.mean(0), len(rows)
        step = mean - self.mean
        if self.products is not None:
            centred = rows - mean
            self.products += centred.T @ centred + torch.outer(step, step) * (self.num * n / (self.num + n))
        self.mean = self.mean + step * (n / (self.num + n))
        self.num += n

    def facts(self) -> ChannelFacts:
        correlation = None
        if self.products is not None:
            spread = self.products.diagonal().clamp(min=0).sqrt()
            spread = torch.where(self.high == self.low, torch.nan, spread)
            correlation = self.products / torch.outer(spread, spread)
            correlation = torch.where(correlation.isinf(), torch.nan, correlation)
        return ChannelFacts(
            num_inputs=self.num, low=self.low.clone(), high=self.high.clone(), correlation=correlation,
            threshold=self.threshold,
        )  # fmt: skip
