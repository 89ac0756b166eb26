"""The order of samples in an epoch: a pure function of seed and epoch, position by position.

A sampler knows nothing of batches, threads or ranks. The samples at any positions are computed, so resuming at step
1,000,000 costs what step 0 costs, and any number of workers sees the same order.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.rng import permute

__all__ = [
    "BlockRandomSampler",
    "ClassBalancedSampler",
    "RandomSampler",
    "RepeatedAugmentationSampler",
    "Sampler",
    "choose_sampler",
]

GROUP = 16  # samples

Indices = NDArray[np.int64]


class Sampler(Protocol):
    """Which sample is at each position of an epoch."""

    @property
    def size(self) -> int:
        """Positions in an epoch."""

    def records(self, positions: Indices, epoch: int) -> Indices:
        """The samples at these positions; (N,) in 0..size-1 -> (N,)."""

    def times(self, positions: Indices, epoch: int) -> Indices:
        """How often each of these samples has come before in the epoch, to augment it differently; (N,) -> (N,)."""


class Once:
    """A sampler in which no sample comes twice in an epoch."""

    __slots__ = ()

    def times(self, positions: Indices, epoch: int) -> Indices:
        return np.zeros(len(positions), np.int64)


@dataclass(frozen=True, slots=True)
class RandomSampler(Once):
    """Every sample once, in a uniformly random order: right for data in memory.

    >>> sorted(RandomSampler(5, seed=0).records(np.arange(5), epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """

    size: int
    seed: int

    def records(self, positions: Indices, epoch: int) -> Indices:
        return permute(positions, self.size, self.seed, epoch)


@dataclass(frozen=True, slots=True)
class BlockRandomSampler(Once):
    """Every sample once, in an order that reads blocks of neighbours together: right for shards that are streamed.

    The blocks are shuffled, and `window` of them at a time are mixed sample by sample. While a window is read, only its
    blocks are touched, so the system's cache holds them. A batch then draws from `window` blocks instead of the whole
    set. If samples are in random order in their shards, this changes nothing; if they are sorted by class, a batch sees
    about `window` runs of one class. The remainder beyond whole blocks joins the last window, and differs between
    epochs, since the first block begins at another sample in each epoch.
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


class ClassBalancedSampler:
    """As many positions as there are samples, shared among the classes; samples of rare classes come several times.

    A class with n of the N samples gets a share in proportion to n ** power: equal shares at 0, its own share at 1,
    between them at 0.5. Within its class, every sample comes equally often, give or take one.
    """

    def __init__(self, labels: Indices, seed: int, power: float = 0.0) -> None:
        self.size, self.seed = len(labels), seed
        self.members = [np.flatnonzero(labels == k) for k in np.unique(labels)]
        weights = np.array([len(rows) ** power for rows in self.members], np.float64)
        ends = np.round(np.cumsum(weights) / weights.sum() * self.size)
        self.starts = np.concatenate([[0], ends]).astype(np.int64)

    def records(self, positions: Indices, epoch: int) -> Indices:
        class_of, rounds, ranks = self.places(positions, epoch)
        found = np.empty_like(ranks)
        for k, turn in np.unique(np.stack([class_of, rounds], axis=1), axis=0):
            here, rows = (class_of == k) & (rounds == turn), self.members[k]
            found[here] = rows[permute(ranks[here], len(rows), self.seed, epoch, f"class {k}, turn {turn}")]
        return found

    def times(self, positions: Indices, epoch: int) -> Indices:
        return self.places(positions, epoch)[1]

    def places(self, positions: Indices, epoch: int) -> tuple[Indices, Indices, Indices]:
        """The class at each position, how often all its samples have come before, and the place in this turn."""
        slots = permute(positions, self.size, self.seed, epoch)
        class_of = np.searchsorted(self.starts, slots, side="right") - 1
        sizes = np.array([len(rows) for rows in self.members])[class_of]
        return class_of, *np.divmod(slots - self.starts[class_of], sizes)


@dataclass(frozen=True, slots=True)
class RepeatedAugmentationSampler:
    """Each sample `repeats` times, close together, so that a batch shows it under several augmentations.

    An epoch keeps its length, and so covers 1/`repeats` of the samples; in `repeats` epochs, each sample has come as
    often as the inner sampler brings it. Samples take turns in groups of 16, rotated by one each time, so neighbours,
    which may be mixed, are other samples each time.
    Sources: Hoffer et al. 2020, "Augment your batch"; Berman et al. 2019, "MultiGrain" (repeated augmentation).

    >>> order = RepeatedAugmentationSampler(RandomSampler(4, seed=0), repeats=2)
    >>> order.records(np.arange(4), epoch=0), order.times(np.arange(4), epoch=0)
    (array([2, 0, 3, 1]), array([0, 0, 0, 0]))
    """

    sampler: Sampler
    repeats: int

    @property
    def size(self) -> int:
        return self.sampler.size

    def records(self, positions: Indices, epoch: int) -> Indices:
        places, _ = self.places(positions, epoch)
        return self.sampler.records(places, epoch // self.repeats)

    def times(self, positions: Indices, epoch: int) -> Indices:
        places, times = self.places(positions, epoch)
        return self.sampler.times(places, epoch // self.repeats) * self.repeats + times

    def places(self, positions: Indices, epoch: int) -> tuple[Indices, Indices]:
        """Positions in the inner sampler, whose epoch lasts `repeats` of these, and how often they came before."""
        place = epoch % self.repeats * self.size + np.asarray(positions, np.int64)
        group, inner = np.divmod(place, GROUP * self.repeats)
        length = np.minimum(GROUP, self.size - group * GROUP)
        times, slot = np.divmod(inner, length)
        return group * GROUP + (slot + times) % length, times


def choose_sampler(
    labels: Indices, seed: int, *, balance: float = 1.0, repeats: int = 1, block_size: int | None = None
) -> Sampler:
    """The sampler of a training split, whose labels are (N,).

    Below 1, `balance` is the power of class sizes in a `ClassBalancedSampler`; `block_size` is that of neighbours that
    are best read together, as in shards that are streamed.

    >>> choose_sampler(np.zeros(5, np.int64), seed=0, repeats=2)
    RepeatedAugmentationSampler(sampler=RandomSampler(size=5, seed=0), repeats=2)
    """
    sampler: Sampler = RandomSampler(len(labels), seed)
    if balance < 1:
        sampler = ClassBalancedSampler(labels, seed, balance)
    elif block_size:
        sampler = BlockRandomSampler(len(labels), seed, block_size)
    return sampler if repeats == 1 else RepeatedAugmentationSampler(sampler, repeats)
