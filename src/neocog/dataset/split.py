"""Splitting a data set that brings no splits of its own: seeded, stratified, and keyed by each sample's name.

Which split a sample goes to depends on the samples of its class and on its key, not on the order in which files are
found. If samples come in groups, such as the windows of a recording, whole groups are taken instead.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.group_split import Indices, take_groups, take_groups_by_class
from neocog.dataset.record import Source, absent_classes, record_ids
from neocog.errors import DataError, some
from neocog.rng import uniform

__all__ = ["Splits", "check_test", "divide", "divides_by_class", "keeps_test", "limit_samples"]

FRAMED = ("segmentation", "multi-label segmentation", "detection", "signal segmentation")
"""Tasks whose samples are often the slices of a volume, the frames of a film, or parts of one image or recording."""
NUMBERED = re.compile(r"(.*?)(\d{1,9})(\D*)", re.DOTALL)
SHORTEST_SEQUENCE, SHORTEST_BLOCK, MOST_BLOCKS = 10, 4, 4


@dataclass(frozen=True, slots=True)
class Splits:
    """Indices into a source; `test` is empty if the set has no test split and none was held out."""

    train: Indices
    val: Indices
    test: Indices
    notes: tuple[str, ...] = ()


def divide(
    source: Source, *, val_fraction: float, test_fraction: float, seed: int, groups_by_class: bool = True
) -> Splits:
    """The training, validation and test splits of a source.

    The set's own splits are kept. If it has no validation split, validation samples are held out from training; if it
    has no splits at all, test samples are held out too. Each class gives its share, rounded, and keeps at least one
    sample for training. If samples come in groups, such as the moves of a game, whole groups are taken instead, by
    class if each sample has one: every class with several groups gives one and keeps one. `groups_by_class` is False
    for a set that an earlier release split, which ignored the classes of groups.
    Raises DataError if there is no training split, or nothing to validate on.
    """
    splits = source.splits
    notes: list[str] = []
    train = splits.get("train", splits.get("all"))
    if train is None:
        rule, fix = "Training needs a training split.", "Name a training split train, or give the data without splits."
        raise DataError(rule, received=f"only {', '.join(splits)}", where=source.name, fix=fix)
    test, val, choice = splits.get("test", np.empty(0, np.int64)), splits.get("val"), describe_choice(source, train)
    if keeps_test(source):
        whole = train
        train, test = take(source, whole, test_fraction, seed, "test", groups_by_class)
        notes.append(f"{len(test):,} of {len(whole):,} samples are held out for testing{choice}")
        notes += explain_absent(source, whole, test, "test")
    if val is None:
        whole = train
        train, val = take(source, whole, val_fraction, seed, "val", groups_by_class)
        notes.append(f"{len(val):,} training samples are held out for validation{choice}")
        notes += explain_absent(source, whole, val, "val")
    if not val.size:
        raise explain_no_validation(source, val_fraction)
    return Splits(train, val, test, tuple(notes))


def limit_samples(source: Source, indices: Indices, limit: int | None, seed: int) -> Indices:
    """About `limit` of these samples, in their order, each class by its share and with one sample at least.

    A smaller limit takes some of the samples that a larger one takes. With fewer samples, or no limit, all of them.
    """
    if limit is None or len(indices) <= limit:
        return indices
    draws = uniform(seed, epoch=0, samples=record_ids(source, indices), purpose="limit")[:, 0]
    classes = strata(source.targets[indices])
    kept = np.zeros(len(indices), bool)
    for k in np.unique(classes):
        members = np.flatnonzero(classes == k)
        count = max(1, round(limit * len(members) / len(indices)))
        kept[members[np.argsort(draws[members], kind="stable")[:count]]] = True
    return indices[kept]


def strata(targets: NDArray[Any]) -> NDArray[np.int64]:
    """The stratum of each sample: its class; of several labels the rarest that it has; (N, ...) -> (N,).

    A number to predict is stratified by fifths of its values, so that low and high ones are in each split; several
    numbers make one stratum, as do targets that are not in the array, such as masks.

    >>> strata(np.array([[True, True], [True, False], [False, False]])).tolist()
    [1, 0, -1]
    >>> strata(np.array([0.5, 3.0, 1.0, 2.0, 9.0])).tolist()
    [0, 3, 1, 2, 4]
    """
    if targets.dtype.kind == "f" and (targets.ndim == 1 or targets.shape[1] == 1):
        return fifths(targets.reshape(-1))
    if targets.ndim == 1:
        return targets
    if targets.dtype.kind == "f" and not np.isin(targets[~np.isnan(targets)], (0, 1)).all():
        return np.zeros(len(targets), np.int64)
    present = np.nan_to_num(targets.astype(np.float64)) > 0.5
    counts = np.where(present, present.sum(axis=0), np.iinfo(np.int64).max)
    return np.where(present.any(axis=1), counts.argmin(axis=1), -1)


def fifths(values: NDArray[Any]) -> NDArray[np.int64]:
    """The fifth of the values in which each is, -1 if it isn't known; equal values are in the same; (N,) -> (N,)."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, (0.2, 0.4, 0.6, 0.8))) if len(known) else values[:0]
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left")).astype(np.int64)


def keeps_test(source: Source) -> bool:
    """Whether test samples are held out from training: the set has no splits, or its test split has no labels."""
    return "all" in source.splits or "test" in getattr(source, "unlabelled", ())


def check_test(source: Source, splits: Splits) -> None:
    """Raises DataError if whole groups were held out for testing and all of them are of one class."""
    kind = getattr(source, "group_kind", "groups")
    chosen = keeps_test(source) or kind == "folds"
    if not (chosen and divides_by_class(source) and splits.test.size and len(source.classes) > 1):
        return
    found = np.unique(source.targets[splits.test])
    if len(found) == 1:
        rule = f"A test split needs at least two classes, and {kind} are never torn apart."
        received = f"{len(splits.test):,} test samples, all of class {source.classes[found[0]]!r}"
        fix = f"Add {kind} of other classes, three of each (training, validation, test), or give a test split."
        fix = "Choose another fold: --data.test_fold." if kind == "folds" else fix
        raise DataError(rule, received=received, where=source.name, fix=fix)


def read_groups(source: Source) -> NDArray[np.int64] | None:
    """The number of each sample's group, (N,); None if samples don't come in groups."""
    groups: NDArray[np.int64] | None = getattr(source, "groups", None)
    return groups


def divides_by_class(source: Source) -> bool:
    """Whether samples come in groups that are chosen by class."""
    return read_groups(source) is not None and source.task == "classification"


def describe_choice(source: Source, indices: Indices) -> str:
    """How held-out samples are chosen, to be appended to a sentence."""
    if read_groups(source) is None:
        if source.task in FRAMED and is_sequence(source, indices):
            return " in blocks of consecutive samples, as their numbers make one sequence"
        if source.targets.ndim == 2 and source.task == "multi-label":
            return ", chosen by rarest label and seed"
        if predicts_one(source):
            return ", spread over the values by seed"
        by_class = source.targets.dtype.kind != "f" and source.task not in FRAMED
        return ", chosen by class and seed" if by_class else ", chosen by seed"
    kind = getattr(source, "group_kind", "groups")
    return f": whole {kind}, chosen by {'class and seed' if source.task == 'classification' else 'seed'}"


def explain_no_validation(source: Source, fraction: float) -> DataError:
    """The error for a source whose classes or groups are too small to validate on."""
    rule, fix = "Validation needs at least one sample.", "Raise --data.val_fraction, or add samples."
    too_small = "too few samples in each class"
    if source.task == "classification" and not np.any(np.bincount(source.targets) > 1):
        return DataError(
            rule + " It can't be one that is trained on.", received="a single sample of each class", where=source.name,
            fix="Add samples: a class needs at least two, better dozens.",
        )  # fmt: skip
    if read_groups(source) is not None:
        too_small = "too few or too large groups"
        if source.task == "classification":
            kind = getattr(source, "group_kind", "groups")
            rule += f" {kind.capitalize()} are never torn apart."
            fix = f"Raise --data.val_fraction, or add {kind}: a class needs three, for training, validation and test."
    return DataError(rule, received=f"{too_small} for a share of {fraction:g}", where=source.name, fix=fix)


def explain_absent(source: Source, whole: Indices, part: Indices, split: str) -> list[str]:
    """Sentences on classes that a split taken from the `whole` lacks, with the reason if groups decide."""
    if source.task != "classification" or not part.size:
        return []
    groups = read_groups(source)
    if groups is None:
        return list(absent_classes(source.classes, {split: source.targets[part]}))
    kind = getattr(source, "group_kind", "groups")
    pairs = np.unique(np.stack([source.targets[whole], groups[whole]]), axis=1)
    num_groups = np.bincount(pairs[0], minlength=len(source.classes))
    absent = ~np.isin(np.arange(len(source.classes)), source.targets[part])
    reasons = (
        (num_groups == 1, f": all samples of such a class are in one of the {kind}, which is kept for training"),
        (num_groups > 1, f": all {kind} with such a class are kept for training, as the last of some class"),
        (num_groups == 0, ""),
    )
    found = [(some(repr(source.classes[k]) for k in np.flatnonzero(absent & which)), why) for which, why in reasons]
    return [f"{split} has no sample of {classes}{why}" for classes, why in found if classes]


def take(
    source: Source, indices: Indices, fraction: float, seed: int, purpose: str, groups_by_class: bool
) -> tuple[Indices, Indices]:
    """Split off a share of each class; the rest and the share, both in the order of the source."""
    groups = read_groups(source)
    if groups is not None:
        take_whole = take_groups_by_class if groups_by_class and divides_by_class(source) else take_groups
        return take_whole(source, indices, groups[indices], fraction, seed, purpose)
    if source.task in FRAMED and is_sequence(source, indices):
        return take_blocks(source, indices, fraction, seed, purpose)
    draws = uniform(seed, epoch=0, samples=record_ids(source, indices), purpose=f"split {purpose}")[:, 0]
    if predicts_one(source):
        return take_spread(indices, source.targets[indices].reshape(-1), draws, fraction)
    taken = np.zeros(len(indices), bool)
    targets = strata(source.targets[indices])
    for k in np.unique(targets):
        members = np.flatnonzero(targets == k)
        count = min(round(fraction * len(members)), len(members) - 1)
        taken[members[np.argsort(draws[members], kind="stable")[:count]]] = True
    return indices[~taken], indices[taken]


def predicts_one(source: Source) -> bool:
    """Whether one number is to be predicted for each sample."""
    return source.task == "regression" and len(source.classes) == 1


def take_spread(
    indices: Indices, values: NDArray[Any], draws: NDArray[np.float64], fraction: float
) -> tuple[Indices, Indices]:
    """Split off a share that is spread over the values: of neighbours by value, as many as one is taken of, one each.

    The draws, (N,), decide which. All but one sample may be taken, and at least one is if there are two.

    >>> take_spread(np.arange(6), np.array([5.0, 1, 9, 2, 7, 3]), np.arange(6) / 6, 1 / 3)[1].tolist()
    [0, 1]
    """
    count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
    taken = np.zeros(len(indices), bool)
    if count > 0:
        for neighbours in np.array_split(np.lexsort((draws, values)), count):
            taken[neighbours[draws[neighbours].argmin()]] = True
    return indices[~taken], indices[taken]


def is_sequence(source: Source, indices: Indices) -> bool:
    """Whether names number all images as one sequence, so that neighbours are probably alike: slices, frames, tiles."""
    if len(indices) < SHORTEST_SEQUENCE:
        return False
    parts = [NUMBERED.fullmatch(source.key(index)) for index in indices.tolist()]
    found = {(part[1], part[3]) for part in parts if part}
    return len(found) == 1 and all(parts) and len({int(part[2]) for part in parts if part}) == len(parts)


def take_blocks(source: Source, indices: Indices, fraction: float, seed: int, purpose: str) -> tuple[Indices, Indices]:
    """Split off a few blocks of consecutive files, spread over the sequence; each begins where the seed decides."""
    numbers = np.array([int(part[2]) for index in indices.tolist() if (part := NUMBERED.fullmatch(source.key(index)))])
    order, num = np.argsort(numbers), len(indices)
    count = min(max(1, round(fraction * num)), num - 1)
    blocks = max(1, min(MOST_BLOCKS, count // SHORTEST_BLOCK))
    samples = record_ids(source, indices[order[:blocks]])
    draws = uniform(seed, epoch=0, samples=samples, purpose=f"split {purpose}")[:, 0]
    taken = np.zeros(num, bool)
    for k, draw in enumerate(draws.tolist()):
        first, end = k * num // blocks, (k + 1) * num // blocks
        length = (k + 1) * count // blocks - k * count // blocks
        start = first + int(draw * (end - first - length + 1))
        taken[order[start : start + length]] = True
    return indices[~taken], indices[taken]
