"""Packed weight gradient for small feature maps: bf16 convolutions on a CPU whose maps are a few pixels wide."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from neocog.arithmetic import conv_output

__all__ = ["ConvSettings", "PackedGradients", "filter_gradient"]

NARROW = 8  # pixels; from about 12 on, packing takes longer than it saves
ROW = 64  # approximate width of packed maps, in pixels


class ConvSettings(NamedTuple):
    """Stride, padding and dilation of a convolution, each (height, width)."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)


class PackedGradients(TorchFunctionMode):
    """Within this block narrow bf16 maps are packed side by side to compute weight gradients, several times as fast.

    It applies to channels-last images under autocast, on a CPU with tile instructions (AMX). There oneDNN's kernel for
    these gradients sums over the pixels of one row at a time and seems to take as long for a row of 4 as for one of 32.
    Results equal those of torch's convolution except for the order of the sums.
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
    """torch's conv2d, with another backward pass if that is faster."""
    if groups == 1 and not isinstance(padding, str) and in_bf16(input, weight):
        settings = ConvSettings(pair(stride), pair(padding), pair(dilation))
        if is_product(weight, settings) or width_after(input, weight, settings) <= NARROW:
            half = (None if tensor is None else tensor.to(torch.bfloat16) for tensor in (input, weight, bias))
            found: Tensor = Convolution.apply(*half, settings)  # type: ignore[no-untyped-call]
            return found
    return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """
    >>> pair(2), pair((1, 3)), pair((2,))
    ((2, 2), (1, 3), (2, 2))
    """
    values = (value,) if isinstance(value, int) else tuple(value)
    return values[0], values[-1]


def in_bf16(inputs: Tensor, weight: Tensor) -> bool:
    """Whether autocast computes this in bf16 on a CPU, for channels-last images and trainable filters."""
    return (
        inputs.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and weight.requires_grad
        and inputs.ndim == 4
        and inputs.is_contiguous(memory_format=torch.channels_last)
    )


def is_product(weight: Tensor, settings: ConvSettings) -> bool:
    """Whether each pixel gives one pixel, so that the convolution is a matrix product."""
    return weight.shape[2:] == (1, 1) and settings == ConvSettings()


def width_after(inputs: Tensor, weight: Tensor, settings: ConvSettings) -> int:
    """The width of the output, in pixels."""
    stride, padding, dilation = (both[1] for both in settings)
    return conv_output(inputs.shape[3], weight.shape[3], stride, padding, dilation)


class Convolution(torch.autograd.Function):
    """A convolution of bf16 tensors whose weight gradient comes from packed maps."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.settings = settings
        return torch.conv2d(inputs, weight, bias, *settings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, weight = ctx.saved_tensors
        upstream = upstream.contiguous(memory_format=torch.channels_last)
        above, filters, bias, _ = ctx.needs_input_grad
        return (
            conv_gradient(upstream, inputs, weight, ctx.settings, 0) if above else None,
            filter_gradient(upstream, inputs, weight, ctx.settings) if filters else None,
            upstream.sum((0, 2, 3)) if bias else None,
            None,
        )


def conv_gradient(upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings, which: int) -> Tensor:
    """One of the gradients of a convolution, as torch computes it: 0, of its inputs; 1, of its filters."""
    wanted = [which == 0, which == 1, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        upstream, inputs, weight, None, *settings, False, [0, 0], 1, wanted
    )
    return found[which]


def filter_gradient(upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
    """(N, C_out, H', W') gradient from above and (N, C_in, H, W) inputs -> the gradient of (C_out, C_in, h, w) filters.

    Several images lie side by side as one, so far apart that no window sees two: p columns of zeros separate them, and
    more until the next image starts at a multiple of the stride s. Windows between two images contribute nothing, as
    the gradient from above is zero there.

        from one image to the next    ceil((W + p) / s) outputs, and s times as many inputs
    """
    if is_product(weight, settings):
        above, below = (tensor.permute(0, 2, 3, 1).flatten(0, 2) for tensor in (upstream, inputs))
        return (above.t() @ below).view_as(weight)
    apart = -(-(inputs.shape[3] + settings.padding[1]) // settings.stride[1])
    number = max(1, min(len(inputs), ROW // apart))
    return conv_gradient(
        pack_side_by_side(upstream, number, apart),
        pack_side_by_side(inputs, number, apart * settings.stride[1]),
        weight,
        settings,
        1,
    )


def pack_side_by_side(maps: Tensor, number: int, apart: int) -> Tensor:
    """(N, C, H, W) -> (ceil(N / number), C, H, (number - 1) apart + W), channels last; zeros between and at the end.

    >>> pack_side_by_side(torch.tensor([1.0, 2, 3]).view(3, 1, 1, 1), 2, 3).flatten(1)
    tensor([[1., 0., 0., 2.],
            [3., 0., 0., 0.]])
    """
    n, c, height, width = maps.shape
    rows, whole = -(-n // number), (number - 1) * apart + width
    out = maps.new_zeros((rows, height, whole, c))
    places = out.as_strided((rows, number, height, width, c), (height * whole * c, apart * c, whole * c, c, 1))
    pixels = maps.permute(0, 2, 3, 1)
    full = n // number
    places[:full].copy_(pixels[: full * number].view(full, number, height, width, c))
    if full < rows:
        places[full, : n - full * number].copy_(pixels[full * number :])
    return out.permute(0, 3, 1, 2)
