"""3x3 convolutions in bf16 by Winograd's method, which multiplies 16 times where the definition multiplies 36 times."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from neocog.training.native.library import Kernels, load_kernels

__all__ = ["WinogradConvolutions"]

BF16, LAST = torch.bfloat16, torch.channels_last
FEWEST, PRODUCT = 16, 512  # channels on either side, and both multiplied: below, transforms cost what they save
SAVING = 1.2  # least share of multiplications in the definition to those here: maps of odd sizes have tiles half empty


class WinogradConvolutions(TorchFunctionMode):
    """Within this block 3x3 convolutions under autocast to bf16 on a CPU are computed by Winograd's method.

    It applies to channels-last images, stride 1, one group, and enough channels and pixels to pay off. Results are
    those of torch's convolution but for rounding: spectra are rounded to bf16 as well, so that errors are up to twice
    those of rounding inputs and filters alone, however many channels there are. They don't depend on the number of
    threads.
    Source: Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", F(2x2, 3x3).
    """

    def __init__(self) -> None:
        """Raises ConfigError if the kernels can't be used or compiled here."""
        super().__init__()
        self.kernels = load_kernels()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.conv2d:
            return self.convolve(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def convolve(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> Tensor:
        """torch's conv2d, computed here if that is faster."""
        around = even_padding(padding)
        simple = groups == 1 and all(value in (1, (1, 1), [1, 1]) for value in (stride, dilation))
        simple = simple and (bias is None or bias.dtype == torch.float32)
        if simple and around is not None and in_bf16(input) and pays_off(input, weight, around):
            half = input.to(BF16)
            found: Tensor = Convolution.apply(half, weight, bias, around, self.kernels)  # type: ignore[no-untyped-call]
            return found
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)


def even_padding(padding: int | tuple[int, int] | str) -> int | None:
    """The number of zeros on every side; None if sides differ.

    >>> even_padding(1), even_padding((2, 2)), even_padding("same"), even_padding((0, 1))
    (1, 2, 1, None)
    """
    if isinstance(padding, str):
        return {"same": 1, "valid": 0}.get(padding)
    if isinstance(padding, int):
        return padding
    return padding[0] if len(set(padding)) == 1 else None


def in_bf16(inputs: Tensor) -> bool:
    """Whether autocast computes this in bf16 on a CPU, for channels-last images."""
    return (
        inputs.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == BF16
        and inputs.ndim == 4
        and inputs.is_contiguous(memory_format=LAST)
    )


def pays_off(inputs: Tensor, weight: Tensor, padding: int) -> bool:
    """Whether these are 3x3 filters with enough channels, and maps that fill their tiles."""
    height, width = (size + 2 * padding - 2 for size in inputs.shape[2:])
    if not has_enough_channels(weight) or not 0 <= padding <= 2 or min(height, width) < 1:
        return False
    return 9 * height * width >= SAVING * 16 * -(-height // 2) * -(-width // 2)


def has_enough_channels(weight: Tensor) -> bool:
    """Whether these are 3x3 filters in float32, with enough channels for the transforms to pay off."""
    if weight.ndim != 4 or weight.shape[2:] != (3, 3) or weight.dtype != torch.float32:
        return False
    c_out, c_in = weight.shape[:2]
    return c_in % 16 == c_out % 16 == 0 and min(c_in, c_out) >= FEWEST and c_in * c_out >= PRODUCT


class Convolution(torch.autograd.Function):
    """A 3x3 convolution of channels-last bf16 maps with float32 filters; the filters' gradient is float32."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: int, kernels: Kernels
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.padding, ctx.kernels = padding, kernels
        height, width = (size + 2 * padding - 2 for size in inputs.shape[2:])
        panels = filter_panels(weight, "panels", kernels)
        return convolve(inputs, panels, bias, (len(weight), height, width), padding, kernels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        inputs, weight = ctx.saved_tensors
        upstream = upstream.contiguous(memory_format=LAST)
        above, filters, bias, _, _ = ctx.needs_input_grad
        below = None
        if above:
            panels = filter_panels(weight, "turned_panels", ctx.kernels)
            below = convolve(upstream, panels, None, inputs.shape[1:], 2 - ctx.padding, ctx.kernels)
        return (
            below,
            filter_gradient(upstream, inputs, ctx.padding, ctx.kernels) if filters else None,
            upstream.sum((0, 2, 3), dtype=torch.float32) if bias else None,
            None,
            None,
        )


def filter_panels(weight: Tensor, name: str, kernels: Kernels) -> Tensor:
    """Spectra of (C_out, C_in, 3, 3) filters as the product reads them, 16 for each pair of channels."""
    c_out, c_in = weight.shape[:2]
    panels = torch.empty(16 * c_out * c_in, dtype=BF16)
    kernels.run(name, weight.detach().contiguous(memory_format=LAST), panels, c_out, c_in, torch.get_num_threads())
    return panels


def convolve(
    inputs: Tensor, panels: Tensor, bias: Tensor | None, shape: Sequence[int], padding: int, kernels: Kernels
) -> Tensor:
    """(N, c, H, W) inputs -> (N, *shape) outputs, plus a bias for each channel."""
    n, c, height, width = inputs.shape
    k, *sizes = shape
    outputs = torch.empty((n, k, *sizes), dtype=BF16, memory_format=LAST)
    bias = None if bias is None else bias.detach().contiguous()
    kernels.run(
        "convolve", inputs, panels, bias, outputs, n, height, width, c, padding, *sizes, k, torch.get_num_threads()
    )
    return outputs


def filter_gradient(upstream: Tensor, inputs: Tensor, padding: int, kernels: Kernels) -> Tensor:
    """(N, C_out, h, w) gradient from above and (N, C_in, H, W) inputs -> (C_out, C_in, 3, 3) in float32."""
    c_out, (n, c_in, height, width) = upstream.shape[1], inputs.shape
    gradient = torch.empty((c_out, c_in, 3, 3), memory_format=LAST)
    sizes, threads = upstream.shape[2:], torch.get_num_threads()
    kernels.run("filter_gradient", upstream, inputs, gradient, n, height, width, c_in, padding, *sizes, c_out, threads)
    return gradient
