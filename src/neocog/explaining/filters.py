"""The weights that a layer multiplies with, taken from the network as it runs.

A functional convolution has no module to ask, and weight standardisation, spectral norm or pruning make the weights
from others in each forward pass. So a layer's call is observed: the products with weights in it, with their arguments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Reached
from neocog.explaining.tape import on_copy, works_in_place
from neocog.planning import NumberedCalls
from neocog.torch_private import TorchDispatchMode, storage_id, tree_map_only

__all__ = ["Observed", "WeightedSum", "first_filters", "has_weights", "kernels", "observe"]

MATRIX = {"mm": 0, "addmm": 1}  # the place of the inputs among the arguments; the weights follow


def kernels(explainer: Explainer, layer: Layer) -> Tensor:
    """The weights of a layer as it runs: (O, I, *kernel) of a convolution, (O, I) of a dense layer.

    I counts the channels that one output reads: those of its group. Kernels of a transposed convolution, which torch
    keeps as (I, O, *kernel), are turned to this order. Raises ConfigError for a layer without weights.

    >>> net = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3, groups=2), torch.nn.Flatten(), torch.nn.Linear(144, 5))
    >>> explainer = Explainer(net, (2, 8, 8))
    >>> kernels(explainer, explainer.layers["0"]).shape, kernels(explainer, explainer.layers["2"]).shape
    (torch.Size([4, 1, 3, 3]), torch.Size([5, 144]))
    """
    if not has_weights(explainer, layer):
        raise ConfigError(
            "Only convolutions and dense layers have kernels.", received=f"{layer.name}, {layer.row.operator}",
            fix=f"Choose one of: {', '.join(each.name for each in explainer.layers if has_weights(explainer, each))}.",
        )  # fmt: skip
    zeros = torch.zeros(1, *explainer.input_shape, dtype=explainer.dtype, device=explainer.device)
    found = observe(explainer, zeros, layer).weighted
    assert found is not None, "the plan has seen one"
    return found.kernels


def first_filters(explainer: Explainer) -> tuple[Layer, Tensor]:
    """The first convolution and its kernels (O, I, *kernel); of a network without one, the first dense layer's (O, I).

    Raises ConfigError for a network without either.
    """
    weighted = [layer for layer in explainer.layers if has_weights(explainer, layer)]
    if not weighted:
        raise ConfigError(
            "Filters are those of a convolution or a dense layer.", received="a network without either",
            fix="Look at its feature maps instead.",
        )  # fmt: skip
    chosen = next((layer for layer in weighted if layer.is_convolution), weighted[0])
    return chosen, kernels(explainer, chosen)


def has_weights(explainer: Explainer, layer: Layer) -> bool:
    """Whether a layer is a convolution or a product with a matrix, neither of two feature maps with each other."""
    trace = explainer.layers.plan.trace
    for operation in trace.operations:
        if operation.call == layer.call:
            place = 1 if operation.name == "convolution" else MATRIX.get(operation.name, -2) + 1
            if place > 0 and not trace.values[operation.args[place].value].from_input:
                return True
    return False


@dataclass(frozen=True, slots=True, eq=False)
class WeightedSum:
    """A convolution or a product with a matrix, with its arguments."""

    inputs: Tensor
    """(N, C, *places) of a convolution, (rows, I) of a dense layer."""
    weight: Tensor
    """As torch keeps it: (O, I/g, *k), transposed (I, O/g, *k), dense (O, I)."""
    bias: Tensor | None
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    transposed: bool = False
    groups: int = 1

    @property
    def is_convolution(self) -> bool:
        return self.weight.ndim > 2

    @property
    def kernels(self) -> Tensor:
        """(O, I/g, *k), or (O, I)."""
        if not self.transposed:
            return self.weight
        each = len(self.weight) // self.groups
        return self.weight.reshape(self.groups, each, *self.weight.shape[1:]).transpose(1, 2).flatten(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """A layer's call: what was called, with copies of its tensors."""

    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: dict[int, tuple[int, int]]
    """From the identity of each copy to that of the tensor itself, and to the memory that it is a view of."""
    weighted: WeightedSum | None
    """The product with weights in it, if there is one."""

    @property
    def name(self) -> str:
        """Of the function: conv2d, relu, batch_norm."""
        return str(getattr(self.func, "__name__", "")).rstrip("_")

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        return self.args[place] if place < len(self.args) else self.kwargs.get(name, default)


def observe(explainer: Explainer, inputs: Tensor, layer: Layer) -> Observed:
    """Run the network on normalised inputs up to a layer, and look at the layer's call. Without gradients."""
    observer = Observer(layer.call, has_weights(explainer, layer))
    with torch.no_grad():
        given = inputs.clone()
        try:
            with observer:
                explainer.network(given)
        except Reached:
            pass
    if observer.seen is None:
        raise ConfigError(
            "A layer must run each time in the same place.", received=f"a network that did not run {layer.name}",
            fix="A path that depends on values can't be explained layer by layer.",
        )  # fmt: skip
    return observer.seen


class Observer(NumberedCalls):
    """Keeps one call and stops behind it."""

    def __init__(self, wanted: int, with_weights: bool) -> None:
        super().__init__()
        self.wanted, self.with_weights = wanted, with_weights
        self.seen: Observed | None = None

    def call(self, number: int, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if number != self.wanted:
            return func(*args, **kwargs)
        sources: dict[int, tuple[int, int]] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept = copied(tensor)
            sources[id(kept)] = id(tensor), storage_id(tensor)
            return kept

        held = tree_map_only(Tensor, keep, (args, kwargs))
        name, target = getattr(func, "__name__", ""), args[0] if args else kwargs.get("input")
        if works_in_place(name, args, kwargs) and isinstance(target, Tensor):
            args, kwargs = on_copy(target, args, kwargs)
        products = Products()
        with products:
            func(*args, **kwargs)
        weighted = products.found[-1] if products.found and self.with_weights else None
        self.seen = Observed(func, held[0], held[1], sources, weighted)
        raise Reached


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the products with weights that torch's dispatcher is asked for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[WeightedSum] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__.strip("_")
        if name == "convolution":
            x, weight, bias, stride, padding, dilation, transposed, _, groups = args
            numbers = (tuple(stride), tuple(padding), tuple(dilation), transposed, groups)
            self.found.append(WeightedSum(copied(x), copied(weight), None if bias is None else copied(bias), *numbers))
        elif name in MATRIX:
            place = MATRIX[name]
            bias = copied(args[0]) if place else None
            self.found.append(WeightedSum(copied(args[place]), copied(args[place + 1]).t().contiguous(), bias))
        return func(*args, **(kwargs or {}))


def copied(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()
