"""Numbers to predict, and labels that are not always known: their spread, and what is odd about it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.doctor import kinds
from neocog.doctor.findings import Tally

__all__ = ["as_rows", "count_known", "examine_missing", "examine_values"]

FAR = 10.0
"""Distance from the median, in interquartile ranges, from which a number is far off."""
Values = NDArray[np.float64]


def as_rows(source: Source) -> Values:
    """The targets as (N, D) floats."""
    return np.asarray(source.targets, np.float64).reshape(len(source), -1)


def count_known(source: Source) -> Mapping[str, NDArray[np.int64]]:
    """The number of known values by split and output; (D,) each."""
    values = as_rows(source)
    return {split: (~np.isnan(values[part])).sum(axis=0) for split, part in source.splits.items()}


def examine_values(source: Source, tally: Tally) -> None:
    """Look at numbers to predict: those that are constant, far off, or outside of what training has."""
    values = as_rows(source)
    train = source.splits.get("train", source.splits.get("all", np.arange(len(source))))
    for name, column in zip(source.classes, values.T, strict=True):
        known, trained = column[~np.isnan(column)], column[train][~np.isnan(column[train])]
        tally.add(kinds.VALUES, name, summarise(known))
        if not len(trained) or trained.min() == trained.max():
            tally.add(kinds.VALUE_CONSTANT, name, f"{trained[0]:g}" if len(trained) else "not known")
            continue
        for index in far_off(column).tolist():
            tally.add_record(kinds.VALUE_OUTLIER, index, f"{name} {column[index]:g}")
        low, high = trained.min(), trained.max()
        others = np.setdiff1d(np.concatenate([np.arange(0), *source.splits.values()]), train)
        outside = others[(column[others] < low) | (column[others] > high)]
        for index in outside.tolist():
            detail = f"{name} {column[index]:g}, training {low:g} to {high:g}"
            tally.add_record(kinds.VALUE_BEYOND, index, detail)
    examine_missing(source, tally)


def summarise(known: Values) -> str:
    """Range, mean and standard deviation.

    >>> summarise(np.array([1.0, 2.0, 6.0]))
    '1 to 6, mean 3, standard deviation 2.16'
    """
    if not len(known):
        return "not known in any sample"
    spread = f"mean {known.mean():.4g}, standard deviation {known.std():.3g}"
    return f"{known.min():.4g} to {known.max():.4g}, {spread}"


def far_off(column: Values) -> NDArray[np.int64]:
    """The places of numbers that are more than ten interquartile ranges from the median; (N,).

    >>> far_off(np.array([1.0, 2.0, 3.0, 4.0, -999.0])).tolist()
    [4]
    """
    low, middle, high = np.nanquantile(column, (0.25, 0.5, 0.75))
    return np.flatnonzero(np.abs(column - middle) > FAR * (high - low)) if high > low else np.arange(0)


def examine_missing(source: Source, tally: Tally) -> None:
    """Look for numbers or labels that are not known in some samples."""
    if source.targets.dtype.kind != "f":
        return
    shares = np.isnan(as_rows(source)).mean(axis=0)
    for name, share in zip(source.classes, shares.tolist(), strict=True):
        if share:
            tally.add(kinds.VALUE_MISSING, name, f"{share:.1%} of the samples")
