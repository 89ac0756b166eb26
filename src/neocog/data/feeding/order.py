"""In which order an epoch brings its records: a pure function of seed and epoch, position by position.

An order knows no batches, threads or ranks: whoever wants the records at some positions computes them, so resuming at
step 1,000,000 costs what step 0 costs, and every number of workers sees the same order.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.rng import permute

__all__ = ["Balanced", "BlockShuffled", "Order", "Shuffled"]

Indices = NDArray[np.int64]


class Order(Protocol):
    """Which record stands at each position of an epoch."""

    @property
    def size(self) -> int:
        """Positions in an epoch."""
        ...

    def records(self, positions: Indices, epoch: int) -> Indices:
        """The records at these positions; (N,) in 0..size-1 -> (N,)."""
        ...


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Every record once, in an order in which all are equally likely: right for what lies in memory.

    >>> sorted(Shuffled(5, seed=0).records(np.arange(5), epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """

    size: int
    seed: int

    def records(self, positions: Indices, epoch: int) -> Indices:
        return permute(positions, self.size, self.seed, epoch)


@dataclass(frozen=True, slots=True)
class BlockShuffled:
    """Every record once, in an order that reads blocks of neighbours together: right for what lies in shards.

    The blocks are shuffled, `window` of them at a time are mixed record by record. While a window is read, its blocks
    alone are touched, so the system's cache holds them. A batch then draws from `window` blocks of the whole set
    instead of from all: with records that lie in random order in their shards this changes nothing, with records
    sorted by class a batch sees about `window` runs of one class. What is left over by whole blocks joins the last
    window, and is other records in each epoch, since the first block begins at a record of the epoch's choice.
    """

    size: int
    seed: int
    block: int
    window: int = 64

    @property
    def num_blocks(self) -> int:
        return max(1, self.size // self.block)

    def records(self, positions: Indices, epoch: int) -> Indices:
        positions = np.asarray(positions, np.int64)
        per_window = self.block * self.window
        num_windows = max(1, self.num_blocks // self.window)
        window_of = np.minimum(positions // per_window, num_windows - 1)
        slots = np.empty_like(positions)  # positions again, mixed within their windows
        for window in np.unique(window_of):
            here = window_of == window
            start = window * per_window
            size = (self.size if window == num_windows - 1 else start + per_window) - start
            slots[here] = start + permute(positions[here] - start, size, self.seed, epoch, f"window {window}")
        place, inner = np.divmod(slots, self.block)
        left_over = place >= self.num_blocks
        block = np.where(left_over, place, 0)
        block[~left_over] = permute(place[~left_over], self.num_blocks, self.seed, epoch, "blocks")
        first = permute([0], self.size, self.seed, epoch, "first record")[0]
        return np.asarray((block * self.block + inner + first) % self.size)


class Balanced:
    """As many positions as there are records, shared among the classes; rare records come several times.

    A class with n of the N records gets a share in proportion to n ** power: equal shares at 0, its own at 1, between
    them at 0.5. Within its class every record comes equally often, give or take one.
    """

    def __init__(self, labels: Indices, seed: int, power: float = 0.0) -> None:
        self.size, self.seed = len(labels), seed
        self.members = [np.flatnonzero(labels == k) for k in np.unique(labels)]
        weights = np.array([len(rows) ** power for rows in self.members], np.float64)
        ends = np.round(np.cumsum(weights) / weights.sum() * self.size)
        self.starts = np.concatenate([[0], ends]).astype(np.int64)

    def records(self, positions: Indices, epoch: int) -> Indices:
        slots = permute(positions, self.size, self.seed, epoch)
        class_of = np.searchsorted(self.starts, slots, side="right") - 1
        found = np.empty_like(slots)
        for k in np.unique(class_of):
            rows, here = self.members[k], class_of == k
            rounds, ranks = np.divmod(slots[here] - self.starts[k], len(rows))
            places = np.empty_like(ranks)
            for turn in np.unique(rounds):
                now = rounds == turn
                places[now] = permute(ranks[now], len(rows), self.seed, epoch, f"class {k}, turn {turn}")
            found[here] = rows[places]
        return found
