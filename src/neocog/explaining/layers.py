"""The layers of a network as it runs: every call that makes maps from the input, functional ones too.

A layer's name is that of the module that made the call, as in `named_modules`, if the module makes one call only, as
`nn.Conv2d` does; else the module and the function: `block:relu`, or `:relu` in the network's own `forward`. Of several
such calls the second is `block:relu#2`; a module that is used twice has `act` and `act#2`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from neocog.errors import ConfigError, did_you_mean
from neocog.planning import Plan, Row, plan

__all__ = ["Layer", "Layers"]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A call of the forward pass that makes values from the input."""

    name: str
    module: str
    """The module that made the call; empty for the network itself."""
    row: Row
    """Its row of the plan: operator, shapes, receptive field."""
    call: int
    """Its number among the calls of the forward pass."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its output for one sample, (C, *places)."""
        return self.row.output_shape

    @property
    def is_convolution(self) -> bool:
        return self.row.operator.startswith("conv")

    def __str__(self) -> str:
        return self.name


class Layers(Sequence[Layer]):
    """The layers of a network in the order of execution, for inputs of one shape.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> found = Layers.of(net, (1, 8, 8))
    >>> [layer.name for layer in found], found["1"].shape, found.last_maps().name
    (['0', '1', '3'], (4, 6, 6), '1')
    """

    def __init__(self, layers: Sequence[Layer], planned: Plan) -> None:
        self.rows = tuple(layers)
        self.plan = planned
        self.by_name = {layer.name: layer for layer in layers}

    @classmethod
    def of(cls, model: nn.Module, input_shape: Sequence[int], dtype: torch.dtype | None = None) -> "Layers":
        """Raises PlanError or GeometryError for a network that can't be followed, as `plan` does."""
        planned = plan(model, input_shape, dtype=dtype)
        leaves = {name for name, module in model.named_modules() if not any(True for _ in module.children())}
        made: dict[int, Row] = {}
        for row in planned.rows:
            if not row.moves and row.fields:
                made[planned.trace.operations[row.operation].call] = row  # the last row of a call is its result
        modules = {call: planned.trace.operations[row.operation].module for call, row in made.items()}
        per_use = uses(modules, leaves)
        names, count = {}, Counter[str]()
        for call, row in made.items():
            module = modules[call]
            name = module if module in leaves and module and per_use[module] == 1 else f"{module}:{row.operator}"
            count[name] += 1
            names[call] = name if count[name] == 1 else f"{name}#{count[name]}"
        return cls([Layer(names[call], modules[call], row, call) for call, row in made.items()], planned)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | str) -> Layer:  # type: ignore[override]
        """A layer by place or by name; the name of a module with several layers stands for the last of them.

        Raises ConfigError for an unknown name.
        """
        if isinstance(key, int):
            return self.rows[key]
        if key in self.by_name:
            return self.by_name[key]
        inside = [layer for layer in self.rows if layer.module == key or layer.module.startswith(f"{key}.")]
        if not inside:
            fix = did_you_mean(key, {*self.by_name, *(layer.module for layer in self.rows if layer.module)})
            raise ConfigError("A layer is named as `neocog explain --layers` lists it.", received=repr(key), fix=fix)
        return inside[-1]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.rows)

    def with_maps(self) -> list[Layer]:
        """The layers whose outputs have places, more than one along some axis of the input; (C, *places)."""
        num = len(self.plan.axes)
        return [
            layer
            for layer in self.rows
            if len(layer.shape) == num + 1 and any(size > 1 for size in layer.shape[1:]) and layer.row.fields
        ]

    def last_maps(self) -> Layer:
        """The last layer whose outputs have places: the one on which class activation maps are usually made.

        Raises ConfigError for a network without one, such as one of dense layers only.
        """
        found = self.with_maps()
        if not found:
            raise ConfigError(
                "Class activation maps need a layer whose outputs have places.", received="a network without one",
                fix="Use a method on the input: gradient, smoothgrad, integrated or occlusion.",
            )  # fmt: skip
        return found[-1]

    def convolutions(self) -> list[Layer]:
        return [layer for layer in self.rows if layer.is_convolution]


def uses(modules: dict[int, str], leaves: set[str]) -> dict[str, int]:
    """How many layers each leaf module makes when it is used once: the longest run of calls by it, one or more."""
    longest: dict[str, int] = defaultdict(int)
    before, run = "", 0
    for call in sorted(modules):
        module = modules[call]
        run = run + 1 if module == before and module in leaves else 1
        before = module
        longest[module] = max(longest[module], run)
    return longest
