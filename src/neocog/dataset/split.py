"""Dividing a set that brings no splits: seeded, stratified, and by each record's own name.

Whether a record goes to training, validation or test depends on the records of its class and on its key, not on the
order in which files are found. Where records come in groups, such as the windows of a recording, whole groups are
taken instead.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source, absent_classes, record_ids
from neocog.errors import DataError, some
from neocog.rng import uniform

__all__ = ["Splits", "check_test", "divide", "divides_by_class", "keeps_test"]

TRIES = 8
"""Orders in which groups are offered, of which the best is kept."""
ENOUGH_GROUPS = 20_000
"""Times tries, from which on more would take long; among so many groups one order is as good as another."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Splits:
    """Indices into a source; `test` is empty where the set has neither a test split nor was divided as a whole."""

    train: Indices
    val: Indices
    test: Indices
    notes: tuple[str, ...] = ()


def divide(
    source: Source, *, val_fraction: float, test_fraction: float, seed: int, groups_by_class: bool = True
) -> Splits:
    """Train, validation and test parts of a source.

    The set's own splits are kept. Validation data is taken from training data where there is none; a set without any
    splits is divided in three. Each class gives its share, rounded, and keeps at least one record for training; where
    records come in groups, such as the moves of a game, whole groups are taken instead, by class where each record has
    one: every class that has several groups gives one and keeps one. `groups_by_class` is False for what was divided
    by an earlier release, which did not look at the classes of groups.
    Raises DataError where nothing is left to validate on.
    """
    splits = source.splits
    notes: list[str] = []
    train = splits.get("train", splits.get("all"))
    if train is None:
        raise DataError(f"Training needs a training split. {source.name} has only {', '.join(splits)}.")
    test = splits.get("test", np.empty(0, np.int64))
    if keeps_test(source):
        whole = train
        train, test = take(source, whole, test_fraction, seed, "test", groups_by_class)
        notes.append(f"{len(test):,} of {len(whole):,} records are kept for the test{chosen_by(source)}")
        notes += absent_from(source, whole, test, "test")
    if "val" in splits:
        val = splits["val"]
    else:
        whole = train
        train, val = take(source, whole, val_fraction, seed, "val", groups_by_class)
        notes.append(f"{len(val):,} training records validate{chosen_by(source)}")
        notes += absent_from(source, whole, val, "val")
    if not val.size:
        raise too_few(source, val_fraction)
    return Splits(train, val, test, tuple(notes))


def keeps_test(source: Source) -> bool:
    """Whether a part of the training records is kept for the test: a set has no splits, or its test has no labels."""
    return "all" in source.splits or "test" in getattr(source, "unlabelled", ())


def check_test(source: Source, splits: Splits) -> None:
    """Raises DataError where whole groups were kept for the test, and all of its records are of one class."""
    kind = getattr(source, "group_kind", "groups")
    chosen = keeps_test(source) or kind == "folds"
    if not (chosen and divides_by_class(source) and splits.test.size and len(source.classes) > 1):
        return
    found = np.unique(source.targets[splits.test])
    if len(found) == 1:
        fix = "Choose another fold: --data.test_fold."
        if kind != "folds":
            fix = f"Add {kind} of other classes, three of each (training, validation, test), or give a test split."
        raise DataError(
            "A test needs at least two classes, since the accuracy of one alone says nothing. Received: "
            f"{len(splits.test):,} test records of {source.name}, all of {source.classes[found[0]]!r}; {kind} are not "
            f"divided. {fix}"
        )


def groups_of(source: Source) -> NDArray[np.int64] | None:
    """The number of each record's group, (N,); None where each record stands alone."""
    groups: NDArray[np.int64] | None = getattr(source, "groups", None)
    return groups


def divides_by_class(source: Source) -> bool:
    """Whether records come in groups, which are chosen by class."""
    return groups_of(source) is not None and source.task == "classification"


def chosen_by(source: Source) -> str:
    """How records are chosen, in words that follow what they are chosen for."""
    if groups_of(source) is None:
        return ", chosen by class and seed"
    kind = getattr(source, "group_kind", "groups")
    return f": whole {kind}, chosen by {'class and seed' if source.task == 'classification' else 'seed'}"


def too_few(source: Source, fraction: float) -> DataError:
    start = f"Validation needs at least one record. {source.name} has"
    if groups_of(source) is None:
        return DataError(
            f"{start} too few in each class for a share of {fraction:g}. Raise --data.val_fraction, or add records."
        )
    advice = "or add records"
    if source.task == "classification":
        kind = getattr(source, "group_kind", "groups")
        advice = (
            f"or add {kind}: these are not divided, and a class needs three of them, for training, validation and test"
        )
    return DataError(
        f"{start} too few or too large groups for a share of {fraction:g}. Raise --data.val_fraction, {advice}."
    )


def absent_from(source: Source, whole: Indices, part: Indices, split: str) -> list[str]:
    """Sentences on classes of which a part, taken from the `whole`, has no record; and why, where groups decide."""
    if source.task != "classification" or not part.size:
        return []
    groups = groups_of(source)
    if groups is None:
        return list(absent_classes(source.classes, {split: source.targets[part]}))
    kind = getattr(source, "group_kind", "groups")
    there, num_groups = np.unique(
        np.unique(np.stack([source.targets[whole], groups[whole]]), axis=1)[0], return_counts=True
    )
    numbers = dict(zip(there.tolist(), num_groups.tolist(), strict=True))
    taken = set(source.targets[part].tolist())
    absent = [k for k in range(len(source.classes)) if k not in taken]
    reasons = {
        f": of whole {kind}, each has one, which is kept for training": [k for k in absent if numbers.get(k) == 1],
        f": their {kind} are kept for training, as the last of some class": [
            k for k in absent if numbers.get(k, 0) > 1
        ],
        "": [k for k in absent if k not in numbers],
    }
    return [
        f"{split} has no sample of {some(repr(source.classes[k]) for k in classes)}{why}"
        for why, classes in reasons.items()
        if classes
    ]


def take(
    source: Source, indices: Indices, fraction: float, seed: int, purpose: str, groups_by_class: bool
) -> tuple[Indices, Indices]:
    """Split off a share of each class; both parts in the order of the source."""
    groups = groups_of(source)
    if groups is not None and groups_by_class and divides_by_class(source):
        return take_groups_by_class(source, indices, groups[indices], fraction, seed, purpose)
    if groups is not None:
        return take_groups(source, indices, groups[indices], fraction, seed, purpose)
    draws = uniform(seed, epoch=0, samples=record_ids(source, indices), purpose=f"split {purpose}")[:, 0]
    taken = np.zeros(len(indices), bool)
    targets = source.targets[indices]
    for k in np.unique(targets):
        members = np.flatnonzero(targets == k)
        count = min(round(fraction * len(members)), len(members) - 1)
        taken[members[np.argsort(draws[members], kind="stable")[:count]]] = True
    return indices[~taken], indices[taken]


def take_groups(
    source: Source, indices: Indices, groups: NDArray[np.int64], fraction: float, seed: int, purpose: str
) -> tuple[Indices, Indices]:
    """Split off whole groups, such as games or speakers, whose records are about the share that is asked for.

    They are gone through in an order that the seed decides, and taken where the share comes nearer; one is always left.
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
    """Split off whole groups, so that the share of each class is about what is asked for.

    A group is known by the least of its records' numbers, wherever they stand.
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
    """Which groups to take, from what group and class each record has; (N,) each. Earlier ones are preferred.

    What is made small is the sum over classes of (share taken - fraction)**2, and once more that of all records. A
    group is never taken that is the last one with some class; of every class that allows it, one is taken, and further
    ones as long as `reserve` stay.

    >>> choose_groups(np.array([0, 1, 2, 3, 4, 5]), np.array([0, 0, 0, 1, 1, 1]), 0.3)
    [0, 3]
    """
    pairs, counts = np.unique(np.stack([groups, targets]), axis=1, return_counts=True)
    classes, pairs[1] = np.unique(pairs[1], return_inverse=True)
    starts = np.searchsorted(pairs[0], np.arange(int(groups.max(initial=-1)) + 2))
    contents = [
        dict(zip(pairs[1][start:stop].tolist(), counts[start:stop].tolist(), strict=True))
        for start, stop in itertools.pairwise(starts.tolist())
    ]
    best: Choice | None = None
    tries = max(1, min(TRIES, ENOUGH_GROUPS // max(1, len(contents))))
    for number in range(tries):
        first = number * len(contents) // tries
        choice = Choice(contents, [*range(first, len(contents)), *range(first)], len(classes), fraction)
        choice.cover()
        choice.fill(reserve)
        if best is None or choice.distance() < best.distance():
            best = choice
    return sorted(best.chosen) if best else []


class Choice:
    """Groups to choose from, each with its records by class, and those that are chosen."""

    def __init__(self, groups: list[dict[int, int]], order: list[int], num_classes: int, fraction: float) -> None:
        self.groups, self.order, self.fraction = groups, order, fraction
        self.with_class: list[list[int]] = [[] for _ in range(num_classes)]
        """The groups that have a class, in order."""
        self.sizes = [0] * num_classes
        self.taken = [0] * num_classes
        """Records by class: all, and those of chosen groups."""
        for group in order:
            for k, count in groups[group].items():
                self.with_class[k].append(group)
                self.sizes[k] += count
        self.left = list(map(len, self.with_class))
        """Groups by class that are not chosen."""
        self.size, self.num_taken = sum(self.sizes), 0
        self.chosen: set[int] = set()

    def distance(self) -> float:
        """How far the shares are from what is asked for, as `gain` counts it."""
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
        """Choose groups as long as the shares come nearer, and give back those without which they are nearer."""
        for group in self.order:
            if group not in self.chosen and self.can_spare(group, reserve) and self.gain(group) > 0:
                self.take(group)
        for group in sorted(self.chosen):
            needed = any(self.taken[k] == count for k, count in self.groups[group].items())
            if not needed and self.gain(group, -1) > 0:
                self.take(group, -1)

    def can_spare(self, group: int, reserve: int = 1) -> bool:
        """Whether each class of a group has so many others that are not chosen."""
        return all(self.left[k] > reserve for k in self.groups[group])

    def gain(self, group: int, sign: int = 1) -> float:
        """By how much the shares come nearer to what is asked for when a group is chosen; or, with -1, given back."""
        wanted, moved = self.fraction, sum(self.groups[group].values())
        before = after = 0.0
        for k, count in self.groups[group].items():
            before += (self.taken[k] / self.sizes[k] - wanted) ** 2
            after += ((self.taken[k] + sign * count) / self.sizes[k] - wanted) ** 2
        before += (self.num_taken / self.size - wanted) ** 2
        after += ((self.num_taken + sign * moved) / self.size - wanted) ** 2
        return before - after

    def take(self, group: int, sign: int = 1) -> None:
        """Choose a group, or give it back."""
        for k, count in self.groups[group].items():
            self.taken[k] += sign * count
            self.left[k] -= sign
            self.num_taken += sign * count
        if sign > 0:
            self.chosen.add(group)
        else:
            self.chosen.remove(group)
