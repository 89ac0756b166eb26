"""How much detail images lose at smaller sizes: by their spectrum, and by what a probe still recognises."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.look.clock import Clock
from neocog.look.features import SMALLEST, PatchFilters, gram, standardise
from neocog.look.probe import Interval, paired_loss, probe_accuracy, share
from neocog.look.sample import ImageSample

__all__ = [
    "LARGEST", "SIDES", "Detail", "Resolution", "lost_energy", "mean_lost_energy", "measure_resolution", "resized",
    "sides_below",
]  # fmt: skip

SIDES = (32, 64, 96, 128, 160, 224)
LARGEST = SIDES[-1]
MOST_PROBED = 400
MOST_LOST = 0.02
"""The share of energy that may be lost where the probe doesn't decide."""
SMALL_GAIN = 0.02
"""A gain in accuracy below this doesn't count."""


@dataclass(frozen=True, slots=True)
class Detail:
    """The detail that images of a side still hold."""

    side: int
    lost: float
    """The share of the images' energy, without the mean, in frequencies that this side can't hold."""
    accuracy: Interval | None
    """Of the probe, cross-validated, with all detail up to this side; None if there are no classes to tell apart."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Detail by side, and the side beyond which nothing is gained."""

    detail: tuple[Detail, ...]
    useful_size: int
    reason: str
    num_images: int
    """Images that the probe was measured with."""
    chance: float
    """The accuracy of always naming the commonest class."""


def sides_below(own: int) -> tuple[int, ...]:
    """The sides to look at: those of `SIDES` below the images' own, and their own up to 224.

    >>> sides_below(28), sides_below(100), sides_below(3000)
    ((28,), (32, 64, 96, 100), (32, 64, 96, 128, 160, 224))
    """
    below = tuple(side for side in SIDES if side < own)
    return (*below, own) if own <= LARGEST else below


def lost_energy(image: Tensor, sides: tuple[int, ...]) -> NDArray[np.float64]:
    """The share of an image's energy that is lost at each side; (C, m, m) -> (len(sides),).

    The power spectrum of the image without its mean, under a Hann window. A side s holds up to s/2 cycles per image in
    each direction.
    """
    side = image.shape[-1]
    window = torch.hann_window(side, periodic=False)
    values = image.float().mean(dim=0)
    weights = window[:, None] * window
    centred = (values - (values * weights).sum() / weights.sum()) * weights
    power = torch.fft.fft2(centred).abs().square().double()
    cycles = torch.fft.fftfreq(side).abs() * side
    needed = torch.maximum(cycles[:, None], cycles)
    total = float(power.sum())
    lost = [float(power[needed > each / 2].sum()) / total if total > 0 else 0.0 for each in sides]
    return np.array(lost)


def resized(images: Tensor, side: int) -> Tensor:
    """Images at another side, antialiased, on the scale 0..1; (N, C, H, W) uint8 -> (N, C, side, side) float32."""
    if images.shape[-1] != side:
        images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return images.float() / 255


def mean_lost_energy(images: list[Tensor], sides: tuple[int, ...]) -> tuple[float, ...]:
    """`lost_energy`, averaged over images that have any contrast; nothing is lost if none has."""
    if not images:
        return (0.0,) * len(sides)
    return tuple(np.mean([lost_energy(each, sides) for each in images], axis=0).tolist())


def measure_resolution(
    sample: ImageSample,
    sides: tuple[int, ...],
    energy: tuple[float, ...],
    clock: Clock,
    share_of_time: float,
    seed: int,
) -> Resolution:
    """The accuracy of a probe at each side, from small to large until a share of the time is up, and the useful size.

    The probe's features at a side are added to those of all smaller sides, so that a larger side can only add.
    """
    images, labels = sample.images[:MOST_PROBED], sample.labels[:MOST_PROBED]
    correct: list[NDArray[np.bool_]] = []
    kernel: Tensor | float = 0.0
    for side in sides if len(np.unique(labels)) > 1 else ():
        if side < SMALLEST or clock.is_past(share_of_time):
            break
        kernel = kernel + side_kernel(images, side, seed)
        correct.append(probe_accuracy(kernel, labels))
    accuracies = [share(int(each.sum()), len(each)) for each in correct]
    padded: list[Interval | None] = [*accuracies, *[None] * (len(sides) - len(correct))]
    detail = tuple(Detail(*each) for each in zip(sides, energy, padded, strict=True))
    counts = np.unique(labels, return_counts=True)[1]
    chance = float(counts.max() / counts.sum()) if len(counts) else 1.0
    return Resolution(detail, *choose_size(detail, correct), len(labels) if correct else 0, chance)


def side_kernel(images: Tensor, side: int, seed: int) -> Tensor:
    """The kernel of the probe's features at one side; (N, N)."""
    small = resized(images, side)
    features = PatchFilters.fit(small, seed=seed).features(small)
    features = standardise(features, features)
    return gram(features, features)


def choose_size(detail: tuple[Detail, ...], correct: list[NDArray[np.bool_]]) -> tuple[int, str]:
    """The smallest side beyond which nothing is gained, and why.

    A side is too small if the probe is significantly better at a larger one (paired 95% interval above zero). It is
    enough if the interval excludes gains of 2 points and more at every larger side. Otherwise the spectrum decides:
    at most 2% of the energy may be lost.
    """
    for number, each in enumerate(detail):
        rest = correct[number + 1 :]
        if not detail[number + 1 :]:
            break
        gains = [paired_loss(later, correct[number]) for later in rest]
        if any(gain.low > 0 for gain in gains):
            continue
        energy = f"{each.lost:.1%} of the images' energy is lost"
        measured = len(gains) == len(detail) - number - 1
        if measured and all(gain.high <= SMALL_GAIN for gain in gains):
            most = max(gain.high for gain in gains)
            return each.side, f"a larger side gains the probe at most {100 * most:.1f} points; {energy}"
        if each.lost <= MOST_LOST:
            doubt = "the probe gains nothing significant from a larger side, and" if gains else "no probe;"
            return each.side, f"{doubt} {energy}"
    last = detail[-1]
    return last.side, "each smaller side loses detail" if len(detail) > 1 else "the images' own size"
