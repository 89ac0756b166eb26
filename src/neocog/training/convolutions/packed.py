"""Packed weight gradient for small feature maps: bf16 convolutions on a CPU whose maps are a few pixels wide."""

from torch import Tensor

from neocog.arithmetic import conv_output
from neocog.training.convolutions.mode import ConvolutionMode, ConvSettings, weight_gradient

__all__ = ["PackedGradients", "packed_gradient"]

NARROW = 8  # pixels; from about 12 on, packing takes longer than it saves
ROW = 64  # approximate width of packed maps, in pixels


class PackedGradients(ConvolutionMode):
    """Within this block narrow maps are packed side by side to compute weight gradients, several times as fast.

    It is for CPUs with tile instructions (AMX). There oneDNN's kernel for these gradients sums over the pixels of one
    row at a time and seems to take as long for a row of 4 as for one of 32. Results equal those of torch's convolution
    except for the order of the sums.
    """

    def takes(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> bool:
        if settings.groups != 1 or not weight.requires_grad:
            return False
        return is_product(weight, settings) or width_after(inputs, weight, settings) <= NARROW

    def weight_gradient(self, upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
        return packed_gradient(upstream, inputs, weight, settings)


def is_product(weight: Tensor, settings: ConvSettings) -> bool:
    """Whether each pixel gives one pixel, so that the convolution is a matrix product."""
    return weight.shape[2:] == (1, 1) and settings == ConvSettings()


def width_after(inputs: Tensor, weight: Tensor, settings: ConvSettings) -> int:
    """The width of the output, in pixels."""
    stride, padding, dilation = (both[1] for both in settings[:3])
    return conv_output(inputs.shape[3], weight.shape[3], stride, padding, dilation)


def packed_gradient(upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
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
    return weight_gradient(
        pack_side_by_side(upstream, number, apart),
        pack_side_by_side(inputs, number, apart * settings.stride[1]),
        weight,
        settings,
    )


def pack_side_by_side(maps: Tensor, number: int, apart: int) -> Tensor:
    """(N, C, H, W) -> (ceil(N / number), C, H, (number - 1) apart + W), channels last; zeros between and at the end.

    >>> import torch
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
