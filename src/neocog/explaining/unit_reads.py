"""The values that one unit of a layer reads, each with its weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.explaining.explainer import Explainer
from neocog.explaining.filters import Observed
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.planning.dependencies import Marks
from neocog.planning.fields import backward
from neocog.planning.rules import dependencies
from neocog.torch_private import storage_id, tree_leaves, tree_map_only

__all__ = ["Reads", "read_by"]

WEIGHTED = frozenset(
    {
        "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "prelu",
        "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "embedding",
    }
)  # fmt: skip
"""Functions whose tensors after the first are weights and statistics."""


@dataclass(frozen=True, slots=True, eq=False)
class Reads:
    """The values that a unit reads; M of them."""

    places: NDArray[np.int64]
    """Channel and place of each in what the layer receives, (M, dimensions without the batch)."""
    sources: NDArray[np.int64]
    """Which of several inputs each is of, such as the two that are added, (M,)."""
    inputs: NDArray[np.float64]
    """(M,)."""
    weights: NDArray[np.float64]
    """(M,); of an operation without weights, its derivative for each input."""

    @property
    def products(self) -> NDArray[np.float64]:
        """(M,)."""
        return self.inputs * self.weights

    @classmethod
    def of(cls, given: Sequence[Tensor], slopes: Sequence[Tensor | None], marks: Sequence[Marks | None]) -> "Reads":
        """From the tensors that a call receives, (1, ...) each, the unit's derivatives, and marks on what it reads.

        If the marks of a tensor are not known, it is what has a derivative.
        """
        width = max((tensor.ndim - 1 for tensor in given), default=0)
        parts = [(np.zeros((0, width), np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))]
        for source, (tensor, slope, marked) in enumerate(zip(given, slopes, marks, strict=True)):
            known = torch.zeros_like(tensor) if slope is None else slope
            fits = marked is not None and marked.size == tensor.numel()
            read = marked.reshape(tensor.shape) if fits and marked is not None else (known != 0).cpu().numpy()
            places = np.argwhere(read)[:, 1:]
            picked = torch.from_numpy(np.ascontiguousarray(read)).to(tensor.device)
            numbers, weights = (each.detach()[picked].double().cpu().numpy() for each in (tensor, known))
            filled = np.pad(places, ((0, 0), (width - places.shape[1], 0)))
            parts.append((filled, np.full(len(places), source), numbers, weights))
        places, sources, inputs, weights = (np.concatenate([part[i] for part in parts]) for i in range(4))
        return cls(places, sources, inputs, weights)


def read_by(explainer: Explainer, layer: Layer, seen: Observed, at: tuple[int, ...]) -> tuple[Reads, float]:
    """The values that the unit at this place of a layer's output reads, and what is added to their products.

    The plan says which values these are, so that zeros of padding are not among them, and those that lose against a
    maximum are.
    """
    grid = Grid.of(explainer, layer)
    with torch.enable_grad():
        args, kwargs, given = as_leaves(explainer, layer, seen)
        result = seen.func(*args, **kwargs)
        if result is None:  # an assignment to a part
            result = args[0]
        made: Tensor = result[0] if isinstance(result, tuple | list) else result
        value = made.reshape(grid.output_shape)[at]
    slopes: list[Tensor | None] = [None] * len(given)
    if value.requires_grad:
        slopes = list(torch.autograd.grad(value, given, allow_unused=True))
    marks = local_reads(explainer, layer, grid, at)
    reads = Reads.of(given, slopes, marks if len(marks) == len(given) else [None] * len(given))
    return reads, bias_of(seen, at, float(value.detach()), float(reads.products.sum()))


def bias_of(seen: Observed, at: tuple[int, ...], value: float, total: float) -> float:
    """The bias of a layer with weights; of another, what the value has beside the products."""
    weighted = seen.weighted
    if weighted is None:
        return value - total
    if weighted.bias is None:
        return 0.0
    return float(weighted.bias.flatten()[at[1] if weighted.is_convolution else at[-1]])


def as_leaves(
    explainer: Explainer, layer: Layer, seen: Observed
) -> tuple[tuple[Any, ...], dict[str, Any], list[Tensor]]:
    """The arguments of a call, and those of its tensors that come from the input, as leaves of autograd."""
    chosen = from_input(explainer, layer, seen)
    leaves: dict[int, Tensor] = {}  # identity of a tensor of the network -> its leaf
    used: dict[int, Tensor] = {}

    def replace(tensor: Tensor) -> Tensor:
        source, _ = seen.sources[id(tensor)]
        if source in chosen and source not in used:
            leaves[source] = tensor.clone().requires_grad_()
            used[source] = leaves[source].clone()  # may be written to in place
        return used.get(source, tensor)

    args, kwargs = tree_map_only(Tensor, replace, (seen.args, seen.kwargs))
    return args, kwargs, list(leaves.values())


def from_input(explainer: Explainer, layer: Layer, seen: Observed) -> set[int]:
    """The tensors among a call's arguments that the input is in, by identity.

    They are none of the network's own, nor views of these; of what is left, those whose shapes the plan expects.
    """
    network = explainer.network
    owned = {storage_id(tensor) for tensor in (*network.parameters(), *network.buffers())}
    tensors = [leaf for leaf in tree_leaves((seen.args, seen.kwargs)) if isinstance(leaf, Tensor)]
    known = {
        seen.sources[id(t)][0]: t for t in tensors if t.is_floating_point() and seen.sources[id(t)][1] not in owned
    }
    if seen.name in WEIGHTED:
        return set(list(known)[:1])
    trace = explainer.layers.plan.trace
    shapes = [trace.values[value].shape for value in received(explainer, layer)]
    found = set[int]()
    for source, tensor in known.items():
        if tuple(tensor.shape) in shapes:
            shapes.remove(tuple(tensor.shape))
            found.add(source)
    return found or set(list(known)[:1])


def received(explainer: Explainer, layer: Layer) -> list[int]:
    """The values of the trace that a layer's call receives and that the input is in, in the order of reading."""
    trace = explainer.layers.plan.trace
    inner = [o for o in trace.operations if o.call == layer.call and o.operator is not None]
    made = {value for operation in inner for value in operation.outputs}
    read = (value for operation in inner for value in operation.inputs)
    return list(dict.fromkeys(v for v in read if v not in made and trace.values[v].from_input))


def local_reads(explainer: Explainer, layer: Layer, grid: Grid, at: tuple[int, ...]) -> list[Marks | None]:
    """Marks on what a unit reads of each value that the layer's call receives, in their order."""
    trace = explainer.layers.plan.trace
    inner = [o for o in trace.operations if o.call == layer.call and o.operator is not None]
    marks: dict[int, Marks] = {grid.value: np.zeros(grid.output_shape, bool)}
    marks[grid.value][at] = True
    for operation in reversed(inner):
        for output, value in enumerate(operation.outputs):
            wanted = marks.pop(value, None)
            if wanted is None or not wanted.any():
                continue
            for source, steps in dependencies(trace, operation, output):
                read = backward(wanted, trace.values[source].shape, steps)
                marks[source] = marks[source] | read if source in marks else read
    return [marks.get(value) for value in received(explainer, layer)]
