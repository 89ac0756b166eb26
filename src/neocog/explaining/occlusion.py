"""Occlusion: how much the target falls when a part of the input is hidden.

    drop(window) = y(x) - y(x with the window replaced by the baseline)
    map(place)   = the mean drop of the windows that cover it

Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2. There the window is
grey, which is what zero is in a normalised input: the mean of the training data. A token of a text is replaced by the
vector of zeros, as padding has it; a point of a board by one of which nothing is known.
"""

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from neocog.errors import ConfigError
from neocog.explaining.attribution import Attribution
from neocog.explaining.explainer import Explainer
from neocog.explaining.scoring import Precision, Scorer, Windows
from neocog.tasks.target import Target

__all__ = ["default_windows", "occlusion"]

Sizes = int | Sequence[int]

LIKELY = 2  # windows that are likely to matter, for which precision is tested
FEW = 20  # places along an axis up to which each is hidden alone
SHARE = {1: 16, 2: 8, 3: 4}
"""How many windows lie side by side along an axis, by the number of axes."""
OVERLAP = {1: 4, 2: 2, 3: 2}
"""How many windows cover a place along an axis."""


def occlusion(
    explainer: Explainer,
    inputs: Tensor,
    target: Target,
    *,
    window: Sizes | None = None,
    stride: Sizes | None = None,
    baseline: float | Tensor = 0.0,
    precision: Precision = "auto",
) -> Attribution:
    """Hide each window of the input in turn; inputs (1, *shape), normalised.

    `window` and `stride` are in places of the input, one number or one for each axis; `default_windows` has the
    defaults. Windows begin at every multiple of the stride until the end is covered, and are cut off there. `baseline`
    is what a window is replaced by: a number, or a tensor that broadcasts to the input (C, *places).
    `values` has the drop of each window, (*windows). Raises ConfigError for sizes that don't fit.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    >>> explainer = Explainer(net, (1, 2, 2))
    >>> ones = torch.ones(1, 1, 2, 2)
    >>> found = occlusion(explainer, ones, explainer.target(ones))
    >>> torch.allclose(found.map.flatten(), net[1].weight[0])  # each drop is its weight
    True
    """
    values = explainer.values(inputs)
    places = tuple(values.shape[2:])
    usual = default_windows(places, tokens=explainer.token_layer is not None)
    windows = checked("window", window, usual[0], places)
    strides = checked("stride", stride, usual[1] if window is None else tuple(max(1, w // 2) for w in windows), windows)
    starts = [range(0, step * count(n, w, step), step) for n, w, step in zip(places, windows, strides, strict=True)]
    boxes = [
        tuple(slice(at, min(n, at + size)) for at, size, n in zip(corner, windows, places, strict=True))
        for corner in product(*starts)
    ]
    hidden = torch.as_tensor(baseline, dtype=values.dtype, device=values.device).expand(values.shape[1:])

    def make(rows: Sequence[int]) -> Tensor:
        variants = values.repeat(len(rows), *[1] * (values.ndim - 1))
        for variant, row in zip(variants, rows, strict=True):
            variant[:, *boxes[row]] = hidden[:, *boxes[row]]
        return variants

    covers = [cover(at, size, n).to(values) for at, size, n in zip(starts, windows, places, strict=True)]
    tape = explainer.tape(inputs)
    logits = target.of(tape.outputs)
    guess = (tape.gradient(logits)[0] * (values - hidden))[0].sum(0)  # of each place's part in a drop, to first order
    likely = over_axes(guess, [along.T for along in covers]).abs().flatten().argsort(descending=True)[:LIKELY].tolist()
    scorer = Scorer(explainer, inputs, target.of, precision)
    replaced = Windows(values, hidden, boxes) if len(places) == 2 else None
    found = scorer.scores(make, len(boxes), values, "occlusion", likely=likely, windows=replaced)
    drops = (found.reference - found.values).view(*map(len, starts))
    return Attribution(
        method="occlusion", target=target, logit=float(logits.detach()), values=drops,
        map=over_axes(drops.to(values), covers) / over_axes(torch.ones_like(drops).to(values), covers), signed=True,
        figures={"windows": len(boxes)} | found.figures,
    )  # fmt: skip


def default_windows(places: Sequence[int], *, tokens: bool = False) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes of windows and their strides, in places, for an input (C, *places).

    An eighth of each side of an image, by half a window; a sixteenth of a signal, by a quarter of a window; each place
    along an axis of 20 or fewer, and each token of a text.

    >>> default_windows((224, 224)), default_windows((19, 19)), default_windows((500,))
    (((28, 28), (14, 14)), ((1, 1), (1, 1)), ((31,), (8,)))
    """
    axes = len(places)
    windows = tuple(1 if tokens or size <= FEW else max(1, round(size / SHARE[axes])) for size in places)
    return windows, tuple(max(1, round(size / OVERLAP[axes])) for size in windows)


def count(size: int, window: int, stride: int) -> int:
    """How many windows cover an axis."""
    return max(0, math.ceil((size - window) / stride)) + 1


def checked(name: str, given: Sizes | None, usual: tuple[int, ...], most: tuple[int, ...]) -> tuple[int, ...]:
    """One whole number for each axis, from 1 to the most."""
    if given is None:
        return tuple(min(size, limit) for size, limit in zip(usual, most, strict=True))
    sizes = (given,) * len(most) if isinstance(given, int) else tuple(given)
    if len(sizes) != len(most) or any(not 1 <= size <= limit for size, limit in zip(sizes, most, strict=False)):
        limits = " x ".join(map(str, most))
        what = "the window" if name == "stride" else "the input"
        raise ConfigError(
            f"The {name} of occlusion has one size for each axis, from 1 to that of {what}, {limits}.",
            received=f"{name}={given!r}",
        )
    return sizes


def over_axes(values: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Sums along each axis by its matrix: of windows over places, or of places over windows."""
    for matrix in matrices:  # each turn sums over the first axis and puts the result last
        values = torch.tensordot(values, matrix, dims=([0], [0]))
    return values


def cover(starts: range, window: int, size: int) -> Tensor:
    """Which places of an axis lie in which window; (windows, places) of 0 and 1."""
    at, begin = torch.arange(size), torch.tensor(list(starts))[:, None]
    return ((at >= begin) & (at < begin + window)).float()
