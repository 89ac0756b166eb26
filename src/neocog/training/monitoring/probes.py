"""One step of a network, probed: the size of its gradients and activations, and which layers are dead."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from neocog.torch_private import foreach_norm
from neocog.zoo import Network

__all__ = [
    "Activations",
    "GradientSize",
    "StepProbe",
    "Streaks",
    "find_stages",
    "gradient_norms",
    "gradient_sizes",
    "layers_without_gradient",
    "run_unseen",
    "stage_of",
]

CAN_DIE = (
    nn.ReLU, nn.Hardtanh, nn.Threshold, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink,
    nn.GELU, nn.SiLU, nn.Mish,
)  # fmt: skip
"""Activations that can be exactly zero for all inputs, with a gradient of zero; ReLU6 is a Hardtanh."""
LEARNT = 1e-6  # at a smaller loss gradients may round to zero although nothing is wrong


def find_stages(model: nn.Module) -> dict[str, nn.Module]:
    """Stem, each stage, head and other parts of a zoo network; the children of any other network, or itself.

    >>> list(find_stages(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())))
    ['0', '1']
    """
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        if isinstance(model, Network) and name == "stages":
            found |= {f"stages.{number}": stage for number, stage in child.named_children()}
        else:
            found[name] = child
    return found or {type(model).__name__: model}


def stage_of(parameter: str, stages: Iterable[str], other: str) -> str:
    """The stage that a parameter belongs to, by its name; `other` if it belongs to the network itself.

    >>> stage_of("stages.1.0.weight", ["stem", "stages.0", "stages.1", "head"], "ResNet")
    'stages.1'
    """
    return next((stage for stage in stages if parameter.startswith(f"{stage}.")), other)


class Activations:
    """The size of each stage's output, and the activations that are zero throughout, over all passes since creation.

    RMS is sqrt(mean(x**2)) over a whole output, in float32. Nothing waits for the device before `rms` or `dead`.

    >>> model = nn.Sequential(nn.Flatten(), nn.ReLU())
    >>> seen = Activations(model, {"0": model[0]}, dead=True)
    >>> _ = model(torch.tensor([[-3.0], [-4.0]]))
    >>> seen.remove()
    >>> round(seen.rms()["0"], 4), seen.dead()
    (3.5355, ['1'])
    """

    def __init__(self, model: nn.Module, stages: Mapping[str, nn.Module], *, dead: bool) -> None:
        self.sizes: dict[str, Tensor] = {}
        self.alive: dict[str, Tensor] = {}
        self.hooks: list[RemovableHandle] = []
        for name, stage in stages.items():
            self.hooks.append(stage.register_forward_hook(lambda _, __, out, name=name: self.measure(name, out)))
        for name, module in model.named_modules() if dead else ():
            if isinstance(module, CAN_DIE):
                self.hooks.append(
                    module.register_forward_hook(lambda _, __, out, name=name: self.check_alive(name, out))
                )

    @torch.no_grad()
    def measure(self, name: str, outputs: Any) -> None:
        """Only the first of several passes counts: parts of a batch, or SAM's second pass."""
        maps = first_tensor(outputs)
        if name not in self.sizes and maps is not None and maps.is_floating_point() and maps.numel():
            norm = torch.linalg.vector_norm(maps, dtype=torch.float32)
            self.sizes[name] = norm / maps.numel() ** 0.5

    @torch.no_grad()
    def check_alive(self, name: str, outputs: Any) -> None:
        """An activation that is called several times, such as for parts of a batch, must be alive once."""
        maps = first_tensor(outputs)
        if maps is not None:
            self.alive[name] = maps.any() | self.alive[name] if name in self.alive else maps.any()

    def remove(self) -> None:
        """Remove all hooks; calling it again does nothing."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def rms(self) -> dict[str, float]:
        """The RMS of each stage's output."""
        return dict(zip(self.sizes, fetch(self.sizes), strict=True))

    def dead(self) -> list[str]:
        """Activations that gave zero in every channel for every input, in order of execution."""
        return [name for name, alive in zip(self.alive, fetch(self.alive), strict=True) if not alive]


def fetch(numbers: Mapping[str, Tensor]) -> list[float]:
    """Several numbers from the device in one transfer."""
    return torch.stack(list(numbers.values())).tolist() if numbers else []


def first_tensor(outputs: Any) -> Tensor | None:
    """A layer's output, or the first of several."""
    if isinstance(outputs, tuple | list) and outputs:
        return first_tensor(outputs[0])
    return outputs if isinstance(outputs, Tensor) else None


@torch.no_grad()
def run_unseen(model: nn.Module, inputs: Tensor) -> None:
    """Run a network on a batch and leave its buffers and torch's generators as they were.

    For a network that trains compiled, in which hooks added later have no effect. If norms share their statistics with
    other processes nothing is run, since these would have to run it too.
    """
    if any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()):
        return
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        try:
            model(inputs)
        finally:
            for buffer, value in before:
                buffer.copy_(value)


class GradientSize(NamedTuple):
    """Of one parameter's gradient."""

    norm: float
    """Euclidean."""
    largest: float
    """The largest magnitude: a norm of tiny numbers may round to zero, this one does not."""


@torch.no_grad()
def gradient_sizes(model: nn.Module) -> dict[str, GradientSize]:
    """The size of each parameter's gradient, by the parameter's name.

    Parameters without a gradient (frozen or unused) and sparse gradients are left out. The host waits for the device
    once. If parameters are spread over processes (DTensor), all of these must call it.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> model.weight.grad = torch.tensor([[3.0, -4.0]])
    >>> gradient_sizes(model)
    {'weight': GradientSize(norm=5.0, largest=4.0)}
    """
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    found = {name: grad for name, grad in found.items() if grad.layout == torch.strided and grad.numel()}
    if not found:
        return {}
    grads = list(found.values())
    norms = foreach_norm(grads, 2, dtype=torch.float32)
    largest = foreach_norm(grads, math.inf, dtype=torch.float32)
    pairs = torch.stack([gather_whole(size) for size in (*norms, *largest)]).view(2, -1).T.tolist()
    return {name: GradientSize(norm, most) for name, (norm, most) in zip(found, pairs, strict=True)}


def gather_whole(size: Tensor) -> Tensor:
    """A number that may be spread over processes, gathered."""
    gather = getattr(size, "full_tensor", None)
    return size if gather is None else gather()


def gradient_norms(sizes: Mapping[str, GradientSize], stages: Iterable[str], other: str) -> dict[str, float]:
    """The Euclidean norm of each stage's gradient from those of its parameters, |g|**2 = sum |g_p|**2."""
    squares: dict[str, float] = {}
    stages = list(stages)
    for name, size in sizes.items():
        stage = stage_of(name, stages, other)
        squares[stage] = squares.get(stage, 0.0) + size.norm**2
    return {stage: math.sqrt(square) for stage, square in squares.items()}


def layers_without_gradient(sizes: Mapping[str, GradientSize]) -> list[str]:
    """The layers all of whose gradients are exactly zero, in the network's order.

    >>> zero, some = GradientSize(0, 0), GradientSize(1, 1)
    >>> layers_without_gradient({"0.weight": zero, "0.bias": zero, "1.weight": zero, "1.bias": some})
    ['0']
    """
    layers: dict[str, bool] = {}
    for name, size in sizes.items():
        layer = name.rpartition(".")[0] or name
        layers[layer] = layers.get(layer, True) and size.largest == 0
    return [layer for layer, zero in layers.items() if zero]


class StepProbe:
    """Probes the current step; `remove` removes its hooks. With `check` it looks for dead layers."""

    def __init__(self, model: nn.Module, stages: Mapping[str, nn.Module], *, check: bool) -> None:
        self.model, self.stages, self.check = model, stages, check
        self.activations = Activations(model, stages, dead=check)
        self.sizes: dict[str, GradientSize] = {}

    def run(self, inputs: Tensor) -> None:
        """Probe activations in a pass of its own, for a network that trains compiled."""
        run_unseen(self.model, inputs)
        self.remove()

    def read_gradients(self) -> None:
        self.remove()
        self.sizes = gradient_sizes(self.model)

    def remove(self) -> None:
        self.activations.remove()

    def gradient_norms(self) -> dict[str, float]:
        """Euclidean norm by stage."""
        return gradient_norms(self.sizes, self.stages, type(self.model).__name__)

    def activation_sizes(self) -> dict[str, float]:
        """RMS by stage."""
        return self.activations.rms()

    def dead(self, loss: float) -> tuple[list[str], list[str]]:
        """Activations that are zero throughout, and layers whose gradient is zero throughout."""
        return self.activations.dead(), layers_without_gradient(self.sizes) if loss > LEARNT else []


class Streaks:
    """How often in a row something was dead: once may have been bad luck.

    >>> streaks = Streaks(needed=2)
    >>> streaks.add(["relu"], ["conv"]), streaks.add(["relu"], [])
    (([], []), (['relu'], []))
    """

    def __init__(self, needed: int) -> None:
        self.needed = needed
        self.counts: tuple[dict[str, int], dict[str, int]] = {}, {}

    def add(self, activations: list[str], layers: list[str]) -> tuple[list[str], list[str]]:
        """Add one more probe; returns what was dead in each of the last `needed` probes."""
        before = self.counts
        self.counts = extend_streaks(before[0], activations), extend_streaks(before[1], layers)
        return self.find_lasting(self.counts[0]), self.find_lasting(self.counts[1])

    def find_lasting(self, counts: Mapping[str, int]) -> list[str]:
        return [name for name, count in counts.items() if count >= self.needed]


def extend_streaks(before: Mapping[str, int], now: list[str]) -> dict[str, int]:
    return {name: before.get(name, 0) + 1 for name in now}
