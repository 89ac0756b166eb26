"""Backpropagation with its numbers, for one unit of a layer.

Forward: what the unit reads, its weights, the products and their sum. Backward, for a target E:

    delta = dE/dy                    of the unit
    delta = sum_v delta_v dy_v/dy    over the units v of the next layers that read it
    dE/dw = sum_i delta_i x_i        over the places i at which the unit's filter uses the weight

An operation without weights of its own is linear in what it reads as long as nothing switches: max pooling has the
weight 1 for the winner of a window and 0 for the others, average pooling 1/n each, ReLU 1 or 0, batch norm gamma/sigma.
These weights are derivatives, which autograd gives; what remains of the unit's value is called its bias.

The formulas are those of `neocog.reference`, and the numbers equal it. Source: Rumelhart, Hinton & Williams 1986,
"Learning representations by back-propagating errors".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.filters import observe
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.explaining.tape import Change
from neocog.explaining.unit_reads import Reads, read_by
from neocog.explaining.weight_products import WeightProducts, products_of
from neocog.tasks.target import Target

__all__ = ["Flow", "Followed", "follow_unit"]


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """The deltas of a next layer that flow into a unit: delta_v times the weight from the unit to v."""

    layer: Layer
    units: NDArray[np.int64]
    """The channel and place of each unit v that reads this one, (M, 1 + axes)."""
    weights: NDArray[np.float64]
    """(M,)."""
    deltas: NDArray[np.float64]
    """(M,)."""

    @property
    def products(self) -> NDArray[np.float64]:
        return self.weights * self.deltas

    @property
    def sum(self) -> float:
        return float(self.products.sum())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Followed:
    """One unit of a layer, forward and backward, as numbers."""

    layer: Layer
    unit: tuple[int, ...]
    """Channel and place."""
    reads: Reads
    """The places that the unit reads, with inputs and weights."""
    sum: float
    """Of the products."""
    bias: float
    """The rest of the value beside the sum: the bias of a layer with weights, if it has any."""
    value: float
    """As the network computes it: sum + bias, up to rounding."""
    delta: float
    """dE/dy."""
    flows: tuple[Flow, ...]
    """From each next layer; their sums add up to delta. Empty for an output of the network."""
    weights: WeightProducts | None
    """The gradient of each weight of the unit's filter, with its products; None for a layer without weights."""

    @property
    def inputs(self) -> NDArray[np.float64]:
        """(M,)."""
        return self.reads.inputs

    @property
    def products(self) -> NDArray[np.float64]:
        """Each input times its weight, (M,)."""
        return self.reads.products

    @property
    def sent_back(self) -> NDArray[np.float64]:
        """The part of the gradient of each input that comes from the unit: delta times the weight, (M,)."""
        return self.delta * self.reads.weights


def follow_unit(explainer: Explainer, inputs: Tensor, target: Target, layer: Layer, unit: Sequence[int]) -> Followed:
    """Follow one unit of a layer forward and backward, for one input (1, *shape), normalised.

    `unit` is a channel and a place, one number for each axis of the layer's feature maps. E is the target's output.
    All sums are in float64, of values in the network's precision. Of a module that is used twice, the gradient is that
    of this use. Raises ConfigError for a unit that the layer does not have.

    >>> net = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 2, bias=False), torch.nn.Flatten(), torch.nn.Linear(2, 1))
    >>> _ = net[0].weight.data.copy_(torch.tensor([[[5.0, 7.0]]]))
    >>> _ = net[2].weight.data.copy_(torch.tensor([[1.0, 10.0]]))
    >>> explainer, signal = Explainer(net, (1, 3)), torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> found = follow_unit(explainer, signal, explainer.target(signal), explainer.layers["0"], (0, 1))
    >>> found.products.tolist(), found.sum, found.delta, found.weights.gradient.tolist()
    ([10.0, 21.0], 31.0, 10.0, [[21.0, 32.0]])
    """
    if len(inputs) != 1:
        raise ConfigError("A unit is followed for one input.", received=f"{len(inputs)} inputs", fix="Pass inputs[:1].")
    grid = Grid.of(explainer, layer)
    channel, *place = (int(number) for number in unit) if len(unit) else (-1,)
    at = tuple(int(numbers[0]) for numbers in grid.index(tuple(place), channel))
    tape = explainer.tape(inputs, explainer.layers)
    value = float(grid.maps(tape.values[layer].detach())[(0, channel, *place)])
    scalar = target.of(tape.outputs)
    (deltas,) = tape.gradient(scalar, layer)
    seen = observe(explainer, inputs, layer)
    reads, bias = read_by(explainer, layer, seen, at)
    return Followed(
        layer=layer, unit=(channel, *place), reads=reads, sum=float(reads.products.sum()), bias=bias,
        value=value,
        delta=float(deltas.reshape(grid.output_shape)[at]),
        flows=tuple(flows_into(explainer, inputs, layer, at, lambda each: tape.gradient(scalar, each)[0])),
        weights=products_of(seen, deltas, at),
    )  # fmt: skip


def flows_into(
    explainer: Explainer, inputs: Tensor, layer: Layer, at: tuple[int, ...], delta_of: Callable[[Layer], Tensor]
) -> Iterator[Flow]:
    """The flow into a unit from each layer that reads it."""
    waiting, known = next_layers(explainer, layer), set[Layer]()
    while waiting:
        following = waiting.pop(0)
        if following in known:
            continue
        known.add(following)
        found = flow(explainer, inputs, layer, at, following, delta_of)
        if found is not None:
            yield found
        else:  # the plan says that it reads the unit, and on this device another one does
            waiting += next_layers(explainer, following)


def next_layers(explainer: Explainer, layer: Layer) -> list[Layer]:
    """The layers that read the output of a layer, directly or as a view of it."""
    trace = explainer.layers.plan.trace
    calls = {each.call: each for each in explainer.layers}
    values = {value for o in trace.operations if o.call == layer.call for value in o.outputs}
    found: dict[int, Layer] = {}
    for operation in trace.operations:
        if operation.call == layer.call or values.isdisjoint(operation.inputs):
            continue
        if operation.call in calls:
            found[operation.call] = calls[operation.call]
        else:
            values.update(operation.outputs)
    return [found[call] for call in sorted(found)]


def flow(
    explainer: Explainer,
    inputs: Tensor,
    layer: Layer,
    at: tuple[int, ...],
    following: Layer,
    delta_of: Callable[[Layer], Tensor],
) -> Flow | None:
    """How the units of one next layer read a unit, and what they send back to it; None if they don't.

    All other layers are cut off from the gradient, so that only the direct way counts. The weights of all units that
    read this one are a column of the Jacobian, which two backward passes give: the first is linear in what is sent
    back, and the second is its derivative.
    """
    changes: dict[Layer, Change] = {each: Tensor.detach for each in explainer.layers if each not in (layer, following)}
    changes[layer] = lambda values: values.detach().requires_grad_()
    tape = explainer.tape(inputs, [layer, following], changes=changes)
    made, source = tape.values[following], tape.values[layer]
    if not made.requires_grad:
        return None
    sent = torch.zeros_like(made, requires_grad=True)
    (back,) = torch.autograd.grad(made, source, sent, create_graph=True, allow_unused=True)
    if back is None:
        return None
    (column,) = torch.autograd.grad(back.reshape(Grid.of(explainer, layer).output_shape)[at], sent)
    grid = Grid.of(explainer, following)
    weights, deltas = grid.maps(column.double())[0], grid.maps(delta_of(following).double())[0]
    units = torch.nonzero(weights, as_tuple=True)
    return Flow(
        following, torch.stack(units, 1).cpu().numpy(), weights[units].cpu().numpy(), deltas[units].cpu().numpy()
    )
