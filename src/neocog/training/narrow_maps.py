"""Convolutions in bf16 on a CPU whose maps are a few pixels wide: their filters' gradients, several times as fast."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from neocog.arithmetic import conv_output

__all__ = ["Geometry", "NarrowMaps", "filter_gradient"]

NARROW = 8  # pixels; from about 12 on, laying out the maps takes longer than it saves
ROW = 64  # pixels that maps side by side are to have, about


class Geometry(NamedTuple):
    """How filters move over maps, each (height, width)."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)


class NarrowMaps(TorchFunctionMode):
    """Within this block, narrow maps in bf16 are laid side by side to compute the gradients of filters.

    For pictures with their channels last, under autocast on a CPU with tile instructions (AMX). There oneDNN's program
    for these gradients adds up over the pixels of one row at a time, and seems to take as long for a row of 4 as for
    one of 32. Results are those of torch's convolution but for the order of the sums.
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
    """torch's conv2d, with another backward pass where that is faster."""
    if groups == 1 and not isinstance(padding, str) and in_bf16(input, weight):
        geometry = Geometry(pair(stride), pair(padding), pair(dilation))
        if is_product(weight, geometry) or width_after(input, weight, geometry) <= NARROW:
            half = (None if tensor is None else tensor.to(torch.bfloat16) for tensor in (input, weight, bias))
            found: Tensor = Convolution.apply(*half, geometry)  # type: ignore[no-untyped-call]
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
    """Whether autocast computes this in bf16 on a CPU, for pictures with channels last and filters that learn."""
    return (
        inputs.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and weight.requires_grad
        and inputs.ndim == 4
        and inputs.is_contiguous(memory_format=torch.channels_last)
    )


def is_product(weight: Tensor, geometry: Geometry) -> bool:
    """Whether each pixel gives one pixel, so that the whole is a product of matrices."""
    return weight.shape[2:] == (1, 1) and geometry == Geometry()


def width_after(inputs: Tensor, weight: Tensor, geometry: Geometry) -> int:
    """Pixels in a row of what comes out."""
    stride, padding, dilation = (both[1] for both in geometry)
    return conv_output(inputs.shape[3], weight.shape[3], stride, padding, dilation)


class Convolution(torch.autograd.Function):
    """A convolution of bf16 tensors whose filters' gradient comes from maps side by side."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.geometry = geometry
        return torch.conv2d(inputs, weight, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, weight = ctx.saved_tensors
        upstream = upstream.contiguous(memory_format=torch.channels_last)
        above, filters, bias, _ = ctx.needs_input_grad
        return (
            backward(upstream, inputs, weight, ctx.geometry, 0) if above else None,
            filter_gradient(upstream, inputs, weight, ctx.geometry) if filters else None,
            upstream.sum((0, 2, 3)) if bias else None,
            None,
        )


def backward(upstream: Tensor, inputs: Tensor, weight: Tensor, geometry: Geometry, which: int) -> Tensor:
    """One of the gradients of a convolution, as torch computes it: 0, of its inputs; 1, of its filters."""
    wanted = [which == 0, which == 1, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        upstream, inputs, weight, None, *geometry, False, [0, 0], 1, wanted
    )
    return found[which]


def filter_gradient(upstream: Tensor, inputs: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """(N, C_out, H', W') gradient from above and (N, C_in, H, W) inputs -> the gradient of (C_out, C_in, h, w) filters.

    Several pictures stand side by side as one, so far apart that no window sees two: p columns of zeros lie between
    them, and more until the next picture starts at a multiple of the stride s. Windows between two pictures give
    nothing, as the gradient from above is zero there.

        from one picture to the next    ceil((W + p) / s) outputs, and s times as many inputs
    """
    if is_product(weight, geometry):
        above, below = (tensor.permute(0, 2, 3, 1).flatten(0, 2) for tensor in (upstream, inputs))
        return (above.t() @ below).view_as(weight)
    apart = -(-(inputs.shape[3] + geometry.padding[1]) // geometry.stride[1])
    number = max(1, min(len(inputs), ROW // apart))
    return backward(
        side_by_side(upstream, number, apart),
        side_by_side(inputs, number, apart * geometry.stride[1]),
        weight,
        geometry,
        1,
    )


def side_by_side(maps: Tensor, number: int, apart: int) -> Tensor:
    """(N, C, H, W) -> (ceil(N / number), C, H, (number - 1) apart + W), channels last: zeros between, and at the end.

    >>> side_by_side(torch.tensor([1.0, 2, 3]).view(3, 1, 1, 1), 2, 3).flatten(1)
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
