"""A forward pass whose layers are kept, so that gradients with respect to any of them can be asked for.

Calls are counted as the plan counts them (`NumberedCalls`), so a layer is found again whatever function made it.
Where the network works in place, a kept layer has the value at its own moment: the call is made on a copy, whose values
are then written where the network expects them.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining.layers import Layer
from neocog.explaining.rules import PLAIN, Rules
from neocog.planning import NumberedCalls
from neocog.zoo.network import join_outputs

__all__ = ["Change", "Tape", "at_once", "own_buffers", "run"]

MOST_AT_ONCE, PLACES_AT_ONCE = 16, 2**19
Change = Callable[[Tensor], Tensor]
"""The output of a layer, (N, C, *places), as something else of the same shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """A forward pass: its inputs, outputs and the layers that were kept."""

    inputs: Tensor
    """(N, *shape), a leaf that takes gradients; token ids take none."""
    outputs: Tensor
    """As `join_outputs` joins them: (N, K) or (N, K, *places)."""
    values: Mapping[Layer, Tensor]
    """The output of each layer that was kept, (N, C, *places)."""

    def gradient(self, scalars: Tensor, *layers: Layer) -> tuple[Tensor, ...]:
        """The gradient of the sum of some scalars with respect to layers, or to the inputs if none is named.

        Zeros where the scalars don't depend on a layer.
        """
        wanted = [self.values[layer] for layer in layers] or [self.inputs]
        if not scalars.requires_grad:
            return tuple(torch.zeros_like(each) for each in wanted)
        found = torch.autograd.grad(scalars.sum(), wanted, retain_graph=True, allow_unused=True)
        return tuple(
            torch.zeros_like(each) if gradient is None else gradient.detach()
            for gradient, each in zip(found, wanted, strict=True)
        )


def run(
    copied: nn.Module,
    inputs: Tensor,
    keep: Iterable[Layer] = (),
    *,
    rules: Rules = PLAIN,
    changes: Mapping[Layer, Change] | None = None,
    gradients: bool = True,
) -> Tape:
    """Run a `shared_copy` on normalised inputs (N, *shape).

    `keep` names the layers to keep, `rules` replaces gradients, and `changes` replaces the outputs of layers, after
    which the network takes what they return. Without `gradients`, nothing can be differentiated.
    """
    leaf = inputs.detach().clone()
    if gradients and leaf.is_floating_point():
        leaf.requires_grad_()
    recorder = Recorder({layer.call: layer for layer in keep}, rules, changes or {})
    with torch.set_grad_enabled(gradients):
        given = leaf.clone()  # a network may write to its input
        with own_buffers(copied), recorder:
            outputs = copied(given)
    missing = [layer.name for layer in recorder.wanted.values() if layer not in recorder.values]
    if missing:
        raise ConfigError(
            "A layer must run each time in the same place.", received=f"a network that did not run {missing[0]}",
            fix="A path that depends on values can't be explained layer by layer.",
        )  # fmt: skip
    return Tape(leaf, join_outputs(outputs), recorder.values)


@contextmanager
def own_buffers(copied: nn.Module) -> Iterator[None]:
    """Within this block, a module that counts its calls in a buffer, say, writes to a buffer of its own.

    The modules of torch write to none in evaluation mode.
    """
    shared = [
        (module, name, buffer)
        for module in copied.modules()
        if not type(module).__module__.startswith("torch.nn.modules")
        for name, buffer in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in shared:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in shared:
            setattr(module, name, buffer)


class Recorder(NumberedCalls):
    """Keeps the outputs of some calls, and applies rules and changes."""

    def __init__(self, wanted: dict[int, Layer], rules: Rules, changes: Mapping[Layer, Change]) -> None:
        super().__init__()
        self.wanted, self.rules = wanted, rules
        self.changes = {layer.call: change for layer, change in changes.items()}
        self.values: dict[Layer, Tensor] = {}

    def call(self, number: int, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        touched = number in self.wanted or number in self.changes
        name = getattr(func, "__name__", "")
        in_place = works_in_place(name, args, kwargs)
        target = args[0] if args else kwargs.get("input")
        if in_place and not (touched or self.rules != PLAIN):
            return func(*args, **kwargs)
        if in_place:
            assert isinstance(target, Tensor)
            args, kwargs = on_copy(target, args, kwargs)
        found = self.rules.apply(name.rstrip("_"), func, args, kwargs, target)
        if found is None:
            found = func(*args, **kwargs)
        if found is None and in_place:  # an assignment to a part returns nothing
            found = args[0]
        if touched:
            found = self.note(number, found)
        return target.copy_(found) if in_place and isinstance(target, Tensor) else found

    def note(self, number: int, found: Any) -> Any:
        """The result of a call, kept and changed as asked; the network gets a copy, to which it may write."""
        value = found[0] if isinstance(found, tuple) else found
        if number in self.changes:
            value = self.changes[number](value)
        if number in self.wanted:
            self.values[self.wanted[number]] = value
        given = value.clone()
        return (given, *found[1:]) if isinstance(found, tuple) else given


def at_once(inputs: Tensor) -> int:
    """How many inputs like these, (N, C, *places), may be differentiated at once: at most 16.

    The maps of a large network take some kilobytes for each place of the input.
    """
    return max(1, min(MOST_AT_ONCE, PLACES_AT_ONCE // max(1, math.prod(inputs.shape[2:]))))


def works_in_place(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call writes to its first argument: `relu_`, `F.relu(x, inplace=True)`, `x += y`."""
    if kwargs.get("inplace") is True:
        return True
    if name.endswith("_") and not name.endswith("__"):
        return True
    if name in IN_PLACE:
        return True
    return name in FLAG_PLACES and len(args) > FLAG_PLACES[name] and args[FLAG_PLACES[name]] is True


IN_PLACE = frozenset(
    {"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__", "__ipow__"}
)
FLAG_PLACES = {
    "relu": 1, "relu6": 1, "hardswish": 1, "silu": 1, "mish": 1, "selu": 1, "elu": 2, "celu": 2, "leaky_relu": 2,
    "hardtanh": 3, "threshold": 3, "dropout": 3, "rrelu": 4,
}  # fmt: skip
"""The place of `inplace` among the arguments of the functions of `torch.nn.functional`."""


def on_copy(target: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with a copy of the tensor that it writes to."""
    if args:
        return (target.clone(), *args[1:]), kwargs
    return args, {**kwargs, "input": target.clone()}
