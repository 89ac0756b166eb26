"""Which samples train, validate and test: of a run, and of the runs that a trained model comes from."""

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import DataConfig, Source, Splits, check_test, divide
from neocog.dataset.record import record_ids
from neocog.dataset.split import limit_samples, take
from neocog.doctor.skip_list import read_skip_list
from neocog.errors import DataError

__all__ = [
    "count_seen",
    "describe_seen",
    "digest_split",
    "leave_out",
    "split_as_trained",
    "split_source",
    "trial_splits",
]

Indices = NDArray[np.int64]
MOST_HELD_OUT = 0.3
"""Of the training samples, that a trial may be validated on."""


def split_source(source: Source, config: DataConfig, seed: int) -> Splits:
    """The splits of a source, without the samples that a skip list names, and no more to train on than the limit."""
    splits = divide(source, val_fraction=config.val_fraction, test_fraction=config.test_fraction, seed=seed)
    check_test(source, splits)
    if config.skip_list is not None:
        splits = without_skipped(source, config.skip_list, splits)
    train = limit_samples(source, splits.train, config.limit, seed)
    if len(train) == len(splits.train):
        return splits
    told = f"{len(train):,} of {len(splits.train):,} training samples are used: data.limit"
    return replace(splits, train=train, notes=(*splits.notes, told))


def trial_splits(source: Source, splits: Splits, scored: int, seed: int, least: int = 0) -> Splits:
    """The splits of a trial: at most `scored` validation samples, and never on the test split.

    If there are fewer than `least` validation samples, up to 30% of the training samples are held out, too; whole
    groups, where samples come in groups.
    """
    train, val = splits.train, limit_samples(source, splits.val, scored, seed)
    missing = min(scored, least) - len(val)
    if missing > 0:
        train, more = take(source, train, min(MOST_HELD_OUT, missing / len(train)), seed, "trial", True)
        val = np.sort(np.concatenate([val, more]))
    return replace(splits, train=train, val=val, test=splits.test[:0])


def without_skipped(source: Source, skip_list: str, splits: Splits) -> Splits:
    """The splits without the samples that a skip list names."""
    skip = read_skip_list(Path(skip_list))
    kept = {name: leave_out(source, getattr(splits, name), skip) for name in ("train", "val", "test")}
    num_left_out = sum(len(getattr(splits, name)) - len(part) for name, part in kept.items())
    return Splits(**kept, notes=(*splits.notes, f"{num_left_out:,} samples are left out by {skip_list}"))


def leave_out(source: Source, indices: Indices, skip: Container[str]) -> Indices:
    """These samples without those whose keys are to be skipped. Raises DataError if none is left."""
    kept = np.array([index for index in indices.tolist() if source.key(index) not in skip], np.int64)
    if len(indices) and not len(kept):
        raise DataError(
            "Each split needs at least one sample.",
            received="a skip list that names all samples of one split",
            where=source.name,
            fix="Remove some of its lines.",
        )
    return kept


def digest_split(source: Source, indices: Indices) -> str:
    """A short name for a split's samples; 16 digits."""
    return hashlib.sha256(np.sort(record_ids(source, indices)).tobytes()).hexdigest()[:16]


def split_as_trained(source: Source, trained: Mapping[str, Any]) -> Splits:
    """The splits of a source as a run had them, from what its manifest says of its data."""
    return divide(
        source,
        val_fraction=trained["val_fraction"],
        test_fraction=trained["test_fraction"],
        seed=trained["seed"],
        groups_by_class=trained.get("groups_by_class", False),
    )


def count_seen(
    lineage: Sequence[Mapping[str, Any]], source: Source, fingerprint: str, indices: Indices, *, chosen_by: bool = True
) -> tuple[int, bool]:
    """How many of these samples the runs of a lineage have trained on, and whether that is the whole number.

    With `chosen_by`, validation samples count too. The number is known for runs on this very data set whose splits can
    be repeated.
    """
    seen, known = np.empty(0, np.int64), True
    for data in lineage:
        if data.get("fingerprint") != fingerprint:
            known = False
            continue
        try:
            splits = split_as_trained(source, data)
        except (DataError, KeyError):
            known = False
            continue
        if "training part" in data and data["training part"] != digest_split(source, splits.train):
            known = False  # other folds were left out, or another release split in another way
            continue
        seen = np.union1d(seen, np.concatenate([splits.train, splits.val]) if chosen_by else splits.train)
    return int(np.isin(indices, seen).sum()), known


def describe_seen(
    name: str, lineage: Sequence[Mapping[str, Any]], source: Source, fingerprint: str, splits: Splits
) -> list[str]:
    """Sentences on the samples that a model has seen, among those that measure a run or validate it.

    `name` is what the user calls the model.
    """
    called, part = ("test", splits.test) if len(splits.test) else ("validation", splits.val)
    num_seen, known = count_seen(lineage, source, fingerprint, part)
    same = any(data.get("fingerprint") == fingerprint for data in lineage)
    too_good = f"the {called} figures will be too good"
    told = []
    if num_seen and called == "test":
        flags = f"--train.seed {lineage[-1].get('seed')}"
        if "all" in source.splits:
            flags += f" --data.test_fraction {lineage[-1].get('test_fraction')}"
        told.append(
            f"warning: {name} was trained on {num_seen:,} of the {len(part):,} test samples, or chosen by them, so "
            f"{too_good}. Split the data as before: {flags}"
        )
    elif same and known and called == "test":
        told.append(f"these {len(part):,} test samples have measured {name} before; it was trained on none")
    if not known and same:
        told.append(
            f"warning: {name} was trained on another split of these data, or on other data too; if it was trained on "
            f"some of the {len(part):,} {called} samples, {too_good}"
        )
    elif not known and "all" in source.splits:
        told.append(
            f"{name} was trained on other data than these; if some of its samples are among the {len(part):,} "
            f"{called} samples, {too_good}"
        )
    num_trained, _ = count_seen(lineage, source, fingerprint, splits.val, chosen_by=False)
    if num_trained:
        told.append(
            f"warning: {name} was trained on {num_trained:,} of the {len(splits.val):,} validation samples, so the "
            "validation figures, which choose the best epoch, will be too good"
        )
    return told
