"""3x3 convolutions in bf16 by Winograd's method, which multiplies 16 times where the definition multiplies 36 times."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from neocog.training.native.library import Kernels, load_kernels

__all__ = ["WinogradConvolutions"]

BF16, LAST = torch.bfloat16, torch.channels_last
FEWEST, PRODUCT = 32, 2048  # channels on either side, and both multiplied: below, transforms cost what they save
SAVING = 1.5  # least share of multiplications in the definition to those here: maps of odd sizes have tiles half empty
MOST_TILES, LARGEST = 512, 2 << 20  # tiles of one product, or bytes of its spectra if that is more: beyond, caches miss


class WinogradConvolutions(TorchFunctionMode):
    """Within this block 3x3 convolutions under autocast to bf16 on a CPU are computed by Winograd's method.

    It applies to channels-last images, stride 1, one group, and enough channels and pixels to pay off. Results are
    those of torch's convolution but for rounding: spectra are rounded to bf16 as well, so that errors are about 1.8
    times those of rounding inputs and filters alone, however many channels there are.
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


class Tiles(NamedTuple):
    """The 2x2 tiles of (n, height, width) outputs."""

    num: int
    height: int
    width: int

    @property
    def rows(self) -> int:
        return -(-self.height // 2)

    @property
    def columns(self) -> int:
        return -(-self.width // 2)

    def parts(self, channels: int) -> Iterator[tuple[int, int]]:
        """First and last (exclusive) tile rows, of all images, of the parts in which they are computed."""
        total = self.num * self.rows
        most = max(1, max(MOST_TILES, LARGEST // (16 * 2 * channels)) // self.columns)
        size = -(-total // -(-total // most))
        for first in range(0, total, size):
            yield first, min(first + size, total)


class Convolution(torch.autograd.Function):
    """A 3x3 convolution of channels-last bf16 maps with float32 filters; the filters' gradient is float32."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: int, kernels: Kernels
    ) -> Tensor:
        spectra = filter_spectra(weight, kernels)
        ctx.save_for_backward(inputs, spectra)
        ctx.padding, ctx.kernels = padding, kernels
        n, _, height, width = inputs.shape
        tiles = Tiles(n, height + 2 * padding - 2, width + 2 * padding - 2)
        return correlate(inputs, spectra.transpose(1, 2), bias, tiles, padding, kernels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        inputs, spectra = ctx.saved_tensors
        upstream = upstream.contiguous(memory_format=LAST)
        above, filters, bias, _, _ = ctx.needs_input_grad
        n, _, height, width = inputs.shape
        below = None
        if above:  # a convolution with reversed filters
            tiles = Tiles(n, height, width)
            below = correlate(upstream, spectra, None, tiles, 2 - ctx.padding, ctx.kernels, reverse=True)
        return (
            below,
            filter_gradient(upstream, inputs, ctx.padding, ctx.kernels) if filters else None,
            upstream.sum((0, 2, 3), dtype=torch.float32) if bias else None,
            None,
            None,
        )


def filter_spectra(weight: Tensor, kernels: Kernels) -> Tensor:
    """(C_out, C_in, 3, 3) filters -> (16, C_out, C_in), for each pair of frequencies one matrix, in bf16."""
    c_out, c_in = weight.shape[:2]
    spectra = torch.empty(16, c_out, c_in, dtype=BF16)
    last = weight.detach().contiguous(memory_format=LAST)
    kernels.run("spectra_of_filters", last, spectra, c_out, c_in, torch.get_num_threads())
    return spectra


def correlate(
    inputs: Tensor,
    matrices: Tensor,
    bias: Tensor | None,
    tiles: Tiles,
    padding: int,
    kernels: Kernels,
    *,
    reverse: bool = False,
) -> Tensor:
    """(N, c, H, W) inputs and (16, c, k) matrices -> (N, k, h, w) outputs, plus a bias for each of the k channels.

    `reverse`: the filters are turned by 180 degrees, which swaps the outer frequencies of either axis.
    """
    n, c, height, width = inputs.shape
    k, threads = matrices.shape[2], torch.get_num_threads()
    bias = None if bias is None else bias.detach().contiguous()
    outputs = torch.empty((n, k, tiles.height, tiles.width), dtype=BF16, memory_format=LAST)
    for first, last in tiles.parts(max(c, k)):
        grid = (tiles.rows, tiles.columns, first, last, int(reverse), threads)
        spectra = torch.empty(16, (last - first) * tiles.columns, c, dtype=BF16)
        kernels.run("spectra_of_inputs", inputs, spectra, height, width, c, padding, *grid)
        kernels.run("maps_of_spectra", torch.bmm(spectra, matrices), bias, outputs, tiles.height, tiles.width, k, *grid)
    return outputs


def filter_gradient(upstream: Tensor, inputs: Tensor, padding: int, kernels: Kernels) -> Tensor:
    """(N, C_out, h, w) gradient from above and (N, C_in, H, W) inputs -> (C_out, C_in, 3, 3) in float32.

    Parts of the batch are summed in float32.
    """
    c_out, (n, c_in, height, width) = upstream.shape[1], inputs.shape
    tiles, threads = Tiles(n, *upstream.shape[2:]), torch.get_num_threads()
    gradient = torch.empty((c_out, c_in, 3, 3), memory_format=LAST)
    for first, last in tiles.parts(max(c_in, c_out)):
        grid = (tiles.rows, tiles.columns, first, last)
        number = (last - first) * tiles.columns
        below, above = (torch.empty(16, number, channels, dtype=BF16) for channels in (c_in, c_out))
        kernels.run("spectra_of_inputs", inputs, below, height, width, c_in, padding, *grid, 0, threads)
        kernels.run("spectra_of_gradients", upstream, above, *upstream.shape[2:], c_out, *grid, threads)
        products = torch.bmm(above.transpose(1, 2), below)
        kernels.run("filters_of_spectra", products, gradient, c_out, c_in, int(first > 0), threads)
    return gradient
