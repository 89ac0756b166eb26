"""Evidence in names: classes and samples whose names hardly differ, and samples that come from one source."""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Sequence
from functools import cache

import numpy as np

from neocog.dataset.record import Source, sample_ids
from neocog.dataset.split_names import split_meant
from neocog.doctor import kinds
from neocog.doctor.duplicates import equal_groups
from neocog.doctor.findings import Tally

__all__ = ["examine_class_names", "examine_keys", "examine_sources", "source_of"]

LAST_PART = re.compile(r"[\s_.\-]+[^\s_.\-]*$")
LEAST_SOURCES = 3
split_named = cache(split_meant)


def examine_class_names(classes: tuple[str, ...], tally: Tally) -> None:
    """Look for names of classes that look the same, or nearly; each is shown with the first of its like."""
    for kind, plain in ((kinds.CLASSES_CASE, str.casefold), (kinds.CLASSES_SPELLING, spelling)):
        seen: dict[str, str] = {}
        for name in classes:
            first = seen.setdefault(plain(name), name)
            if first is not name:
                tally.add(kind, name, f"beside {first!r}")


def spelling(name: str) -> str:
    """A name without what one does not see, or writes one way or another.

    >>> spelling("Cafe\u0301 noir ") == spelling("Caf\u00e9_noir"), spelling("-1") == spelling("1")
    (True, False)
    """
    return re.sub(r"(?<=[^\W_])[\s_\-]+(?=[^\W_])", " ", unicodedata.normalize("NFKC", name).strip(" \t\n_"))


def examine_keys(keys: Sequence[str], tally: Tally) -> None:
    """Look for names of samples that are used twice, differ by case alone, or are not Unicode."""
    shown = [key if key.isascii() else key.encode(errors="backslashreplace").decode() for key in keys]
    tally.add_records(kinds.NAME_BYTES, (i for i, key in enumerate(keys) if shown[i] != key))
    ids = sample_ids(shown)
    for group in equal_groups(ids):
        tally.add_records(kinds.REPEATED_KEY, group[1:])
    firsts = np.unique(ids, return_index=True)[1]  # a repeated name is not said to differ by case too
    alone = np.zeros(len(keys), np.uint64)
    alone[firsts] = sample_ids(key.casefold() for key in shown)[firsts]
    for group in equal_groups(alone):
        tally.add_records(kinds.KEYS_CASE, group[1:], "beside ", other=group[0])


def examine_sources(source: Source, keys: Sequence[str], tally: Tally) -> None:
    """Look for samples that seem to come from one source, such as a patient, in more than one split."""
    names = groups_of(source, keys)
    if names is None:
        return
    if len(source.splits) == 1:
        counts, firsts = Counter(names), {name: i for i, name in reversed(list(enumerate(names)))}
        for name, count in counts.items():
            if name and count > 1:
                tally.add(kinds.GROUPS_UNDIVIDED, name, f"{count:,} samples", records=(firsts[name],))
        return
    first: dict[str, tuple[str, int]] = {}
    told = {""}
    for split, indices in source.splits.items():
        for index in indices.tolist():
            where, other = first.setdefault(names[index], (split, index))
            if where != split and names[index] not in told:
                told.add(names[index])
                detail = f"{keys[other]} and {keys[index]}"
                tally.add(kinds.GROUP_LEAK, names[index], detail, records=(other, index))


def groups_of(source: Source, keys: Sequence[str]) -> list[str] | None:
    """The source of each sample, "" if it is unknown; None if names do not tell sources apart.

    A source of games knows which sample is of which game. Elsewhere names must make several groups, none of which
    holds most of the samples, and more groups than there are classes: else they may be the classes' own names.
    """
    known = getattr(source, "groups", None)
    if known is not None:
        return None if len(source.splits) == 1 else [f"group {number}" for number in known.tolist()]
    classes = frozenset(source.classes)
    names = [source_of(key, classes) for key in keys]
    counts = Counter(filter(None, names))
    several = [name for name, count in counts.items() if count > 1]
    if len(several) < LEAST_SOURCES or max(counts.values()) > len(names) / 2 or len(counts) <= 2 * len(source.classes):
        return None
    return names


def source_of(key: str, classes: Container[str] = ()) -> str:
    """The source that a name seems to tell: a folder within the class's, or the file's name without its last part.

    Only what has a digit in it counts, because "patient12" is one of many and "patient" is all of them.

    >>> source_of("train/cat/patient12_03.png"), source_of("train/cat/p7/03.png", ["cat"]), source_of("cat/img_1.png")
    ('patient12', 'p7', '')
    """
    *folders, name = key.split("/")
    if folders and split_named(folders[0]):
        del folders[0]
    inner = "/".join(folder for folder in folders if folder not in classes and has_digit(folder))
    if inner:
        return inner
    stem = name.rsplit(".", 1)[0] if "." in name[1:] else name
    before = LAST_PART.sub("", stem)
    return before if before != stem and has_digit(before) else ""


def has_digit(text: str) -> bool:
    return any(c.isdigit() for c in text)
