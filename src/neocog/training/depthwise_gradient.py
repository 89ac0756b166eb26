"""Gradients of depthwise convolutions for which bf16 is slow on a CPU, computed in float32."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from neocog.training.packed_gradient import ConvSettings, in_bf16, pair

__all__ = ["DepthwiseGradients"]


class DepthwiseGradients(TorchFunctionMode):
    """Within this block some gradients of depthwise convolutions are computed in float32, and so faster.

    These are the input gradients if the stride is above 1, and the filter gradients if windows are larger than 3x3. It
    applies to channels-last images under autocast to bf16 on a CPU. In bf16 oneDNN 3.12 computes the former one channel
    at a time with a kernel for products of many channels (brgconv_strided), which takes 10 to 100 times as long, and
    the latter take 1.5 to 3.5 times as long. Input gradients are rounded to bf16 at the end.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (convolve if func is torch.conv2d else func)(*args, **(kwargs or {}))


def convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """torch's conv2d, with another backward pass if it is depthwise, and strided or of large windows."""
    depthwise = groups > 1 and input.ndim == 4 and groups == weight.shape[0] == input.shape[1]
    slow = depthwise and (is_strided(pair(stride)) or is_large(weight))
    if slow and not isinstance(padding, str) and in_bf16(input, weight):
        settings = ConvSettings(pair(stride), pair(padding), pair(dilation))
        half = (None if tensor is None else tensor.to(torch.bfloat16) for tensor in (input, weight, bias))
        found: Tensor = Convolution.apply(*half, settings)  # type: ignore[no-untyped-call]
        return found
    return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)


def is_strided(stride: tuple[int, int]) -> bool:
    return stride != (1, 1)


def is_large(weight: Tensor) -> bool:
    """Whether windows are larger than 3x3."""
    return weight[0, 0].numel() > 9


class Convolution(torch.autograd.Function):
    """A depthwise convolution of bf16 tensors whose input gradient is computed in float32."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.settings = settings
        return torch.conv2d(inputs, weight, bias, *settings, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, weight = ctx.saved_tensors
        upstream = upstream.contiguous(memory_format=torch.channels_last)
        above, filters, bias, _ = ctx.needs_input_grad
        below = sums = None
        if above and is_strided(ctx.settings.stride):  # of the inputs, only shape and layout count
            blank = torch.empty_like(inputs, dtype=torch.float32)
            below = gradients(upstream.float(), blank, weight.float(), ctx.settings, 0).to(inputs.dtype)
        elif above:
            below = gradients(upstream, inputs, weight, ctx.settings, 0)
        if filters and is_large(weight):
            sums = gradients(upstream.float(), inputs.float(), weight.float(), ctx.settings, 1).to(weight.dtype)
        elif filters:
            sums = gradients(upstream, inputs, weight, ctx.settings, 1)
        return below, sums, upstream.sum((0, 2, 3)) if bias else None, None


def gradients(upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings, which: int) -> Tensor:
    """One of the gradients, as torch computes it in the type of its arguments: 0, of the inputs; 1, of the filters."""
    wanted = [which == 0, which == 1, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        upstream, inputs, weight, None, *settings, False, [0, 0], len(weight), wanted
    )
    return found[which]
