"""The convolutions and products that a network is made of, as it calls them."""

import copy
import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Case", "collect_cases", "select_cases"]

WINDOW = ("stride", "padding", "dilation", "groups")
TRANSPOSED_WINDOW = ("stride", "padding", "output_padding", "groups", "dilation")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **{f"conv{n}d": WINDOW for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": TRANSPOSED_WINDOW for n in (1, 2, 3)},
    "linear": (),
}
NAMES = {getattr(F, name): name for name in ARGUMENTS}


@dataclass(frozen=True, slots=True)
class Case:
    """One call: where it stands, what it computes, on which shapes."""

    layer: str
    operation: str
    """Its name in torch.nn.functional."""
    inputs: tuple[int, ...]
    weight: tuple[int, ...]
    settings: tuple[tuple[str, Any], ...]
    """Stride, padding, dilation, groups, as they were given."""
    num_macs: int

    @property
    def kind(self) -> tuple[object, ...]:
        """What decides which program runs it, beside sizes: 1x1 and 3x3, strided, grouped, depthwise."""
        groups = self.groups
        depthwise = groups > 1 and self.weight[1] == 1
        return self.operation, self.weight[2:], dict(self.settings).get("stride"), groups > 1, depthwise

    @property
    def groups(self) -> int:
        return int(dict(self.settings).get("groups", 1))

    @property
    def transposed(self) -> bool:
        return "transpose" in self.operation

    def run(self, inputs: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
        """Compute it on these tensors, in torch."""
        settings = dict(self.settings) | ({"groups": groups} if self.operation != "linear" else {})
        found: Tensor = getattr(F, self.operation)(inputs, weight, None, **settings)
        return found


def collect_cases(model: nn.Module, images: Tensor) -> list[Case]:
    """All calls of one forward pass in training mode, in order; the network itself is left as it is."""
    model = copy.deepcopy(model).train()
    recorder = Recorder()
    with ExitStack() as hooks, torch.no_grad(), recorder:
        for name, module in model.named_modules():
            hooks.callback(module.register_forward_pre_hook(recorder.entering(name)).remove)
        model(images)
    return recorder.cases


def select_cases(cases: Iterable[Case], most: int = 12, largest: int = 3) -> list[Case]:
    """The largest of each kind and the largest of all, `most` together, in the order of the network."""
    by_size = sorted(cases, key=lambda case: -case.num_macs)
    kinds: dict[tuple[object, ...], Case] = {}
    for case in by_size:
        kinds.setdefault(case.kind, case)
    chosen = dict.fromkeys([*by_size[:largest], *kinds.values()])
    kept = set(list(chosen)[:most])
    return list(dict.fromkeys(case for case in cases if case in kept))


class Recorder(TorchFunctionMode):
    """Notes every convolution and product, also those that a layer calls without a module of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: list[Case] = []
        self.layer = ""

    def entering(self, name: str) -> Callable[[nn.Module, Any], None]:
        def enter(_: nn.Module, __: Any) -> None:
            self.layer = name

        return enter

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in NAMES:
            self.note(NAMES[func], args, kwargs or {}, result)
        return result

    def note(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        named = dict(zip(("input", "weight", "bias", *ARGUMENTS[operation]), args, strict=False)) | kwargs
        inputs, weight = named["input"], named["weight"]
        shape = (-1, inputs.shape[-1]) if operation == "linear" else inputs.shape
        settings = tuple((key, named[key]) for key in ARGUMENTS[operation] if key in named)
        spread = inputs if "transpose" in operation else result  # each of its values meets a whole filter
        case = Case(
            layer=self.layer or "the network",
            operation=operation,
            inputs=tuple(inputs.reshape(shape).shape),
            weight=tuple(weight.shape),
            settings=tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in settings),
            num_macs=spread.numel() * math.prod(weight.shape[1:]),
        )
        if len(case.inputs) == len(case.weight):  # else one picture without a batch
            self.cases.append(case)
