"""What layers give in one step, seen by hooks that are there for that step alone."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

__all__ = ["Activations", "run_unseen"]

CAN_DIE = (
    nn.ReLU, nn.Hardtanh, nn.Threshold, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink,
    nn.GELU, nn.SiLU, nn.Mish,
)  # fmt: skip
"""Activations that can be exactly zero for all inputs, with a gradient of zero; ReLU6 is a Hardtanh."""


class Activations:
    """The size of each stage's output, and the activations that are zero throughout, of the passes since it was made.

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
                self.hooks.append(module.register_forward_hook(lambda _, __, out, name=name: self.ask(name, out)))

    @torch.no_grad()
    def measure(self, name: str, outputs: Any) -> None:
        """The first pass counts, where there are more: parts of a batch, or a second look at the loss."""
        maps = first_tensor(outputs)
        if name not in self.sizes and maps is not None and maps.is_floating_point() and maps.numel():
            norm = torch.linalg.vector_norm(maps, dtype=torch.float32)
            self.sizes[name] = norm / maps.numel() ** 0.5

    @torch.no_grad()
    def ask(self, name: str, outputs: Any) -> None:
        """An activation that is called several times, such as for parts of a batch, has to be alive once."""
        maps = first_tensor(outputs)
        if maps is not None:
            self.alive[name] = maps.any() | self.alive[name] if name in self.alive else maps.any()

    def remove(self) -> None:
        """Take all hooks away; calling it again does nothing."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def rms(self) -> dict[str, float]:
        """The RMS of each stage's output."""
        return dict(zip(self.sizes, together(self.sizes), strict=True))

    def dead(self) -> list[str]:
        """Activations that gave zero for every channel of every input, in the order of execution."""
        return [name for name, alive in zip(self.alive, together(self.alive), strict=True) if not alive]


def together(numbers: Mapping[str, Tensor]) -> list[float]:
    """Numbers from the device at once."""
    return torch.stack(list(numbers.values())).tolist() if numbers else []


def first_tensor(outputs: Any) -> Tensor | None:
    """A layer's output, or the first of several."""
    if isinstance(outputs, tuple | list) and outputs:
        return first_tensor(outputs[0])
    return outputs if isinstance(outputs, Tensor) else None


@torch.no_grad()
def run_unseen(model: nn.Module, inputs: Tensor) -> None:
    """Run a network on a batch and leave its buffers and torch's generators as they were.

    For a network that trains compiled: hooks that come later are not in what was compiled. Where norms share their
    statistics with other processes nothing is run, as these would have to run it too.
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
