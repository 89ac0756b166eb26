"""Facts from headers and labels: counts, sizes, kinds of pixels."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.errors import DataError
from neocog.look.clock import Clock
from neocog.modalities.image.choose import ImageConfig
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.pixels import Header, array_header, array_pixels

__all__ = ["ClassCount", "ImageFacts", "class_counts", "read_facts", "read_some_headers"]

MOST_HEADERS = 200
SHARE = 0.08
"""Of the time, for headers."""
MAX_PIXELS = ImageConfig().max_pixels


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class and its number of samples."""

    name: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """Facts of the training images; those of headers are of up to 200 images, spread evenly."""

    num_samples: int
    num_classes: int
    rarest: ClassCount | None
    """None if samples don't have one class each."""
    commonest: ClassCount | None
    num_headers: int
    """Images whose header was read."""
    height: tuple[int, int, int]
    """Smallest, median and largest, in pixels."""
    width: tuple[int, int, int]
    aspect: tuple[float, float, float]
    """Width over height: the 5%, 50% and 95% quantiles."""
    short_side: int
    """The median of the shorter side, in pixels."""
    channels: int
    """Of most images, without alpha."""
    bit_depth: int
    """The largest."""
    alpha: float
    """The share of images with transparency."""


def class_counts(source: Source, indices: NDArray[np.int64]) -> list[ClassCount]:
    """The classes that occur, with their counts; empty if samples don't have one class each."""
    targets = source.targets
    if source.task != "classification" or targets.ndim != 1 or targets.dtype.kind != "i" or not len(indices):
        return []
    found = np.bincount(targets[indices], minlength=len(source.classes))
    return [ClassCount(source.classes[number], int(found[number])) for number in np.flatnonzero(found)]


def read_some_headers(source: Source, indices: NDArray[np.int64], clock: Clock) -> list[Header]:
    """The headers of up to 200 images, spread evenly; those that can't be read are left out."""
    spread = indices[np.linspace(0, len(indices) - 1, min(MOST_HEADERS, len(indices))).round().astype(np.int64)]

    def read() -> Iterator[Header]:
        for number, index in enumerate(spread.tolist()):
            if number and clock.is_past(SHARE):
                return
            try:
                record = source.read(index)
                if isinstance(record.payload, bytes):
                    yield image_header(record.payload, record.key, MAX_PIXELS)
                else:
                    yield array_header(array_pixels(np.asarray(record.payload), record.key))
            except DataError:
                pass

    return list(read())


def read_facts(source: Source, indices: NDArray[np.int64], headers: list[Header]) -> ImageFacts:
    """The facts that follow from labels and headers."""
    counts = class_counts(source, indices)
    by_count = sorted(counts, key=lambda each: each.count)
    sizes = np.array([(header.height, header.width) for header in headers] or [(0, 0)])
    height, width = ((int(each.min()), round(float(np.median(each))), int(each.max())) for each in sizes.T)
    aspects = np.quantile(sizes[:, 1] / np.maximum(sizes[:, 0], 1), (0.05, 0.5, 0.95)).tolist()
    channels = Counter(header.channels for header in headers).most_common(1)
    return ImageFacts(
        num_samples=len(indices),
        num_classes=len(source.classes),
        rarest=by_count[0] if by_count else None,
        commonest=by_count[-1] if by_count else None,
        num_headers=len(headers),
        height=height,
        width=width,
        aspect=(aspects[0], aspects[1], aspects[2]),
        short_side=int(np.median(sizes.min(axis=1))),
        channels=channels[0][0] if channels else 0,
        bit_depth=max((header.bit_depth for header in headers), default=0),
        alpha=float(np.mean([header.alpha for header in headers])) if headers else 0.0,
    )
