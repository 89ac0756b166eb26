"""Maps from the gradient of one output with respect to the input.

    gradient       |dy/dx|, the largest of the channels (Simonyan et al. 2014, section 3.1)
    guided         the same, negative gradients stopped at each activation (Springenberg et al. 2015)
    deconvnet      rectified on the way back, whatever the input was; max pooling by switches (Zeiler & Fergus 2014)
    smoothgrad     the mean of |gradient| over noisy copies of the input (Smilkov et al. 2017)
    integrated     (x - x0) * mean of gradients on the way from x0 to x (Sundararajan et al. 2017)

`values` keep the sign and the channels; `map` has one number for each place. For token ids, gradients are taken of the
vectors of the tokens.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from neocog.explaining.attribution import Attribution
from neocog.explaining.explainer import Explainer
from neocog.explaining.rules import DECONVNET, GUIDED, PLAIN, Rules
from neocog.explaining.tape import at_once
from neocog.rng import normal
from neocog.tasks.target import Target

__all__ = ["deconvnet", "gradient", "guided", "integrated", "smoothgrad"]

T = TypeVar("T")
FEWEST_STEPS, MOST_STEPS, HALVED = 32, 512, 8
"""Of the midpoint rule along the way of integrated gradients, and how many steps are halved at once."""
COMPLETE = 1e-3  # of the difference that the map adds up to
NOISE = 0.15
"""Standard deviation of SmoothGrad's noise, as a share of the input's range; Smilkov et al. use 0.1 to 0.2."""


def gradient(explainer: Explainer, inputs: Tensor, target: Target, *, rules: Rules = PLAIN) -> Attribution:
    """The gradient of the target; inputs (1, *shape), normalised.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    >>> explainer = Explainer(net, (1, 2, 2))
    >>> found = gradient(explainer, torch.ones(1, 1, 2, 2), explainer.target(torch.ones(1, 1, 2, 2)))
    >>> torch.equal(found.values.flatten(), net[1].weight[0])
    True
    """
    tape = explainer.tape(inputs, rules=rules)
    logits = target.of(tape.outputs)
    (found,) = tape.gradient(logits)
    name = {"plain": "gradient"}.get(rules.activations, rules.activations)
    return from_channels(name, target, logits, found[0])


def guided(explainer: Explainer, inputs: Tensor, target: Target) -> Attribution:
    """Guided backpropagation: as `gradient`, with negative gradients stopped at each rectifier."""
    return gradient(explainer, inputs, target, rules=GUIDED)


def deconvnet(explainer: Explainer, inputs: Tensor, target: Target, *, rules: Rules = DECONVNET) -> Attribution:
    """The deconvnet: transposed convolutions, unpooling by switches, and rectified signals on the way back.

    Where pooling windows overlap, unpooling overwrites; `Rules("deconvnet", "add")` adds instead, as a gradient does.
    """
    return gradient(explainer, inputs, target, rules=rules)


def smoothgrad(
    explainer: Explainer, inputs: Tensor, target: Target, *, samples: int = 32, noise: float = NOISE, seed: int = 0
) -> Attribution:
    """The mean of |gradient| over copies of the input with Gaussian noise of `noise` times its range."""
    values = explainer.values(inputs)
    spread = noise * float(values.max() - values.min())
    total, absolute = torch.zeros_like(values), torch.zeros_like(values)
    for begin in range(0, samples, step := at_once(values)):
        numbers = range(begin, min(samples, begin + step))
        drawn = normal(seed, epoch=0, samples=numbers, purpose="smoothgrad", num=values[0].numel())
        noisy = values + spread * torch.from_numpy(drawn).to(values).view(len(numbers), *values.shape[1:])
        tape = explainer.tape(inputs, values=noisy)
        (found,) = tape.gradient(target.of(tape.outputs))
        total, absolute = total + found.sum(0), absolute + found.abs().sum(0)
    logits = target.of(explainer.tape(inputs, gradients=False).outputs)
    return Attribution(
        method="smoothgrad", target=target, logit=float(logits), values=(total / samples)[0],
        map=(absolute / samples)[0].amax(0), signed=False, figures={"samples": samples, "noise": noise},
    )  # fmt: skip


def integrated(
    explainer: Explainer,
    inputs: Tensor,
    target: Target,
    *,
    steps: int | None = None,
    baseline: Tensor | None = None,
) -> Attribution:
    """Integrated gradients from a baseline, by default zeros: the mean of the training data, or tokens of no meaning.

    The map adds up to y(x) - y(x0); `figures["completeness error"]` is the difference, as a share of |y(x) - y(x0)|.
    `steps` takes that many equal steps along the way. By default there are 32, and the steps whose gradients miss the
    change of y by most are halved until the error is below 0.1%, or there are 512.
    """
    values = explainer.values(inputs)
    start = torch.zeros_like(values) if baseline is None else baseline.to(values).expand_as(values)
    way = Way(explainer, inputs, target, start, values)
    edges = torch.linspace(0, 1, (steps or FEWEST_STEPS) + 1, dtype=torch.float64).tolist()
    heights = way.heights(edges if steps is None else [0.0, 1.0])
    low, high = heights[0], heights[-1]
    if steps is not None:
        heights = [low + (high - low) * edge for edge in edges]  # not read: no step is halved
    pieces = way.pieces(list(pairwise(zip(edges, heights, strict=True))))
    while steps is None and way.error(pieces) > COMPLETE and len(pieces) + HALVED <= MOST_STEPS:
        pieces.sort(key=lambda piece: abs(piece.missed))
        worst, pieces = pieces[-HALVED:], pieces[:-HALVED]
        pieces += way.pieces([half for piece in worst for half in piece.halves()])
    found = torch.zeros_like(values[0])
    for piece in pieces:
        found += piece.adds
    return Attribution(
        method="integrated", target=target, logit=high, values=found, map=found.sum(0), signed=True,
        figures={"baseline": low, "completeness error": way.error(pieces), "steps": len(pieces)},
    )  # fmt: skip


Edge = tuple[float, float]
"""A place on the way, from 0 to 1, and the target's value there."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of the way from the baseline to the input."""

    begin: Edge
    middle: Edge
    end: Edge
    adds: Tensor
    """The gradient at the middle times the way through this piece; (C, *places)."""
    missed: float
    """The sum of that less the change of the target."""

    def halves(self) -> "list[tuple[Edge, Edge]]":
        return [(self.begin, self.middle), (self.middle, self.end)]


class Way:
    """The straight way from a baseline to an input, and the target along it."""

    def __init__(self, explainer: Explainer, inputs: Tensor, target: Target, start: Tensor, values: Tensor) -> None:
        self.explainer, self.inputs, self.target = explainer, inputs, target
        self.start, self.step = start, values - start

    def at(self, places: Sequence[float]) -> Tensor:
        """The inputs at some places; (n, C, *places)."""
        shares = torch.tensor(places, dtype=torch.float64).to(self.step)
        return self.start + shares.view(-1, *[1] * (self.step.ndim - 1)) * self.step

    def heights(self, places: Sequence[float]) -> list[float]:
        """The target's value at some places."""
        found: list[float] = []
        for part in batched(places, at_once(self.step)):
            tape = self.explainer.tape(self.inputs, values=self.at(part), gradients=False)
            found += self.target.of(tape.outputs).tolist()
        return found

    def pieces(self, ends: "Sequence[tuple[Edge, Edge]]") -> list[Piece]:
        """The gradients at the middles of some pieces."""
        found = []
        for part in batched(ends, at_once(self.step)):
            middles = [(begin[0] + end[0]) / 2 for begin, end in part]
            tape = self.explainer.tape(self.inputs, values=self.at(middles))
            heights = self.target.of(tape.outputs)
            (gradients,) = tape.gradient(heights)
            for (begin, end), middle, height, row in zip(part, middles, heights.tolist(), gradients, strict=True):
                adds = row * self.step[0] * (end[0] - begin[0])
                missed = float(adds.double().sum()) - (end[1] - begin[1])
                found.append(Piece(begin, (middle, height), end, adds, missed))
        return found

    def error(self, pieces: Sequence[Piece]) -> float:
        """The change of the target that the pieces miss together, as a share of it."""
        change = max(p.end for p in pieces)[1] - min(p.begin for p in pieces)[1]
        return abs(math.fsum(piece.missed for piece in pieces)) / max(abs(change), 1e-12)


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[begin : begin + size] for begin in range(0, len(items), size))


def from_channels(method: str, target: Target, logits: Tensor, values: Tensor) -> Attribution:
    return Attribution(
        method=method,
        target=target,
        logit=float(logits.detach()),
        values=values,
        map=values.abs().amax(0),
        signed=False,
    )
