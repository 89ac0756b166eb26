"""`look_at_images`: everything that is looked at, in the time that there is, and what is said about it."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor

from neocog.dataset.record import Source
from neocog.errors import DataError, agree
from neocog.look.clock import Clock
from neocog.look.facts import ImageFacts, read_facts, read_some_headers
from neocog.look.features import SMALLEST
from neocog.look.resolution import (
    LARGEST,
    Resolution,
    mean_lost_energy,
    measure_resolution,
    resized,
    sides_below,
)
from neocog.look.sample import ELONGATED, ImageSample, choose_samples, decode_sample
from neocog.look.symmetry import SYMMETRIES, Symmetry, measure_symmetries, num_affordable

__all__ = ["ImageLook", "look_at_images"]

MOST_IMAGES = 600
FEWEST_IMAGES = 20
"""With fewer, no symmetry is measured."""
NUM_SPECTRA = 32
SPECTRUM_SIDE = 2 * LARGEST
LARGEST_FOR_SYMMETRY = 96
ENOUGH_FOR_SYMMETRY = 0.05
"""Symmetries are measured at the smallest side that loses no more of the energy than this, up to 96."""
SPECTRA, DECODING, SYMMETRIES_DONE, ALL = 0.15, 0.45, 0.8, 0.9
"""Shares of the time after which the stages end: decoding for the spectrum, decoding, symmetries, resolution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLook:
    """The findings. Two looks at the same data with the same seed are equal unless the time was up."""

    facts: ImageFacts
    grey: bool
    """Whether all images that were decoded are grey, by their pixels."""
    num_decoded: int
    num_unreadable: int
    """Of those that were to be decoded."""
    resolution: Resolution
    symmetries: dict[str, Symmetry]
    """By name: mirror, flip, half_turn, quarter_turn."""
    limited: bool
    """Whether the time was up before everything was measured, so that fewer images were used."""
    seconds: float = field(compare=False)

    @property
    def useful_size(self) -> int:
        """The side beyond which neither the probe nor the spectrum gains, up to 224."""
        return self.resolution.useful_size

    def holds(self, symmetry: str) -> bool:
        """Whether a symmetry was found to hold within the classes; unknown is no."""
        return self.symmetries[symmetry].holds

    def to_json(self) -> dict[str, Any]:
        """Everything as values that JSON holds."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """The inverse of `to_json`, also after JSON made lists of tuples. Raises DataError if it isn't one."""
        try:
            found: Self = TypeAdapter(cls).validate_python(stored)
        except ValueError as error:
            raise DataError("A look must be stored as to_json gives it.", received=str(error)) from error
        return found

    def lines(self) -> list[str]:
        """Sentences for the terminal and the report."""
        late = ["The time was up before all images were looked at, so that figures are less certain."] * self.limited
        return [
            *describe_facts(self), *describe_detail(self.resolution), *describe_symmetries(self.symmetries), *late,
        ]  # fmt: skip


def look_at_images(source: Source, indices: NDArray[np.int64], *, seconds: float = 5.0, seed: int = 0) -> ImageLook:
    """Look at the images of some samples, usually the training split.

    `seconds` limits the time; if it is up, fewer images are used, and `limited` says so. Images that can't be read are
    left out. What too few images can't tell is unknown; nothing is assumed.
    Raises DataError if no image can be read.

    >>> from neocog.data import open_source
    >>> draw = np.random.default_rng(0)
    >>> images, labels = draw.integers(0, 256, (12, 16, 16), dtype=np.uint8), np.arange(12) % 2
    >>> source = open_source((images, labels))
    >>> look = look_at_images(source, np.arange(12))
    >>> look.lines()[0], look.useful_size, look.symmetries["mirror"].verdict
    ('12 images in 2 classes; rarest: 0 (6), commonest: 1 (6).', 16, 'unknown')
    """
    clock = Clock(seconds)
    headers = read_some_headers(source, indices, clock)
    if not headers:
        raise DataError("At least one image must be readable.", received="none", where=source.name)
    facts = read_facts(source, indices, headers)
    chosen = choose_samples(source, indices, MOST_IMAGES, seed)
    large = decode_large(source, chosen[:NUM_SPECTRA], facts, clock)
    sides = sides_below(facts.short_side)
    energy = mean_lost_energy(large, sides)
    sample = decode_sample(source, chosen, facts, min(facts.short_side, LARGEST), clock, DECODING)
    with torch.no_grad():
        # Before resolution, whose probe can do with fewer sides: there is the spectrum, too.
        symmetries = find_symmetries(sample, pick_side(sides, energy), facts, clock, seed)
        resolution = measure_resolution(sample, sides, energy, clock, ALL, seed)
    return ImageLook(
        facts=facts,
        grey=sample.grey,
        num_decoded=len(sample.images),
        num_unreadable=sample.num_unreadable,
        resolution=resolution,
        symmetries=symmetries,
        limited=clock.limited,
        seconds=clock.elapsed,
    )


def decode_large(source: Source, indices: NDArray[np.int64], facts: ImageFacts, clock: Clock) -> list[Tensor]:
    """A few images near their own size, for their spectrum; each (C, side, side)."""
    side = min(facts.short_side, SPECTRUM_SIDE)
    return list(decode_sample(source, indices, facts, side, clock, SPECTRA).images)


def pick_side(sides: tuple[int, ...], energy: tuple[float, ...]) -> int:
    """The side at which symmetries are measured."""
    small = [side for side in sides if side <= LARGEST_FOR_SYMMETRY]
    enough = [side for side, lost in zip(small, energy, strict=False) if lost <= ENOUGH_FOR_SYMMETRY]
    return (enough or small[-1:] or [LARGEST_FOR_SYMMETRY])[0]


def find_symmetries(sample: ImageSample, side: int, facts: ImageFacts, clock: Clock, seed: int) -> dict[str, Symmetry]:
    """The symmetries, measured at one side; unknown if there are too few images, or too small ones."""
    num = len(sample.labels)
    late = clock.is_past(ALL)
    if late or num < FEWEST_IMAGES or sample.images.shape[-1] < SMALLEST:
        few = agree("{n} image(|s) (is|are) too few", num)
        small = f"images of less than {SMALLEST}x{SMALLEST} pixels are too small"
        reason = "the time was up" if late else few if num < FEWEST_IMAGES else small
        return {name: Symmetry("unknown", reason, num) for name in SYMMETRIES}
    images = resized(sample.images, side)
    num = num_affordable(images, clock.left(SYMMETRIES_DONE))
    clock.limited = clock.limited or num < len(images)
    found = measure_symmetries(images[:num], sample.labels[:num], seed)
    if not 1 / ELONGATED <= facts.aspect[1] <= ELONGATED:
        found["quarter_turn"] = Symmetry("no", "the images are elongated", num)
    return found


def describe_facts(look: ImageLook) -> list[str]:
    """Sentences on counts, sizes and pixels."""
    facts = look.facts
    classes = f" in {facts.num_classes:,} classes" if facts.num_classes else ""
    first = agree("{n} image(|s)", facts.num_samples) + classes
    if facts.rarest and facts.commonest:
        first += f"; rarest: {facts.rarest.name} ({facts.rarest.count:,}), commonest: {facts.commonest.name} "
        first += f"({facts.commonest.count:,})"
    kind = "grey" if look.grey else "colour" if facts.channels == 3 else f"{facts.channels} channels"
    if look.grey and facts.channels == 3:
        kind = "grey, stored as RGB"
    (low, middle, high), (left, centre, right) = facts.height, facts.width
    same = low == high and left == right
    size = f"{low}x{left} pixels" if same else f"{low}x{left} to {high}x{right} pixels, median {middle}x{centre}"
    lines = [f"{first}.", f"{size}; {kind}, {facts.bit_depth} bits."]
    if facts.aspect[2] > 1.02 * facts.aspect[0]:
        lines.append("Width over height: {1:.2f}, 90% between {0:.2f} and {2:.2f}.".format(*facts.aspect))
    if facts.alpha:
        lines.append(f"{facts.alpha:.0%} of the images have transparency.")
    if look.num_unreadable:
        lines.append(agree("{n} image(|s) can't be read and (was|were) skipped.", look.num_unreadable))
    return lines


def describe_detail(resolution: Resolution) -> list[str]:
    """Sentences on the detail that is lost at smaller sizes."""
    lines = []
    for each in resolution.detail:
        probe = f"; a linear probe recognises {each.accuracy.percent()}" if each.accuracy else ""
        lines.append(f"At {each.side}x{each.side}, {each.lost:.1%} of the energy is lost{probe}.")
    return [*lines, f"Useful size: {resolution.useful_size}x{resolution.useful_size}, because {resolution.reason}."]


def describe_symmetries(symmetries: dict[str, Symmetry]) -> list[str]:
    """A sentence for each symmetry."""
    return [f"{LABELS[name]}: {each.verdict}; {each.reason}." for name, each in symmetries.items()]


LABELS = {
    "mirror": "Mirror images within a class",
    "flip": "Upside-down images within a class",
    "half_turn": "Images turned by 180 degrees",
    "quarter_turn": "Images turned by 90 degrees",
}
