"""Folds for cross-validation: stratified, and groups stay whole."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.rng import derive_seed

__all__ = ["ALWAYS_TRAIN", "assign_folds"]

ALWAYS_TRAIN = -1


def assign_folds(labels: ArrayLike, folds: int, *, groups: ArrayLike | None = None, seed: int = 0) -> NDArray[np.int64]:
    """The fold in which each sample is held out, (N,); -1 for samples that are never held out.

    Each class is dealt to the folds in equal parts. Samples of one group stay together. A sample whose class would be
    missing from training, as it has no sample outside this group, is never held out.

    >>> assign_folds([0, 0, 0, 1, 1, 1, 2], folds=3)[-1].item()
    -1
    >>> sorted(assign_folds([0, 0, 0, 1, 1, 1], folds=3)[:3].tolist())
    [0, 1, 2]
    """
    classes = np.asarray(labels)
    units = np.arange(len(classes)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    num_units = int(units.max(initial=-1)) + 1
    pairs = np.unique(np.stack([units.ravel(), classes]), axis=1)
    elsewhere = np.bincount(pairs[1], minlength=classes.max(initial=0) + 1) > 1
    free = np.ones(num_units, bool)
    np.logical_and.at(free, pairs[0], elsewhere[pairs[1]])
    first = np.full(num_units, len(classes))
    np.minimum.at(first, units.ravel(), np.arange(len(classes)))
    order = np.random.default_rng(derive_seed(seed, "folds")).permutation(num_units)
    order = order[np.argsort(classes[first[order]], kind="stable")]
    order = order[free[order]]
    fold_of = np.full(num_units, ALWAYS_TRAIN)
    fold_of[order] = np.arange(len(order)) % folds
    return fold_of[units.ravel()]
