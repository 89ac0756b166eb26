"""The images that the probes see: which, and their pixels."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.cpus import num_cpus
from neocog.dataset.record import Source
from neocog.errors import DataError
from neocog.look.clock import Clock
from neocog.look.facts import MAX_PIXELS, ImageFacts, class_counts
from neocog.modalities.image.preprocess import ImagePreprocess

__all__ = ["ELONGATED", "ImageSample", "choose_samples", "decode_sample"]

MOST_CLASSES = 40
FEWEST = 5
"""Classes with fewer samples can't be cross-validated."""
ELONGATED = 2.0
"""Images whose aspect ratio is beyond this, in most of the set, are squashed to a square instead of cropped."""
MOST_CHANNELS = 4
SAME_GREY = 8
"""Channels that differ by less, of 255, in nearly all pixels, are equal: JPEG's colours are never exact."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageSample:
    """Decoded square images with their classes."""

    images: Tensor
    """(N, C, side, side) uint8; one channel if all are equal."""
    labels: NDArray[np.int64]
    """(N,); all 0 if the classes are unknown or can't be told apart."""
    num_unreadable: int
    grey: bool
    """Whether all images are grey, by their pixels."""

    @property
    def num_classes(self) -> int:
        return len(np.unique(self.labels))


def choose_samples(source: Source, indices: NDArray[np.int64], num: int, seed: int) -> NDArray[np.int64]:
    """Up to `num` of the samples, in random order, with classes as balanced as their counts allow.

    Classes with fewer than five samples are left out, and those beyond the 40 commonest; all are taken if this leaves
    less than two.
    """
    order = indices[np.random.default_rng(seed).permutation(len(indices))]
    if not class_counts(source, indices):
        return order[:num]
    targets = source.targets[order]
    counts = np.bincount(targets)
    commonest = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    usable = commonest[counts[commonest] >= FEWEST]
    if len(usable) > 1:
        order, targets = order[np.isin(targets, usable)], targets[np.isin(targets, usable)]
    by_class = np.argsort(targets, kind="stable")
    starts = np.searchsorted(targets[by_class], targets[by_class])
    ranks = np.empty(len(order), np.int64)
    ranks[by_class] = np.arange(len(order)) - starts
    return order[np.argsort(ranks, kind="stable")[:num]]  # rank by rank: any beginning of it is balanced as well


def preprocess_for(facts: ImageFacts, side: int) -> ImagePreprocess:
    """Whatever the images are, as squares of a side: the centre, or squashed if most are elongated."""
    elongated = not 1 / ELONGATED <= facts.aspect[1] <= ELONGATED
    return ImagePreprocess(
        size=(side, side),
        channels=facts.channels,
        bit_depth=facts.bit_depth,
        resize="squash" if elongated else "crop",
        convert=True,
        max_pixels=MAX_PIXELS,
    )


def decode_sample(
    source: Source, indices: NDArray[np.int64], facts: ImageFacts, side: int, clock: Clock, share: float
) -> ImageSample:
    """Decode images as squares of a side, until a share of the time is up; those that can't be read are left out."""
    pre = preprocess_for(facts, side)

    def decode(index: int) -> Tensor | None:
        try:
            return to_bytes(pre.decode(source.read(index).payload))
        except DataError:
            return None

    found: list[Tensor | None] = []
    with ThreadPoolExecutor(num_cpus()) as pool:
        for start in range(0, len(indices), num_cpus()):  # one image for each thread between looks at the clock
            if start and clock.is_past(share):
                break
            found += pool.map(decode, indices[start : start + num_cpus()].tolist())
    kept = indices[[number for number, image in enumerate(found) if image is not None]]
    images = [image for image in found if image is not None]
    num_unreadable = len(found) - len(images)
    stacked = torch.stack(images) if images else torch.zeros(0, 3, side, side, dtype=torch.uint8)
    grey = facts.channels == 1 or (facts.channels == 3 and is_grey(stacked))
    labels = source.targets[kept] if class_counts(source, indices) else np.zeros(len(kept), np.int64)
    usable, labels = usable_labels(labels)
    return ImageSample(stacked[usable, :1] if grey else stacked[usable], labels, num_unreadable, grey)


def to_bytes(image: Tensor) -> Tensor:
    """An image on the scale 0..255, with at most four channels; 16 bits are stretched to its own range."""
    if image.dtype != torch.uint8:
        values = image.to(torch.int32).float()
        low, high = values.min(), values.max()
        image = ((values - low) * (255 / (high - low).clamp(min=1))).round().to(torch.uint8)
    return image.float().mean(dim=0, keepdim=True).to(torch.uint8) if len(image) > MOST_CHANNELS else image


def is_grey(images: Tensor) -> bool:
    """Whether the channels of all RGB images are equal; (N, 3, H, W)."""
    values = images.to(torch.int16)
    apart = (values.amax(dim=1) - values.amin(dim=1)) >= SAME_GREY
    return bool((apart.flatten(1).float().mean(dim=1) < 0.001).all())


def usable_labels(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The samples of classes that have five each, and their labels; all samples with 0 if there aren't two such."""
    known, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if (counts >= FEWEST).sum() < 2:
        return np.arange(len(labels)), np.zeros(len(labels), np.int64)
    rows = np.flatnonzero(counts[numbers] >= FEWEST)
    return rows, known[numbers[rows]]
