"""The same thing twice: equal samples, and images that nearly equal each other, within a split and across splits."""

import numpy as np
from numpy.typing import NDArray

from neocog.annotations.annotated import AnnotatedImages
from neocog.dataset.record import Source
from neocog.doctor import kinds
from neocog.doctor.examine import in_threads
from neocog.doctor.facts import Columns, full_digest
from neocog.doctor.findings import Tally
from neocog.doctor.near import MIN_CORRELATION, correlations, near_pairs, perceptual_hashes
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.decode import decode_image
from neocog.modalities.table import MODALITIES
from neocog.progress import track

__all__ = ["equal_groups", "examine_repeats"]

Indices = NDArray[np.int64]
KEPT_FIRST = ("test", "val", "train", "all")
"""Of equal samples in several splits the one in the first of these is kept."""


def examine_repeats(source: Source, columns: Columns, tally: Tally, max_pixels: int, workers: int | None) -> None:
    """Look for equal and nearly equal samples. Positions of games are equal by their nature."""
    if source.task == "next move":
        return

    def digest_image(index: int) -> bytes:
        """Read an image again, to be sure that it equals another."""
        payload = source.file_bytes(index) if isinstance(source, AnnotatedImages) else source.read(index).payload
        if not isinstance(payload, bytes):
            return full_digest(np.asarray(payload))
        return full_digest(decode_image(payload, source.key(index), max_pixels=max_pixels, convert=True))

    member = Membership(source)
    groups = equal_groups(columns.digests)
    near = MODALITIES[source.modality].near_duplicates
    if near == "thumbs" and not isinstance(source, ArraySource):
        indices = [index for group in groups for index in group.tolist()]
        digests = track(in_threads(digest_image, indices, workers), "comparing", total=len(indices))
        by_digest: dict[bytes, list[int]] = {}
        for index, full in zip(indices, digests, strict=True):
            by_digest.setdefault(full, []).append(index)
        groups = [np.array(members) for members in by_digest.values() if len(members) > 1]
    examine_groups(groups, member, tally)
    if near == "thumbs":
        examine_near(columns, groups, member, tally)
    elif near == "letters":
        examine_texts(columns, groups, tally)


class Membership:
    """Where each sample belongs: the number of its split, in the order of `KEPT_FIRST`, -1 for none; its label."""

    def __init__(self, source: Source) -> None:
        splits = sorted(source.splits, key=lambda name: KEPT_FIRST.index(name) if name in KEPT_FIRST else 9)
        self.split = np.full(len(source), -1, np.int64)
        for number, name in reversed(list(enumerate(splits))):
            self.split[source.splits[name]] = number
        self.label = source.targets
        self.numeric = source.task == "regression"
        if self.label.ndim == 2 or self.label.dtype.kind == "f":  # a number for each combination of values
            rows = np.nan_to_num(np.asarray(self.label, np.float64).reshape(len(source), -1), nan=np.finfo(float).max)
            self.label = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def equal_groups(digests: NDArray[np.uint64]) -> list[Indices]:
    """Places of equal digests, two or more, in order, the group of the first place first; 0 equals nothing."""
    inverse, counts = np.unique(digests, return_inverse=True, return_counts=True)[1:]
    places = np.flatnonzero((counts[inverse] > 1) & (digests != 0))
    order = places[np.argsort(digests[places], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(digests[order])) + 1)
    return sorted((group for group in groups if group.size), key=lambda group: int(group[0]))


def examine_groups(groups: list[Indices], member: Membership, tally: Tally) -> None:
    """Look at groups of equal samples: across splits, within one, and with labels that contradict each other."""
    for group in groups:
        otherwise = group[member.label[group] != member.label[group[0]]]
        if otherwise.size:
            for index in group.tolist():
                same = member.label[index] == member.label[group[0]]
                other = int(otherwise[0] if same else group[0])
                kind, detail = (kinds.CONFLICT, "labelled otherwise in ")
                if member.numeric:
                    kind, detail = kinds.VALUES_DIFFER, "another number than "
                tally.add_record(kind, index, detail, other=other)
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
    """Which samples remain if only the first of each group of equal ones is kept."""
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
        across, other_label = split[first] != split[second], (label[first] != label[second]) & (not member.numeric)
        for partner, chosen in zip(partners.values(), (across, ~across & ~other_label, other_label), strict=True):
            partner[first[chosen]] = second[chosen]
            partner[second[chosen]] = first[chosen]
    for kind, partner in partners.items():
        for place in np.flatnonzero(partner >= 0).tolist():
            tally.add_record(kind, int(places[place]), "nearly equal to ", other=int(places[partner[place]]))
