"""The choice of whole groups, such as games or speakers, for a share of the samples."""

import itertools

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source, record_ids
from neocog.rng import uniform

__all__ = ["Indices", "choose_groups", "take_groups", "take_groups_by_class"]

TRIES = 8
"""Orders in which groups are offered; the best is kept."""
ENOUGH_GROUPS = 20_000
"""Groups times tries beyond which more tries take too long; among that many groups, one order is as good as another."""

Indices = NDArray[np.int64]


def take_groups(
    source: Source, indices: Indices, groups: NDArray[np.int64], fraction: float, seed: int, purpose: str
) -> tuple[Indices, Indices]:
    """Split off whole groups, such as games or speakers, whose samples are about the wanted share.

    Groups are offered in an order that the seed decides, and taken if the share comes nearer; one is always left.
    """
    names, firsts, counts = np.unique(groups, return_index=True, return_counts=True)
    draws = uniform(seed, epoch=0, samples=record_ids(source, indices[firsts]), purpose=f"split {purpose}")[:, 0]
    chosen: list[int] = []
    missing = fraction * len(indices)
    for place in np.argsort(draws, kind="stable")[:-1].tolist():
        if counts[place] / 2 <= missing:
            chosen.append(place)
            missing -= counts[place]
    taken = np.isin(groups, names[chosen])
    return indices[~taken], indices[taken]


def take_groups_by_class(
    source: Source, indices: Indices, groups: NDArray[np.int64], fraction: float, seed: int, purpose: str
) -> tuple[Indices, Indices]:
    """Split off whole groups, so that the share of each class is about the wanted one.

    A group is identified by the smallest of its samples' ids, in whatever order they come.
    """
    ids = record_ids(source, indices)
    names, group_of = np.unique(groups, return_inverse=True)
    least = np.full(len(names), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, group_of, ids)
    draws = uniform(seed, epoch=0, samples=least, purpose=f"split {purpose}")[:, 0]
    order = np.argsort(draws, kind="stable")
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    reserve = 2 if purpose == "test" and "val" not in source.splits else 1  # one validates, one trains
    chosen = choose_groups(place[group_of], source.targets[indices], fraction, reserve)
    taken = np.isin(place[group_of], chosen)
    return indices[~taken], indices[taken]


def choose_groups(
    groups: NDArray[np.int64], targets: NDArray[np.int64], fraction: float, reserve: int = 1
) -> list[int]:
    """The groups to take, from the group and the class of each sample; (N,) each. Earlier groups are preferred.

    Minimises the sum over classes of (share taken - fraction)**2, plus that of all samples. The last group with some
    class is never taken; of every class that allows it, one group is taken, and further ones while `reserve` remain.

    >>> choose_groups(np.array([0, 1, 2, 3, 4, 5]), np.array([0, 0, 0, 1, 1, 1]), 0.3)
    [0, 3]
    """
    pairs, counts = np.unique(np.stack([groups, targets]), axis=1, return_counts=True)
    classes, pairs[1] = np.unique(pairs[1], return_inverse=True)
    starts = np.searchsorted(pairs[0], np.arange(int(groups.max(initial=-1)) + 2))
    spans = [slice(start, stop) for start, stop in itertools.pairwise(starts.tolist())]
    contents = [dict(zip(pairs[1][span].tolist(), counts[span].tolist(), strict=True)) for span in spans]
    best: Choice | None = None
    tries = max(1, min(TRIES, ENOUGH_GROUPS // max(1, len(contents))))
    for first in (number * len(contents) // tries for number in range(tries)):
        choice = Choice(contents, [*range(first, len(contents)), *range(first)], len(classes), fraction)
        choice.cover()
        choice.fill(reserve)
        if best is None or choice.distance() < best.distance():
            best = choice
    return sorted(best.chosen) if best else []


class Choice:
    """Groups to choose from, each with its number of samples by class, and the chosen ones."""

    def __init__(self, groups: list[dict[int, int]], order: list[int], num_classes: int, fraction: float) -> None:
        self.groups, self.order, self.fraction = groups, order, fraction
        self.with_class: list[list[int]] = [[] for _ in range(num_classes)]
        """The groups that have a class, in order."""
        self.sizes = [0] * num_classes
        self.taken = [0] * num_classes
        """Samples by class: all, and those of chosen groups."""
        for group in order:
            for k, count in groups[group].items():
                self.with_class[k].append(group)
                self.sizes[k] += count
        self.left = list(map(len, self.with_class))
        """Groups by class that are not chosen."""
        self.size, self.num_taken = sum(self.sizes), 0
        self.chosen: set[int] = set()

    def distance(self) -> float:
        """How far the shares are from the wanted one, as `gain` counts it."""
        shares = [taken / size for taken, size in zip(self.taken, self.sizes, strict=True)]
        return sum((share - self.fraction) ** 2 for share in (*shares, self.num_taken / self.size))

    def cover(self) -> None:
        """Choose a group for each class that can spare one, those with the fewest groups first."""
        for k in sorted(range(len(self.sizes)), key=lambda k: len(self.with_class[k])):
            spare = [group for group in self.with_class[k] if self.can_spare(group)] if not self.taken[k] else []
            if spare:
                good = next((group for group in spare if self.gain(group) > 0), None)
                self.take(max(spare, key=self.gain) if good is None else good)

    def fill(self, reserve: int) -> None:
        """Choose groups while the shares come nearer, and give back those without which they are nearer."""
        for group in self.order:
            if group not in self.chosen and self.can_spare(group, reserve) and self.gain(group) > 0:
                self.take(group)
        for group in sorted(self.chosen):
            needed = any(self.taken[k] == count for k, count in self.groups[group].items())
            if not needed and self.gain(group, -1) > 0:
                self.take(group, -1)

    def can_spare(self, group: int, reserve: int = 1) -> bool:
        """Whether each class of a group has more than `reserve` groups that are not chosen."""
        return all(self.left[k] > reserve for k in self.groups[group])

    def gain(self, group: int, sign: int = 1) -> float:
        """How much nearer to the wanted one the shares come if a group is chosen; or, with -1, given back."""
        moves = [(self.taken[k], count, self.sizes[k]) for k, count in self.groups[group].items()]
        moves.append((self.num_taken, sum(self.groups[group].values()), self.size))
        before = after = 0.0  # each summed in this order, so that equal shares compare as equal
        for taken, count, size in moves:
            before += (taken / size - self.fraction) ** 2
            after += ((taken + sign * count) / size - self.fraction) ** 2
        return before - after

    def take(self, group: int, sign: int = 1) -> None:
        """Choose a group, or give it back."""
        for k, count in self.groups[group].items():
            self.taken[k] += sign * count
            self.left[k] -= sign
            self.num_taken += sign * count
        (self.chosen.add if sign > 0 else self.chosen.remove)(group)
