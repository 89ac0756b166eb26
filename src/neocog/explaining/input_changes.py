"""Changes of a network's input: shift, rotation, scale, flip, noise and brightness, by kind of data.

Inputs are normalised, (N, C, *places). A geometric change is an affine map of places: the changed input at p is the
unchanged one at M (p - m) + m - t, interpolated linearly; m is the middle. Where that is outside, it is 0, the mean of
the data.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.data import AudioPreprocess
from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer, spec_zeros
from neocog.rng import normal

__all__ = ["CHANGES", "Affine", "InputChange", "kind_of", "sample"]

Changed = tuple[Tensor, "Affine | None", NDArray[np.bool_] | None]
"""The changed inputs, how places moved, and which of the new places, (*places), are from outside."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Where each place of a changed input is from; one row for each axis."""

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    middle: NDArray[np.float64]

    def sources(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places of the unchanged input, (axes, ...) -> (axes, ...)."""
        column = (..., *[None] * (places.ndim - 1))
        turned = np.tensordot(self.matrix, places - self.middle[column], 1)
        return np.asarray(turned + self.middle[column] - self.shift[column])


def sample(maps: Tensor, places: NDArray[np.float64]) -> tuple[Tensor, NDArray[np.bool_]]:
    """Feature maps (N, C, *places) at other places, (axes, *new): linear interpolation, and which are within the maps.

    Whole numbers give the values themselves. Outside, the nearest value is taken.

    >>> found, within = sample(torch.tensor([[[0.0, 10.0]]]), np.array([[0.25, 1.0, 2.0]]))
    >>> found.tolist(), within.tolist()
    ([[[2.5, 10.0, 10.0]]], [True, True, False])
    """
    sizes = maps.shape[2:]
    places = np.round(places, 9)  # cosines leave rounding behind
    last = np.array(sizes).reshape(-1, *[1] * (places.ndim - 1)) - 1
    within = np.asarray(((places >= 0) & (places <= last)).all(0))
    held = np.clip(places, 0, last)
    below = np.floor(held).astype(np.int64)
    part = held - below
    total = torch.zeros(*maps.shape[:2], *places.shape[1:], dtype=maps.dtype, device=maps.device)
    for corner in product((0, 1), repeat=len(sizes)):
        weights = np.prod([part[i] if side else 1 - part[i] for i, side in enumerate(corner)], axis=0)
        if not weights.any():
            continue
        at = (torch.from_numpy(np.minimum(below[i] + side, sizes[i] - 1)) for i, side in enumerate(corner))
        index: Any = (slice(None), slice(None), *at)
        total += maps[index] * torch.from_numpy(np.asarray(weights)).to(maps)
    return total, within


@dataclass(frozen=True, slots=True, eq=False)
class InputChange:
    """One kind of change, with its usual amounts."""

    unit: str
    amounts: tuple[float, ...]
    words: str
    """The change by some amount, with {n} for the number and {s} for a plural."""
    apply: Callable[[Explainer, Tensor, float, int], Changed]
    """From the explainer, inputs, an amount and a seed."""
    factor: bool = False
    """Whether 1 changes nothing, rather than 0."""

    def mildest(self, amounts: Sequence[float]) -> int:
        """Which of some amounts changes least, but changes something."""
        sizes = [abs(math.log(amount)) if self.factor and amount > 0 else abs(amount) for amount in amounts]
        return min(range(len(sizes)), key=lambda i: (sizes[i] == 0, sizes[i]))

    def text(self, amount: float) -> str:
        """The change by an amount, as the subject of a sentence.

        >>> CHANGES["image"]["shift"].text(1), CHANGES["image"]["rotation"].text(5)
        ('A shift by 1 pixel', 'A rotation by 5 degrees')
        """
        return self.words.format(n=f"{amount:g}", s="" if abs(amount) == 1 else "s")


def moved(inputs: Tensor, matrix: NDArray[np.float64], shift: NDArray[np.float64]) -> Changed:
    """Inputs under an affine map; inputs (N, C, *places)."""
    sizes = inputs.shape[2:]
    affine = Affine(matrix, shift, (np.array(sizes) - 1) / 2)
    places = affine.sources(np.stack(np.meshgrid(*(np.arange(size, dtype=float) for size in sizes), indexing="ij")))
    changed, within = sample(inputs, places)
    return changed * torch.from_numpy(within).to(changed), affine, ~within


def shift_along(axis: int) -> Callable[[Explainer, Tensor, float, int], Changed]:
    def shift(_: Explainer, inputs: Tensor, amount: float, __: int) -> Changed:
        axes = inputs.ndim - 2
        return moved(inputs, np.eye(axes), amount * np.eye(axes)[axis])

    return shift


def rotate(_: Explainer, inputs: Tensor, amount: float, __: int) -> Changed:
    """Counter-clockwise: rows run downwards, so a place is from where a clockwise turn takes it."""
    cos, sin = math.cos(math.radians(amount)), math.sin(math.radians(amount))
    return moved(inputs, np.array([[cos, sin], [-sin, cos]]), np.zeros(2))


def enlarge(_: Explainer, inputs: Tensor, amount: float, __: int) -> Changed:
    if amount <= 0:
        raise ConfigError("A scale is a factor above 0.", received=f"{amount:g}", fix="Use 1.1 to enlarge by 10%.")
    axes = inputs.ndim - 2
    return moved(inputs, np.eye(axes) / amount, np.zeros(axes))


def flip(_: Explainer, inputs: Tensor, amount: float, __: int) -> Changed:
    """Left and right exchanged; an amount of 0 changes nothing."""
    axes = inputs.ndim - 2
    matrix = np.eye(axes)
    matrix[-1, -1] = -1 if amount else 1
    return moved(inputs, matrix, np.zeros(axes))


def add_noise(_: Explainer, inputs: Tensor, amount: float, seed: int) -> Changed:
    drawn = normal(seed, 0, np.arange(len(inputs)), "equivariance", inputs[0].numel())
    noise = torch.from_numpy(drawn).to(inputs).view_as(inputs)
    return inputs + amount * float(inputs.std()) * noise, None, None


def brighten(explainer: Explainer, inputs: Tensor, amount: float, _: int) -> Changed:
    """Stored values times a factor, without clipping: black stays black."""
    black = black_of(explainer, inputs)
    return amount * (inputs - black) + black, None, None


def gain(explainer: Explainer, inputs: Tensor, amount: float, _: int) -> Changed:
    """The samples of a sound times a factor g, which adds 2 ln g to each logarithm of a power."""
    spec = explainer.preprocess
    if amount <= 0:
        raise ConfigError("A gain is a factor above 0.", received=f"{amount:g}", fix="Use 0.5 to halve the amplitude.")
    if not isinstance(spec, AudioPreprocess) or spec.features == "waveform":
        return brighten(explainer, inputs, amount, 0)
    if spec.features != "mel" or spec.compression != "log":
        raise ConfigError(
            "The gain of a sound is known on waveforms and log-mel spectrograms.",
            received=f"{spec.features} with compression {spec.compression}", fix="Measure shift or noise.",
        )  # fmt: skip
    zeros = spec_zeros(spec)
    louder = spec.normalise(zeros + 2 * math.log(amount)) - spec.normalise(zeros)
    return inputs + louder.to(inputs), None, None


def black_of(explainer: Explainer, inputs: Tensor) -> Tensor:
    """An input of stored zeros, normalised; zeros without a preprocessing."""
    spec = explainer.preprocess
    return torch.zeros_like(inputs[:1]) if spec is None else spec.normalise(spec_zeros(spec)).to(inputs)


PIXELS, FACTORS = (1.0, 2.0, 3.0, 4.0, 8.0), (0.5, 0.8, 0.9, 1.1, 1.25, 2.0)
ZOOMS = (0.8, 0.9, 0.95, 1.05, 1.1, 1.25)
NOISE = InputChange(
    "standard deviations", (0.02, 0.05, 0.1, 0.2, 0.5), "Noise of {n} standard deviation{s}", add_noise
)  # fmt: skip
GAIN = InputChange("factor", FACTORS, "A gain of {n}", gain, factor=True)
CHANGES: Mapping[str, Mapping[str, InputChange]] = {
    "image": {
        "shift": InputChange("pixels", PIXELS, "A shift by {n} pixel{s}", shift_along(-1)),
        "rotation": InputChange("degrees", (2.0, 5.0, 10.0, 20.0, 45.0, 90.0), "A rotation by {n} degree{s}", rotate),
        "scale": InputChange("factor", ZOOMS, "Scaling by {n}", enlarge, factor=True),
        "flip": InputChange("flips", (1.0,), "A flip", flip),
        "noise": NOISE,
        "brightness": InputChange("factor", FACTORS, "A brightness factor of {n}", brighten, factor=True),
    },
    "signal": {
        "shift": InputChange("samples", PIXELS, "A shift by {n} sample{s}", shift_along(0)),
        "scale": InputChange("factor", ZOOMS, "Stretching time by {n}", enlarge, factor=True),
        "noise": NOISE,
    },
    "spectrogram": {
        "shift": InputChange("frames", PIXELS, "A shift by {n} frame{s}", shift_along(0)),
        "brightness": GAIN,
        "noise": NOISE,
    },
    "waveform": {
        "shift": InputChange("samples", PIXELS, "A shift by {n} sample{s}", shift_along(0)),
        "brightness": GAIN,
        "noise": NOISE,
    },
}
"""Kind of input -> name of a change -> the change."""


def kind_of(explainer: Explainer) -> str:
    """The kind of a network's inputs among `CHANGES`; without preprocessing, an image or a signal by its axes.

    Raises ConfigError for texts, boards and tables, which have no such changes.
    """
    axes, spec = len(explainer.input_shape) - 1, explainer.preprocess
    kind = {1: "signal", 2: "image"}.get(axes, "other") if spec is None else spec.modality
    if kind == "audio":
        return "waveform" if axes == 1 else "spectrogram"
    if kind not in CHANGES or not explainer.dtype.is_floating_point:
        raise ConfigError(
            "Changes are measured for images, signals and sounds.",
            received=f"{kind} inputs of shape {explainer.input_shape}",
        )  # fmt: skip
    return kind
