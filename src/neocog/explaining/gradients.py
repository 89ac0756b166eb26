"""Maps from the gradient of one output with respect to the input.

    gradient       |dy/dx|, the largest of the channels (Simonyan et al. 2014, section 3.1)
    guided         the same, negative gradients stopped at each activation (Springenberg et al. 2015)
    deconvnet      rectified on the way back, whatever the input was; max pooling by switches (Zeiler & Fergus 2014)
    smoothgrad     the mean of |gradient| over noisy copies of the input (Smilkov et al. 2017)
    integrated     (x - x0) * mean of gradients on the way from x0 to x (Sundararajan et al. 2017)

`values` keep the sign and the channels; `map` has one number for each place. For token ids, gradients are taken of the
vectors of the tokens.
"""

import torch
from torch import Tensor

from neocog.explaining.attribution import Attribution
from neocog.explaining.explainer import Explainer
from neocog.explaining.rules import DECONVNET, GUIDED, PLAIN, Rules
from neocog.rng import normal
from neocog.tasks.target import Target

__all__ = ["deconvnet", "gradient", "guided", "integrated", "smoothgrad"]

BATCH = 16
FEWEST_STEPS, MOST_STEPS = 32, 1024
"""Of the midpoint rule along the way of integrated gradients."""
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
    for begin in range(0, samples, BATCH):
        numbers = range(begin, min(samples, begin + BATCH))
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
    Without `steps`, their number is doubled until the error is below 0.1%, from 32 up to 1024.
    """
    values = explainer.values(inputs)
    start = torch.zeros_like(values) if baseline is None else baseline.to(values).expand_as(values)
    ends = explainer.tape(inputs, values=torch.cat([start, values]), gradients=False)
    low, high = target.of(ends.outputs).tolist()
    count = steps or FEWEST_STEPS
    while True:
        found = along_way(explainer, inputs, target, start, values, count)
        error = abs(float(found.double().sum()) - (high - low)) / max(abs(high - low), 1e-12)
        if steps or error <= COMPLETE or count >= MOST_STEPS:
            break
        count *= 2
    return Attribution(
        method="integrated", target=target, logit=high, values=found[0], map=found[0].sum(0), signed=True,
        figures={"baseline": low, "completeness error": error, "steps": count},
    )  # fmt: skip


def along_way(
    explainer: Explainer, inputs: Tensor, target: Target, start: Tensor, values: Tensor, steps: int
) -> Tensor:
    """(x - x0) times the mean of the gradients at the middles of equal steps; (1, C, *places)."""
    total = torch.zeros_like(values)
    shares = ((torch.arange(steps, dtype=values.dtype, device=values.device) + 0.5) / steps).split(BATCH)
    for part in shares:
        way = start + part.view(-1, *[1] * (values.ndim - 1)) * (values - start)
        tape = explainer.tape(inputs, values=way)
        total += tape.gradient(target.of(tape.outputs))[0].sum(0)
    return (values - start) * total / steps


def from_channels(method: str, target: Target, logits: Tensor, values: Tensor) -> Attribution:
    return Attribution(
        method=method,
        target=target,
        logit=float(logits.detach()),
        values=values,
        map=values.abs().amax(0),
        signed=False,
    )
