"""Samplers: the order of samples in an epoch, a pure function of seed and epoch, position by position.

A sampler knows no batches, threads or ranks: the samples at any positions can be computed, so that resuming at step
1,000,000 costs as much as step 0, and any number of workers sees the same order.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.rng import permute

__all__ = ["BlockRandomSampler", "ClassBalancedSampler", "RandomSampler", "RepeatedAugmentationSampler", "Sampler"]

GROUP = 16  # samples

Indices = NDArray[np.int64]


class Sampler(Protocol):
    """Which sample is at each position of an epoch."""

    @property
    def size(self) -> int:
        """Positions in an epoch."""
        ...

    def rows(self, positions: Indices, epoch: int) -> Indices:
        """The samples at these positions; (N,) in 0..size-1 -> (N,)."""
        ...

    def repeats_before(self, positions: Indices, epoch: int) -> Indices:
        """How often each of these samples came before in the epoch, so that its augmentation differs; (N,) -> (N,)."""
        ...


class Once:
    """A sampler that draws no sample twice in an epoch."""

    __slots__ = ()

    def repeats_before(self, positions: Indices, epoch: int) -> Indices:
        return np.zeros(len(positions), np.int64)


@dataclass(frozen=True, slots=True)
class RandomSampler(Once):
    """Every sample once, all orders equally likely: for in-memory datasets.

    >>> sorted(RandomSampler(5, seed=0).rows(np.arange(5), epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """

    size: int
    seed: int

    def rows(self, positions: Indices, epoch: int) -> Indices:
        return permute(positions, self.size, self.seed, epoch)


@dataclass(frozen=True, slots=True)
class BlockRandomSampler(Once):
    """Every sample once, in an order that reads blocks of neighbours together: for shards.

    The blocks are shuffled, and `window` of them at a time are mixed sample by sample. While a window is read, only its
    blocks are touched, so that the system's cache holds them. A batch then draws from `window` blocks instead of the
    whole set: with samples in random order in their shards this changes nothing; with samples sorted by class, a batch
    sees about `window` runs of one class. The remainder after whole blocks joins the last window, and consists of
    other samples in each epoch, since the first block begins at a random sample.
    """

    size: int
    seed: int
    block: int
    window: int = 64

    @property
    def num_blocks(self) -> int:
        return max(1, self.size // self.block)

    def rows(self, positions: Indices, epoch: int) -> Indices:
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


class ClassBalancedSampler:
    """As many positions as samples, shared among the classes, so that samples of rare classes come several times.

    A class with n of the N samples gets a share in proportion to n ** power: equal shares at 0, its own at 1, between
    them at 0.5. Within its class every sample comes equally often, give or take one.
    """

    def __init__(self, labels: Indices, seed: int, power: float = 0.0) -> None:
        self.size, self.seed = len(labels), seed
        self.members = [np.flatnonzero(labels == k) for k in np.unique(labels)]
        weights = np.array([len(rows) ** power for rows in self.members], np.float64)
        ends = np.round(np.cumsum(weights) / weights.sum() * self.size)
        self.starts = np.concatenate([[0], ends]).astype(np.int64)

    def rows(self, positions: Indices, epoch: int) -> Indices:
        class_of, rounds, ranks = self.places(positions, epoch)
        found = np.empty_like(ranks)
        for k, turn in np.unique(np.stack([class_of, rounds], axis=1), axis=0):
            here, rows = (class_of == k) & (rounds == turn), self.members[k]
            found[here] = rows[permute(ranks[here], len(rows), self.seed, epoch, f"class {k}, turn {turn}")]
        return found

    def repeats_before(self, positions: Indices, epoch: int) -> Indices:
        return self.places(positions, epoch)[1]

    def places(self, positions: Indices, epoch: int) -> tuple[Indices, Indices, Indices]:
        """The class at each position, how often all of that class came before, and the place in this turn."""
        slots = permute(positions, self.size, self.seed, epoch)
        class_of = np.searchsorted(self.starts, slots, side="right") - 1
        sizes = np.array([len(rows) for rows in self.members])[class_of]
        return class_of, *np.divmod(slots - self.starts[class_of], sizes)


@dataclass(frozen=True, slots=True)
class RepeatedAugmentationSampler:
    """Each sample `repeats` times, close together, so that a batch holds several augmented copies of it.

    An epoch keeps its length, and so covers 1/`repeats` of the samples; in `repeats` epochs each sample has come as
    often as with the inner sampler. Samples take turns in groups of 16, each time moved on by one: neighbours, which
    may be mixed, are other samples each time.
    Sources: Hoffer et al. 2020, "Augment your batch"; Berman et al. 2019, "MultiGrain" (repeated augmentation).

    >>> sampler = RepeatedAugmentationSampler(RandomSampler(4, seed=0), repeats=2)
    >>> sampler.rows(np.arange(4), epoch=0), sampler.repeats_before(np.arange(4), epoch=0)
    (array([2, 0, 3, 1]), array([0, 0, 0, 0]))
    """

    inner: Sampler
    repeats: int

    @property
    def size(self) -> int:
        return self.inner.size

    def rows(self, positions: Indices, epoch: int) -> Indices:
        places, _ = self.places(positions, epoch)
        return self.inner.rows(places, epoch // self.repeats)

    def repeats_before(self, positions: Indices, epoch: int) -> Indices:
        places, before = self.places(positions, epoch)
        return self.inner.repeats_before(places, epoch // self.repeats) * self.repeats + before

    def places(self, positions: Indices, epoch: int) -> tuple[Indices, Indices]:
        """Positions of the inner sampler, whose epoch lasts `repeats` of these, and how often they came before."""
        place = epoch % self.repeats * self.size + np.asarray(positions, np.int64)
        group, inner = np.divmod(place, GROUP * self.repeats)
        length = np.minimum(GROUP, self.size - group * GROUP)
        times, slot = np.divmod(inner, length)
        return group * GROUP + (slot + times) % length, times
