"""The arithmetic of one step as it was chosen: precision, memory format, eager or compiled."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from neocog.torch_private import has_amx_tiles, mark_dynamic, read_scaler, restore_scaler, step_unless
from neocog.training.convolutions import (
    DepthwiseGradients,
    PackedGradients,
    WinogradConvolutions,
    load_kernels,
)
from neocog.training.optim import start_momenta
from neocog.zoo import WithAuxiliary

__all__ = [
    "Arithmetic", "Outputs", "Precision", "StepExecutor", "lay_out_channels_last", "lay_out_like", "lower_precision",
    "to_channels_last",
]  # fmt: skip

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
    @property
    def native(self) -> bool: ...


class StepExecutor:
    """Forward pass, backward pass and update of a network in the arithmetic that was chosen.

    In bf16 and fp16, convolutions and products round their inputs to that type and accumulate in float32 (autocast).
    Weights, gradients, the optimiser's state, the statistics of norms and the loss are float32 throughout. The smallest
    number of fp16 is 6e-8, so its loss is scaled up before `backward`, and gradients down again before the update.

    With channels_last the weights change their memory layout, in place: make the executor before the optimiser, or lay
    the optimiser's state out like the weights (see `lay_out_like`). The network keeps its names and values; the program
    that `torch.compile` makes of it is a separate object.
    """

    def __init__(
        self, model: nn.Module, loss: Callable[[Any, Tensor], Tensor], chosen: Arithmetic, device: torch.device
    ) -> None:
        """`loss` takes the network's outputs, in float32, and the labels; `model` may be wrapped, as for several GPUs.

        Nothing is compiled before the first step, except for kernels of Neocog's own (`native`), which take two seconds
        once on a machine. Raises ConfigError if they are wanted and can't be used here.
        """
        if chosen.native:
            load_kernels()
        self.model, self.loss, self.chosen, self.device = model, loss, chosen, device
        if chosen.channels_last:
            lay_out_channels_last(model)
        self.run = compile_network(model) if chosen.compiled else model
        self.scaler = torch.amp.GradScaler(device.type) if chosen.precision == "fp16" else None

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Outputs]:
        """(N, ...) images, and labels as the loss takes them -> the loss, and the outputs in float32."""
        if self.chosen.channels_last and images.ndim == 4:
            images = to_channels_last(images)
        if self.chosen.compiled:  # batches differ by a sample, and one program should serve all
            mark_dynamic(images, 0)
        chosen = self.chosen
        with lower_precision(chosen.precision, self.device, compiled=chosen.compiled, native=chosen.native):
            outputs = self.run(images)
        outputs = to_float32(outputs)
        return self.loss(outputs, labels), outputs

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of this loss to the existing ones."""
        scaled = self.scaler.scale(loss) if self.scaler else loss
        scaled.backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Bring the gradients to their true scale, once per step: before they are clipped, or l1 is added."""
        if self.scaler:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer, skip: Tensor | None = None) -> None:
        """Update the weights. In fp16 a step whose gradients overflowed is skipped, and the scale halved.

        `skip` is 1 on the device if nothing may change; in fp16 the gradients must then be NaN (see `PendingChecks`).
        """
        if self.scaler:
            start_momenta(optimizer, (p for group in optimizer.param_groups for p in group["params"]))
            self.scaler.step(optimizer)
            self.scaler.update()
        elif skip is not None:
            step_unless(optimizer, skip)
        else:
            optimizer.step()

    def tensors(self) -> dict[str, Tensor]:
        """State that a resumed run needs: the scale of the loss in fp16, else nothing."""
        if not self.scaler:
            return {}
        scale, growth_tracker = read_scaler(self.scaler)
        return {"scale": torch.tensor(scale, dtype=torch.float64), "growth_tracker": torch.tensor(growth_tracker)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        if self.scaler:
            restore_scaler(self.scaler, tensors["scale"].item(), int(tensors["growth_tracker"].item()))


@contextmanager
def lower_precision(
    precision: Precision, device: torch.device, *, compiled: bool = False, native: bool = False
) -> Iterator[None]:
    """Within this block convolutions and products are computed in bf16 or fp16; in fp32 nothing changes.

    Compiled programs are left to the compiler. `native`: 3x3 convolutions in bf16 are computed by Neocog's own kernels.
    """
    if precision == "fp32":
        yield
        return
    with ExitStack() as blocks:
        blocks.enter_context(torch.autocast(device.type, HALF[precision]))
        if device.type == "cpu" and not compiled:
            blocks.enter_context(DepthwiseGradients())
            if has_amx_tiles():
                blocks.enter_context(PackedGradients())
        if native:
            blocks.enter_context(WinogradConvolutions())
        yield


def to_float32(outputs: Any) -> Any:
    """Outputs, also within tuples, with bf16 and fp16 converted to float32; wider types stay."""
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.dtype in HALF.values() else outputs
    if isinstance(outputs, tuple) and hasattr(outputs, "_make"):
        return outputs._make(map(to_float32, outputs))
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(map(to_float32, outputs))
    return outputs


def compile_network(model: nn.Module) -> Callable[[Tensor], Any]:
    """The network as one program, compiled on its first call; its random draws are those of torch's generators."""
    return cast(Callable[[Tensor], Any], torch.compile(model, options={"fallback_random": True}))


def to_channels_last(images: Tensor) -> Tensor:
    """(N, C, H, W) images with their channels last in memory, which also shows in their strides.

    Layers tell the layout by the strides. With one channel both layouts are the same order of values, so that torch's
    `contiguous` keeps the strides of the other, and the first layers compute in it: every block behind them converts,
    and on a CPU max pooling takes fifteen times as long.

    >>> to_channels_last(torch.zeros(2, 1, 4, 5)).stride(), to_channels_last(torch.zeros(2, 3, 4, 5)).stride()
    ((20, 1, 5, 1), (60, 1, 15, 3))
    """
    num, channels, height, width = images.shape
    if channels == 1:
        return images.contiguous().view(num, height, width, 1).permute(0, 3, 1, 2)
    return images.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def lay_out_channels_last(model: nn.Module) -> None:
    """Store filters with their channels last, in place: parameters stay the same objects with the same values."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
            if tensor.grad is not None:
                tensor.grad = tensor.grad.contiguous(memory_format=torch.channels_last)


def lay_out_like(values: Tensor, weight: Tensor) -> Tensor:
    """The same values on the weight's device, and in its memory order if the shapes agree.

    torch's fused updates on a CPU pair weights and state by their position in memory, unchecked: state in another
    order, such as a checkpoint's, would move the wrong weights.

    >>> weight = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    >>> lay_out_like(torch.ones(2, 3, 4, 4), weight).stride() == weight.stride()
    True
    """
    if values.shape != weight.shape:
        return values.to(weight.device)
    return torch.empty_like(weight, dtype=values.dtype, requires_grad=False).copy_(values)
