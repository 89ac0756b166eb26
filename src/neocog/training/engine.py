"""One step's arithmetic as it was chosen: precision, memory format, eager or compiled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from neocog.training.narrow_maps import NarrowMaps
from neocog.zoo import WithAuxiliary

__all__ = ["Arithmetic", "Engine", "Outputs", "Precision", "laid_out_like", "lower_precision"]

Precision = Literal["fp32", "bf16", "fp16"]
Outputs = Tensor | WithAuxiliary
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Arithmetic(Protocol):
    """How a step is computed."""

    @property
    def precision(self) -> Precision: ...
    @property
    def channels_last(self) -> bool: ...
    @property
    def compiled(self) -> bool: ...


class Engine:
    """Forward, backward and update of a network in the arithmetic that was chosen.

    In bf16 and fp16 convolutions and products round their inputs to that type and add up in float32 (autocast).
    Weights, gradients, the optimiser's state, the statistics of norms and the loss are float32 throughout. fp16 reaches
    no further down than 6e-8, so its loss is scaled up before `backward`, and gradients down again before the update.

    With channels_last the weights are laid out anew, in place: make the engine before the optimiser, or lay the
    optimiser's state out like the weights (see `laid_out_like`). The network keeps its names and values; what
    `torch.compile` makes of it stands beside it.
    """

    def __init__(
        self, model: nn.Module, loss: Callable[[Any, Tensor], Tensor], chosen: Arithmetic, device: torch.device
    ) -> None:
        """`loss` takes the network's outputs, in float32, and the labels; `model` may be wrapped, as for several GPUs.

        Nothing is compiled before the first step.
        """
        self.model, self.loss, self.chosen, self.device = model, loss, chosen, device
        if chosen.channels_last:
            lay_out_channels_last(model)
        self.run = compiled(model) if chosen.compiled else model
        self.scaler = torch.amp.GradScaler(device.type) if chosen.precision == "fp16" else None

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Outputs]:
        """(N, ...) images, and labels as the loss takes them -> the loss, and the outputs in float32."""
        if self.chosen.channels_last and images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        if self.chosen.compiled:  # batches differ by a sample, and one program is to do for all
            torch._dynamo.maybe_mark_dynamic(images, 0)
        with lower_precision(self.chosen.precision, self.device, compiled=self.chosen.compiled):
            outputs = self.run(images)
        outputs = in_full(outputs)
        return self.loss(outputs, labels), outputs

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of this loss to those that are there."""
        scaled = self.scaler.scale(loss) if self.scaler else loss
        scaled.backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Bring the gradients to their true size, once for each step: before they are clipped, or l1 is added."""
        if self.scaler:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Update the weights. In fp16 a step whose gradients overflowed is left out, and the scale halved."""
        if self.scaler:
            self.scaler.step(optimizer)
            self.scaler.update()
        else:
            optimizer.step()

    def tensors(self) -> dict[str, Tensor]:
        """What has to be saved to go on: the loss's scale in fp16, else nothing."""
        if not self.scaler:
            return {}
        state = self.scaler.state_dict()
        return {
            "scale": torch.tensor(state["scale"], dtype=torch.float64),
            "growth_tracker": torch.tensor(state["_growth_tracker"]),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        if self.scaler:
            found = {"scale": tensors["scale"].item(), "_growth_tracker": int(tensors["growth_tracker"].item())}
            self.scaler.load_state_dict(self.scaler.state_dict() | found)


@contextmanager
def lower_precision(precision: Precision, device: torch.device, *, compiled: bool = False) -> Iterator[None]:
    """Within this block convolutions and products are computed in bf16 or fp16; in fp32 nothing changes.

    What is compiled is left to the compiler.
    """
    if precision == "fp32":
        yield
        return
    tiles = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    with torch.autocast(device.type, HALF[precision]), NarrowMaps() if tiles and not compiled else nullcontext():
        yield


def in_full(outputs: Any) -> Any:
    """Outputs, also within tuples, in float32 where they are bf16 or fp16; what is wider stays."""
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.dtype in HALF.values() else outputs
    if isinstance(outputs, tuple) and hasattr(outputs, "_make"):
        return outputs._make(map(in_full, outputs))
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(map(in_full, outputs))
    return outputs


def compiled(model: nn.Module) -> Callable[[Tensor], Any]:
    """The network as one program, made when it is first called; its random draws are those of torch's generators."""
    return cast(Callable[[Tensor], Any], torch.compile(model, options={"fallback_random": True}))


@torch.no_grad()
def lay_out_channels_last(model: nn.Module) -> None:
    """Store filters with their channels last, in place: parameters stay the same objects with the same values."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
            if tensor.grad is not None:
                tensor.grad = tensor.grad.contiguous(memory_format=torch.channels_last)


def laid_out_like(values: Tensor, weight: Tensor) -> Tensor:
    """The same values on the weight's device, and in its order in memory where the shapes agree.

    torch's fused updates on a CPU pair weights and state by their place in memory, unchecked: state in another order,
    such as a checkpoint's, moves the wrong weights.

    >>> weight = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    >>> laid_out_like(torch.ones(2, 3, 4, 4), weight).stride() == weight.stride()
    True
    """
    if values.shape != weight.shape:
        return values.to(weight.device)
    return torch.empty_like(weight, dtype=values.dtype, requires_grad=False).copy_(values)
