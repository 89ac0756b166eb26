"""3x3 convolutions in bf16 by Winograd's method, which multiplies 16 times where the definition multiplies 36 times."""

from collections.abc import Sequence

import torch
from torch import Tensor

from neocog.training.convolutions.library import Kernels, load_kernels
from neocog.training.convolutions.mode import BF16, LAST, ConvolutionMode, ConvSettings

__all__ = ["WinogradConvolutions", "has_enough_channels"]

FEWEST, PRODUCT = 16, 512  # channels on either side, and both multiplied: below, transforms cost what they save
SAVING = 1.2  # least share of multiplications in the definition to those here: maps of odd sizes have tiles half empty


class WinogradConvolutions(ConvolutionMode):
    """Within this block 3x3 convolutions are computed by Winograd's method, forward and backward.

    It applies to stride 1, one group, and enough channels and pixels to pay off. Results are those of torch's
    convolution but for rounding: spectra are rounded to bf16 as well, so that errors are up to twice those of rounding
    inputs and filters alone, however many channels there are. They don't depend on the number of threads. Filters and
    their gradients are float32.
    Source: Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", F(2x2, 3x3).
    """

    def __init__(self) -> None:
        """Raises ConfigError if the kernels can't be used or compiled here."""
        super().__init__()
        self.kernels = load_kernels()

    def takes(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> bool:
        around = settings.padding[0]
        simple = settings == ConvSettings(padding=(around, around)) and (bias is None or bias.dtype == torch.float32)
        return simple and pays_off(inputs, weight, around)

    def round(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        return inputs.to(BF16), weight, bias

    def forward(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> Tensor:
        around = settings.padding[0]
        height, width = (size + 2 * around - 2 for size in inputs.shape[2:])
        panels = filter_panels(weight, "panels", self.kernels)
        return convolve(inputs, panels, bias, (len(weight), height, width), around, self.kernels)

    def input_gradient(self, upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
        panels = filter_panels(weight, "turned_panels", self.kernels)
        return convolve(upstream, panels, None, inputs.shape[1:], 2 - settings.padding[0], self.kernels)

    def weight_gradient(self, upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
        return filter_gradient(upstream, inputs, settings.padding[0], self.kernels)


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
