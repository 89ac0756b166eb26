"""The number of samples of each class in each split, and anything odd about it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source, Task
from neocog.doctor import kinds
from neocog.doctor.findings import Tally
from neocog.doctor.values import count_known, examine_missing, examine_values

__all__ = ["count_classes", "examine_classes", "examine_labels"]

Counts = Mapping[str, NDArray[np.int64]]
DRAWN: tuple[Task, ...] = ("segmentation", "multi-label segmentation", "detection", "signal segmentation")
"""Tasks whose classes are in masks and objects."""
LEAST = 10
"""Training samples below which a class is called tiny."""
MOST_RATIO = 10
"""Of the largest class to the smallest, from which on a set is called imbalanced."""
SHIFT = 0.2  # half the sum of differences between shares of classes, from which on a split is said to differ
ENOUGH = 50  # samples of a split; with fewer, shares differ by chance


def count_classes(source: Source, present: Mapping[int, tuple[int, ...]]) -> Counts:
    """Samples by split and class; (classes,) each. A sample with several labels counts for each of them.

    Of numbers to predict it is how many are known. `present` holds the classes in each sample's mask or objects.
    """
    if source.task == "regression":
        return count_known(source)
    counts = {}
    for split, indices in source.splits.items():
        if source.task in DRAWN:
            labels = np.array([k for i in indices.tolist() for k in present.get(i, ())], np.int64)
        elif source.targets.ndim == 2:
            labels = np.nonzero(source.targets[indices] == 1)[1]
        else:
            labels = source.targets[indices]
        known = labels[(labels >= 0) & (labels < len(source.classes))]
        counts[split] = np.bincount(known, minlength=len(source.classes))
    return counts


def examine_labels(source: Source, tally: Tally) -> None:
    """Look for labels that are not a class, and samples without a label."""
    if source.task in DRAWN:
        return
    if source.task == "regression":
        examine_values(source, tally)
        return
    if source.targets.ndim == 2:
        tally.add_records(kinds.NO_LABEL, np.flatnonzero(~(source.targets != 0).any(axis=1)))
        examine_missing(source, tally)
        return
    wrong = np.flatnonzero((source.targets < 0) | (source.targets >= len(source.classes)))
    for index in wrong.tolist():
        tally.add_record(kinds.LABEL_RANGE, index, f"label {source.targets[index]} of 0..{len(source.classes) - 1}")


def examine_classes(source: Source, counts: Counts, tally: Tally, *, whole: bool = True) -> None:
    """Look for classes that are missing, tiny, or far larger than others.

    Unless the `whole` set was examined, what masks and objects hold is not known, and nothing is said about it.
    """
    for split, indices in source.splits.items():
        if not len(indices):
            tally.add(kinds.EMPTY_SPLIT, split)
    drawn = source.task in DRAWN
    if source.task in ("next move", "regression") or (drawn and not whole):
        return  # a point of a board is not a class that could have too few samples
    several = source.task == "multi-label"
    if len(source.classes) < 2 and not drawn and not several:
        tally.add(kinds.ONE_CLASS, source.classes[0] if source.classes else "none")
    total: NDArray[np.int64] = np.array(list(counts.values()), np.int64).reshape(-1, len(source.classes)).sum(axis=0)
    for k in np.flatnonzero(total == 0).tolist():
        kind = kinds.CLASS_UNDRAWN if drawn else kinds.LABEL_ABSENT if several else kinds.CLASS_EMPTY
        tally.add(kind, source.classes[k])
    for split, count in counts.items():
        for k in np.flatnonzero((count == 0) & (total > 0)).tolist() if len(source.splits[split]) else ():
            kind = kinds.CLASS_UNTRAINED if split == "train" else kinds.CLASS_MISSING
            tally.add(kind, source.classes[k], f"not in {split}")
    train = counts.get("train", counts.get("all"))
    if several and train is not None and not train.any():
        tally.add(kinds.NO_LABEL_TRAINED, "")
    if train is not None and train.any():
        examine_sizes(source.classes, train, tally)
        examine_shares({k: v for k, v in counts.items() if k != "train"}, train, tally)


def examine_sizes(classes: tuple[str, ...], train: NDArray[np.int64], tally: Tally) -> None:
    """Look for classes that are too small for anything, or for the others; (classes,)."""
    for k in np.flatnonzero((train > 0) & (train < LEAST)).tolist():
        tally.add(kinds.CLASS_TINY, classes[k], f"{train[k]}")
    tally.say(kinds.CLASS_TINY, least=LEAST)
    there = np.flatnonzero(train)
    large, small = int(train.argmax()), int(there[train[there].argmin()])
    if train[large] > MOST_RATIO * train[small]:
        for k in (large, small):
            tally.add(kinds.IMBALANCE, classes[k], f"{train[k]:,}", count=int(k == large))
        tally.say(kinds.IMBALANCE, ratio=f"{train[large] / train[small]:.0f}")


def examine_shares(others: Counts, train: NDArray[np.int64], tally: Tally) -> None:
    """Look for splits whose classes have other shares than in training."""
    for split, count in others.items():
        if min(count.sum(), train.sum()) >= ENOUGH:
            difference = np.abs(count / count.sum() - train / train.sum()).sum() / 2
            if difference > SHIFT:
                tally.add(kinds.SHIFTED_CLASSES, split, f"half the sum of differences is {difference:.0%}")
