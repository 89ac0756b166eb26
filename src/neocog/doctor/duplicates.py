"""The same thing twice: equal records, and images that nearly equal each other, within a split and across splits."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from neocog.doctor import kinds
from neocog.doctor.facts import Columns
from neocog.doctor.findings import Tally
from neocog.doctor.near import MIN_CORRELATION, correlations, near_pairs, perceptual_hashes

__all__ = ["Membership", "confirm_equal", "equal_groups", "examine_groups", "examine_near", "examine_texts"]

Indices = NDArray[np.int64]
KEPT_FIRST = ("test", "val", "train", "all")
"""Of equal records in several splits the one in the first of these is kept."""


class Membership:
    """Where each record belongs: its split as a number into `splits`, -1 for none; its label."""

    def __init__(self, splits: dict[str, Indices], targets: NDArray[np.int64]) -> None:
        self.splits = sorted(splits, key=lambda name: KEPT_FIRST.index(name) if name in KEPT_FIRST else 9)
        self.split = np.full(len(targets), -1, np.int64)
        for number, name in reversed(list(enumerate(self.splits))):
            self.split[splits[name]] = number
        if targets.ndim == 2:  # several labels: a number for each combination of them
            self.label = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
        else:
            self.label = targets


def equal_groups(digests: NDArray[np.uint64]) -> Iterator[Indices]:
    """Places of equal digests, two or more, in order, the group of the first place first; 0 equals nothing."""
    order = np.argsort(digests, kind="stable")
    order = order[np.searchsorted(digests[order], 1) :] if len(order) else order
    values = digests[order]
    repeated = np.flatnonzero(np.r_[False, values[1:] == values[:-1]]) if len(order) else order
    starts = repeated[np.r_[True, np.diff(repeated) > 1]] if len(repeated) else repeated
    for start in starts[np.argsort(order[starts - 1])].tolist():
        end = int(np.searchsorted(values, values[start], side="right"))
        yield order[start - 1 : end]


def examine_groups(groups: list[Indices], member: Membership, tally: Tally) -> None:
    """Look at groups of equal records: across splits, within one, and with labels that contradict each other."""
    for group in groups:
        otherwise = group[member.label[group] != member.label[group[0]]]
        if otherwise.size:
            for index in group.tolist():
                same = member.label[index] == member.label[group[0]]
                other = int(otherwise[0] if same else group[0])
                tally.add_record(kinds.CONFLICT, index, "labelled otherwise in ", other=other)
        used = group[member.split[group] >= 0]
        kept = [used[member.split[used] == number] for number in np.unique(member.split[used])]
        for copies in kept[1:]:
            tally.add_records(kinds.DUPLICATE_ACROSS, copies, "equal to ", other=kept[0][0])
        for copies in kept:
            tally.add_records(kinds.DUPLICATE_WITHIN, copies[1:], "equal to ", other=copies[0])


def examine_texts(columns: Columns, groups: list[Indices], tally: Tally) -> None:
    """Look for texts that differ from each other in case, spaces and punctuation alone."""
    for group in equal_groups(np.where(one_of_each(columns, groups), columns.loose, np.uint64(0))):
        tally.add_records(kinds.TEXT_NEAR, group[1:], "nearly equal to ", other=group[0])


def one_of_each(columns: Columns, groups: list[Indices]) -> NDArray[np.bool_]:
    """Which records remain if only the first of each group of equal ones is kept."""
    first = columns.examined.copy()
    for group in groups:
        first[group[1:]] = False
    return first


def examine_near(columns: Columns, groups: list[Indices], member: Membership, tally: Tally) -> None:
    """Look for images that nearly equal each other, one of each group of equal ones."""
    places = np.flatnonzero(one_of_each(columns, groups) & columns.has_thumb)
    thumbs, split, label = columns.thumbs[places], member.split[places], member.label[places]
    partners = {  # of each image the last that was found, -1 for none
        kind: np.full(len(places), -1) for kind in (kinds.NEAR_ACROSS, kinds.NEAR_WITHIN, kinds.NEAR_CONFLICT)
    }
    for pairs in near_pairs(perceptual_hashes(thumbs)):
        if pairs is None:
            tally.add(kinds.NEAR_CUT, "")
            break
        alike = correlations(thumbs, *pairs) >= MIN_CORRELATION
        first, second = pairs[0][alike], pairs[1][alike]
        across, other_label = split[first] != split[second], label[first] != label[second]
        for partner, chosen in zip(partners.values(), (across, ~across & ~other_label, other_label), strict=True):
            partner[first[chosen]] = second[chosen]
            partner[second[chosen]] = first[chosen]
    for kind, partner in partners.items():
        for place in np.flatnonzero(partner >= 0).tolist():
            tally.add_record(kind, int(places[place]), "nearly equal to ", other=int(places[partner[place]]))


def confirm_equal(groups: list[Indices], digests: Mapping[int, bytes]) -> list[Indices]:
    """Groups split into those that are equal by their full digests, by index."""
    found = []
    for group in groups:
        by_digest: dict[bytes, list[int]] = {}
        for index in group.tolist():
            by_digest.setdefault(digests[index], []).append(index)
        found += [np.array(members) for members in by_digest.values() if len(members) > 1]
    return found
