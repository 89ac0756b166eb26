"""Inputs that excite an output or a channel most, made by gradient ascent.

    maximise    y(x) - l2 * mean(x^2) - tv * mean |x_i - x_j| over neighbours i, j

The input moves a little at each step (jitter), so that no single place serves. Images are kept within the range of
pixels; their values, and those of signals and spectrograms, are coefficients of sines and cosines, weighed by
1 / frequency, as natural images have them: without that, ascent finds high frequencies only. `natural=False` takes the
values themselves.
Sources: Simonyan et al. 2014, "Deep inside convolutional networks", section 2; Mahendran & Vedaldi 2015 for the total
variation; Olah et al. 2017, "Feature visualization" (Distill), for jitter and the weighed frequencies.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.progress import Bar
from neocog.rng import integers, normal
from neocog.tasks.target import Target

__all__ = ["Synthesised", "synthesise"]

Channel = tuple[Layer | str, int]
"""A layer, or its name, and a channel of its outputs."""

RATE = 0.05  # of Adam
START = 0.01  # standard deviation of the first coefficients


@dataclass(frozen=True, slots=True, eq=False)
class Synthesised:
    """An input that was made, and what it is worth."""

    inputs: Tensor
    """(1, *shape), normalised."""
    decoded: Tensor
    """(*shape), before normalisation: pixels from 0 to 255 of an image."""
    value_before: float
    """Of the target for the first, almost empty input; of a channel its mean."""
    value_after: float


@torch.inference_mode(False)
@torch.enable_grad()
def synthesise(
    explainer: Explainer,
    target: Target | Channel,
    *,
    steps: int = 256,
    seed: int = 0,
    jitter: float = 0.03,
    l2: float = 1e-3,
    tv: float = 1e-2,
    natural: bool = True,
    rate: float = RATE,
) -> Synthesised:
    """Make an input for which a target, or the mean of a channel `(layer, channel)`, is as high as can be.

    `jitter` is the largest shift, as a share of each axis. The same seed gives the same input. Raises ConfigError for a
    network of tokens or boards, whose inputs can't change a little, and for a channel that the layer doesn't have.

    >>> from torch import nn
    >>> explainer = Explainer(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2)), (1, 8, 8))
    >>> found = synthesise(explainer, Target("dog", 1), steps=8)
    >>> found.inputs.shape, found.value_after > found.value_before
    (torch.Size([1, 1, 8, 8]), True)
    """
    score = checked(explainer, target)
    canvas = Canvas(explainer, seed, natural)
    optimizer = torch.optim.Adam([canvas.coefficients], lr=rate)
    most = [int(jitter * size) for size in explainer.input_shape[1:]]
    before = float(score(canvas.inputs().detach())[0])
    with Bar("synthesis", steps) as bar:
        for step in range(steps):
            inputs = canvas.inputs()
            value, gradient = score(moved(inputs.detach(), most, seed, step))
            back = moved(gradient, most, seed, step, back=True)
            objective = (inputs * back).sum() - l2 * (inputs**2).mean() - tv * variation(inputs)
            canvas.coefficients.grad = -torch.autograd.grad(objective, canvas.coefficients)[0]
            optimizer.step()
            bar.draw(step + 1, f"{value:.3g}" if bar.due else "")
    made = canvas.inputs().detach()
    return Synthesised(made, canvas.decoded(made), before, float(score(made)[0]))


def checked(explainer: Explainer, target: Target | Channel) -> Callable[[Tensor], tuple[float, Tensor]]:
    """The value that is to be made high, with its gradient, as a function of inputs (1, *shape)."""
    modality = getattr(explainer.preprocess, "modality", "")
    if explainer.token_layer is not None or modality == "board":
        raise ConfigError(
            "Inputs can be synthesised for images, signals and sounds, since these can change a little.",
            received="a network of " + ("boards" if modality == "board" else "tokens"),
            fix="Look at the patches of the data that excite a channel most.",
        )
    if isinstance(target, Target):

        def of_target(inputs: Tensor) -> tuple[float, Tensor]:
            tape = explainer.tape(inputs)
            scores = target.of(tape.outputs)
            return float(scores.detach()), tape.gradient(scores)[0]

        return of_target
    layer, channel = explainer.layers[target[0]] if isinstance(target[0], str) else target[0], target[1]
    if not 0 <= channel < layer.shape[0]:
        raise ConfigError(f"{layer.name} has the channels 0 to {layer.shape[0] - 1}.", received=f"channel {channel}")

    def of_channel(inputs: Tensor) -> tuple[float, Tensor]:
        tape = explainer.tape(inputs, [layer])
        scores = tape.values[layer][:, channel].mean()
        return float(scores.detach()), tape.gradient(scores)[0]

    return of_channel


class Canvas:
    """An input as coefficients to be changed."""

    def __init__(self, explainer: Explainer, seed: int, natural: bool) -> None:
        self.explainer, self.shape = explainer, explainer.input_shape
        self.natural = natural
        places = self.shape[1:]
        self.weights = frequency_weights(places).to(explainer.device)
        shape = (self.shape[0], *self.weights.shape, 2) if natural else self.shape
        drawn = normal(seed, epoch=0, samples=range(1), purpose="synthesis", num=math.prod(shape))
        self.coefficients = (START * torch.from_numpy(drawn).to(explainer.device, explainer.dtype)).view(shape)
        self.coefficients.requires_grad_()
        self.low, self.high = bounds(explainer)

    def inputs(self) -> Tensor:
        """(1, *shape), normalised, as a function of the coefficients."""
        values = self.coefficients
        if self.natural:
            axes = tuple(range(1, len(self.shape)))
            weighed = torch.view_as_complex(values) * self.weights
            values = torch.fft.irfftn(weighed, s=self.shape[1:], dim=axes, norm="ortho")
        if self.low is not None and self.high is not None:
            values = self.low + (self.high - self.low) * values.sigmoid()
        return values[None]

    def decoded(self, inputs: Tensor) -> Tensor:
        """(1, *shape) -> (*shape), before normalisation, by the inverse of what normalisation does to 0 and 1."""
        spec = self.explainer.preprocess
        if spec is None:
            return inputs[0]
        zero, one = (spec.normalise(torch.full((1, *spec.shape), fill)).to(inputs) for fill in (0.0, 1.0))
        values = ((inputs - zero) / (one - zero))[0]
        if spec.dtype.is_floating_point:
            return values
        limits = torch.iinfo(spec.dtype)
        return values.round().clamp(limits.min, limits.max).to(spec.dtype)


def bounds(explainer: Explainer) -> tuple[Tensor | None, Tensor | None]:
    """The least and the greatest value of each place, normalised, if inputs are decoded as whole numbers."""
    spec = explainer.preprocess
    if spec is None or spec.dtype.is_floating_point:
        return None, None
    limits = torch.iinfo(spec.dtype)
    low, high = (
        spec.normalise(torch.full((1, *spec.shape), float(fill)))[0].to(explainer.device, explainer.dtype)
        for fill in (limits.min, limits.max)
    )
    return low, high


def frequency_weights(places: tuple[int, ...]) -> Tensor:
    """1 / frequency of each coefficient of a real Fourier transform, scaled to a mean square of 1; (*frequencies).

    The frequency 0 has the weight of the lowest other one.
    """
    *first, last = places
    axes = [torch.fft.fftfreq(size) for size in first] + [torch.fft.rfftfreq(last)]
    radius = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    weights: Tensor = 1 / radius.clamp_min(1 / max(places))
    scaled: Tensor = weights / weights.square().mean().sqrt()
    return scaled


def moved(inputs: Tensor, most: list[int], seed: int, step: int, *, back: bool = False) -> Tensor:
    """Rolled by a random number of places along each axis, or back by the same."""
    shifts = [
        int(integers(seed, epoch=step, samples=[axis], purpose="jitter", low=-size, high=size)[0, 0])
        for axis, size in enumerate(most)
    ]
    return inputs.roll([-shift if back else shift for shift in shifts], list(range(2, inputs.ndim)))


def variation(inputs: Tensor) -> Tensor:
    """The mean absolute difference of neighbours along each axis, summed over axes."""
    axes = [axis for axis in range(2, inputs.ndim) if inputs.shape[axis] > 1]
    parts = [inputs.diff(dim=axis).abs().mean() for axis in axes]
    return torch.stack([inputs.new_zeros(()), *parts]).sum()
