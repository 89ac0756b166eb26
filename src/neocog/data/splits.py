"""Dividing a set that brings no splits: seeded, stratified, and by each record's own name.

Whether a record goes to training, validation or test depends on the records of its class and on its key, not on the
order in which files are found.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.data.record import Source, absent_classes, record_ids
from neocog.errors import DataError
from neocog.rng import uniform

__all__ = ["Splits", "divide", "keeps_test"]

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Splits:
    """Indices into a source; `test` is empty where the set has neither a test split nor was divided as a whole."""

    train: Indices
    val: Indices
    test: Indices
    notes: tuple[str, ...] = ()


def divide(source: Source, *, val_fraction: float, test_fraction: float, seed: int) -> Splits:
    """Train, validation and test parts of a source.

    The set's own splits are kept. Validation data is taken from training data where there is none; a set without any
    splits is divided in three. Each class gives its share, rounded, and keeps at least one record for training; where
    records come in groups, such as the moves of a game, whole groups are taken instead.
    Raises DataError where nothing is left to validate on.
    """
    splits = source.splits
    notes: list[str] = []
    train = splits.get("train", splits.get("all"))
    if train is None:
        raise DataError(f"Training needs a training split. {source.name} has only {', '.join(splits)}.")
    test = splits.get("test", np.empty(0, np.int64))
    if keeps_test(source):
        count = len(train)
        train, test = take(source, train, test_fraction, seed, "test")
        notes.append(f"{len(test):,} of {count:,} records are kept for the test, chosen by class and seed")
    if "val" in splits:
        val = splits["val"]
    else:
        train, val = take(source, train, val_fraction, seed, "val")
        notes.append(f"{len(val):,} training records validate, chosen by class and seed")
    if not val.size:
        few = "too few in each class" if getattr(source, "groups", None) is None else "too few or too large groups"
        raise DataError(
            f"Validation needs at least one record. {source.name} has {few} for a share of {val_fraction:g}. "
            "Raise --data.val_fraction, or add records."
        )
    drawn = {name: part for name, part in (("val", val), ("test", test)) if name not in splits and part.size}
    if source.task == "classification":
        notes += absent_classes(source.classes, {name: source.targets[part] for name, part in drawn.items()})
    return Splits(train, val, test, tuple(notes))


def keeps_test(source: Source) -> bool:
    """Whether a part of the training records is kept for the test: a set has no splits, or its test has no labels."""
    return "all" in source.splits or "test" in getattr(source, "unlabelled", ())


def take(source: Source, indices: Indices, fraction: float, seed: int, purpose: str) -> tuple[Indices, Indices]:
    """Split off a share of each class; both parts in the order of the source."""
    groups = getattr(source, "groups", None)
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
