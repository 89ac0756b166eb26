"""Which symmetries hold within a class: whether a mirrored or turned image could be another image of its class."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.look.features import PatchFilters, gram, standardise
from neocog.look.probe import Interval, Probe, assign_folds, fit_classes, paired_loss, recognises, share

__all__ = ["SYMMETRIES", "Evidence", "Symmetry", "measure_symmetries", "num_affordable"]

SYMMETRIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mirror": lambda images: images.flip(3),
    "flip": lambda images: images.flip(2),
    "half_turn": lambda images: images.flip(2, 3),
    "quarter_turn": lambda images: images.rot90(1, (2, 3)),
}
"""Left-right, upside down, by 180 and by 90 degrees; of images (N, C, H, W)."""

FOLLOWS = (
    ("half_turn", {"mirror", "flip"}),
    ("half_turn", {"quarter_turn"}),
    ("mirror", {"flip", "half_turn"}),
    ("flip", {"mirror", "half_turn"}),
)
"""Symmetries, and those that they are made of."""
LEAST_ABOVE_CHANCE = 0.05
"""How far above chance the probe must be, beyond doubt, to judge a symmetry."""
SMALL_HARM = 0.02
"""A cost in accuracy below this is accepted."""
PENALTY = 0.1
"""Of the regression that tells images from copies, as in `probe`."""
TRIAL = 64
"""Images of the trial that tells how many are affordable."""
INVERSES = 120
"""The work of all regressions, in inverses of a matrix with a row for each image, about."""
MILD = 0.4
"""The share of what is recognised beyond chance that may be lost if copies in training help."""
BROKEN = 0.5
"""The share of a class that may no longer be recognised."""
HARDLY_TOLD = 0.57
"""Copies that are told from images no more often than this are like images."""
ALWAYS_TOLD = 0.9
"""Copies that are told from images more often than this are not like the set, unless they help."""

Verdict = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Whether a symmetry holds within the classes, with the figures behind it."""

    verdict: Verdict
    """`unknown` is to be treated as no."""
    reason: str
    num_images: int
    recognised: Interval | None = None
    """The probe's accuracy on images that it hasn't seen."""
    loss: Interval | None = None
    """How much of it is lost if these images are transformed."""
    harm: Interval | None = None
    """How much of it is lost if transformed copies are added to the training images; negative: they help."""
    told: Interval | None = None
    """How often an image can be told from its transformed copy, within its class; 0.5 is chance."""

    @property
    def holds(self) -> bool:
        return self.verdict == "yes"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The figures of one symmetry; those of the probe are None without classes to tell apart."""

    num_images: int
    chance: float
    """The accuracy of always naming the commonest class."""
    told: Interval
    recognised: Interval | None = None
    loss: Interval | None = None
    harm: Interval | None = None
    broken: bool = False
    """Whether the transformed images of one class are significantly, and mostly, not recognised as it."""


def measure_symmetries(images: Tensor, labels: NDArray[np.int64], seed: int) -> dict[str, Symmetry]:
    """Measure each symmetry of square images; (N, C, side, side) float in 0..1, (N,).

    Three probes: images that it hasn't seen, transformed, must be recognised as their own class about as well as they
    are; training with transformed copies must not cost accuracy; and an image should be hard to tell from its copy.
    """
    filters = PatchFilters.fit(images, seed=seed)
    raw = filters.features(images)
    features = standardise(raw, raw)
    kernel = gram(features, features)
    chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    probe = fit_classes(kernel, labels, assign_folds(labels)) if len(np.unique(labels)) > 1 else None
    found = {}
    for name, transform in SYMMETRIES.items():
        altered = standardise(filters.features(transform(images)), raw)
        crossed, turned = gram(altered, features), gram(altered, altered)
        evidence = Evidence(len(images), chance, tell_apart(kernel + turned - crossed - crossed.T, labels))
        if probe is not None:
            evidence = with_classes(evidence, probe, kernel, crossed, turned, labels)
        found[name] = judge(evidence)
    return follow(found)


CALLED = {
    "mirror": "mirroring", "flip": "flipping upside down", "half_turn": "a turn by 180 degrees",
    "quarter_turn": "a turn by 90 degrees",
}  # fmt: skip


def follow(found: dict[str, Symmetry]) -> dict[str, Symmetry]:
    """Verdicts that follow from others: a mirror image turned upside down is one turned by 180 degrees, and so on.

    >>> few = Symmetry("unknown", "too few", 9)
    >>> both = {"mirror": Symmetry("yes", "", 9), "flip": Symmetry("yes", "", 9), "half_turn": few, "quarter_turn": few}
    >>> followed = follow(both)
    >>> followed["half_turn"].verdict, followed["half_turn"].reason, followed["quarter_turn"].verdict
    ('yes', 'follows from mirroring and flipping upside down', 'unknown')
    """
    known = {name for name, each in found.items() if each.holds}
    for name, parts in FOLLOWS:
        if found[name].verdict == "unknown" and known >= parts:
            reason = f"follows from {' and '.join(text for each, text in CALLED.items() if each in parts)}"
            found = found | {name: replace(found[name], verdict="yes", reason=reason)}
    return found


def num_affordable(images: Tensor, seconds: float) -> int:
    """How many of the images can be measured in some seconds: all, unless a short trial says that it would take longer.

    Features cost as much for each image, regressions the cube of their number.
    """
    trial = images[:TRIAL]
    filters, matrix = PatchFilters.fit(trial, seed=0), torch.eye(4 * TRIAL, dtype=torch.float64) + 1
    features = seconds_of(lambda: filters.features(trial)) / len(trial) * (1 + len(SYMMETRIES))
    inverse = seconds_of(lambda: torch.cholesky_inverse(torch.linalg.cholesky(matrix)))
    cube = inverse / len(matrix) ** 3 * INVERSES
    num = len(images)
    while num > TRIAL and features * num + cube * num**3 > seconds:
        num = round(num * 0.8)
    return num


def seconds_of(function: Callable[[], object]) -> float:
    """Seconds that a function takes, the shorter of two trials: the first may have to load something."""

    def once() -> float:
        begin = time.monotonic()
        function()
        return time.monotonic() - begin

    return min(once(), once())


def tell_apart(differences: Tensor, labels: NDArray[np.int64]) -> Interval:
    """How often an image is told from its transformed copy, of the two; kernel of their differences (N, N).

    A regression without intercept, cross-validated, that may use the class: a stroke that is as often turned left as
    right, but not within its class, gives itself away.
    """
    same = torch.from_numpy(labels[:, None] == labels).double()
    kernel = differences * (1 + same)
    probe = Probe.fit(kernel, torch.ones(len(labels), 1, dtype=kernel.dtype), assign_folds(labels), [PENALTY])
    right = probe.predict(kernel)[:, 0]
    ties = right.abs() <= 1e-9  # an image that is its own copy
    return share(float((right[~ties] > 0).sum()) + float(ties.sum()) / 2, len(labels))


def with_classes(
    evidence: Evidence, probe: Probe, kernel: Tensor, crossed: Tensor, turned: Tensor, labels: NDArray[np.int64]
) -> Evidence:
    """Evidence with the figures of the probe; kernels (N, N) of images, of copies with images, and of copies."""
    before = recognises(probe, kernel, kernel, labels)
    after = recognises(probe, crossed, kernel, labels)
    both = torch.cat([torch.cat([kernel, crossed.T], dim=1), torch.cat([crossed, turned], dim=1)])
    twice, folds = np.tile(labels, 2), np.tile(probe.folds, 2)  # an image and its copy are held out together
    helped = recognises(fit_classes(both, twice, folds, [probe.penalty]), both, both, twice)[: len(labels)]
    return replace(
        evidence,
        recognised=share(int(before.sum()), len(before)),
        loss=paired_loss(before, after),
        harm=paired_loss(before, helped),
        broken=any(is_broken(before[labels == number], after[labels == number]) for number in np.unique(labels)),
    )


def is_broken(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> bool:
    """Whether one class loses most of its recognised images, beyond doubt."""
    return bool(paired_loss(before, after).low > BROKEN * before.mean() and before.mean() > 0)


def judge(evidence: Evidence) -> Symmetry:
    """The verdict on a symmetry, from the figures.

    No, if the probe loses half of what it recognises beyond chance, if a class breaks, if copies in training cost
    accuracy, or if nearly each image is told from its copy. Yes, if the intervals exclude all of this. If the probe
    can't tell the classes apart, only images that can't be told from their copies have the symmetry.
    """
    verdict, reason = judge_by_classes(evidence) or judge_by_copies(evidence)
    return Symmetry(
        verdict, reason, evidence.num_images, evidence.recognised, evidence.loss, evidence.harm, evidence.told
    )


def judge_by_classes(evidence: Evidence) -> tuple[Verdict, str] | None:
    """The verdict of the probe; None if it recognises too little."""
    recognised, loss, harm, told = evidence.recognised, evidence.loss, evidence.harm, evidence.told
    if recognised is None or loss is None or harm is None or recognised.low <= evidence.chance + LEAST_ABOVE_CHANCE:
        return None
    room = recognised.value - evidence.chance
    shown = f"{recognised.value:.0%} of images are recognised, {recognised.value - loss.value:.0%} once transformed"
    if loss.low > 0 and loss.value > room / 2:
        return "no", shown
    if harm.low > 0:
        return "no", f"training with transformed copies costs {points(harm)}"
    if evidence.broken:
        return "no", f"{shown}, and hardly any of one class"
    if told.value > ALWAYS_TOLD and harm.high > 0:
        return "no", f"{told.value:.0%} of images are told from their transformed copies"
    mild = loss.high <= room / 2 or (loss.value <= MILD * room and loss.high <= 1.5 * MILD * room and harm.value <= 0)
    if mild and harm.high <= max(SMALL_HARM, room / 8):
        return "yes", f"{shown}; copies in training cost at most {max(0.0, 100 * harm.high):.1f} points"
    if told.high <= HARDLY_TOLD:
        return "yes", f"{shown}; copies can't be told from images ({told.value:.0%}; chance is 50%)"
    return "unknown", f"{evidence.num_images:,} images are too few to tell: {shown}"


def judge_by_copies(evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict if the classes can't be told apart."""
    told = evidence.told
    shown = f"{told.value:.0%} of images are told from their transformed copies; chance is 50%"
    if told.high <= HARDLY_TOLD:
        return "yes", shown
    return ("no" if told.low > HARDLY_TOLD else "unknown"), shown


def points(figure: Interval) -> str:
    """An interval in percentage points.

    >>> points(Interval(0.05, 0.02, 0.08))
    '5.0 points [2.0, 8.0]'
    """
    return f"{100 * figure.value:.1f} points [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
