"""A mode that sees calls of conv2d, and a convolution that is computed by the methods of a mode."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

__all__ = ["ConvSettings", "ConvolutionMode", "input_gradient", "weight_gradient"]

BF16, LAST = torch.bfloat16, torch.channels_last
Sizes = int | tuple[int, ...]


class ConvSettings(NamedTuple):
    """Stride, padding and dilation of a convolution, each (height, width), and its groups."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


class ConvolutionMode(TorchFunctionMode):
    """Within this block the convolutions that `takes` names are computed by the methods below; others by torch.

    It sees convolutions of channels-last images under autocast to bf16 on a CPU. By default the results are torch's;
    a variant overrides what it computes otherwise.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (self.conv2d if func is torch.conv2d else func)(*args, **(kwargs or {}))

    def conv2d(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
    ) -> Tensor:
        """torch's conv2d, computed here if this variant takes it."""
        if in_bf16(input) and weight.ndim == 4:
            settings = read_settings(weight, stride, padding, dilation, groups)
            if settings is not None and self.takes(input, weight, bias, settings):
                rounded = self.round(input, weight, bias)
                maps: Tensor = Convolution.apply(*rounded, settings, self)  # type: ignore[no-untyped-call]
                return maps
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)

    def takes(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> bool:
        """Whether this variant computes the convolution, because that pays off."""
        raise NotImplementedError

    def round(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """The tensors in the types of the methods below; their gradients are converted back."""
        return inputs.to(BF16), weight.to(BF16), None if bias is None else bias.to(BF16)

    def forward(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> Tensor:
        """The convolution itself."""
        return torch.conv2d(inputs, weight, bias, *settings)

    def input_gradient(self, upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
        """The gradient of the inputs, from a channels-last gradient from above."""
        return input_gradient(upstream, inputs, weight, settings)

    def weight_gradient(self, upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
        """The gradient of the filters, from a channels-last gradient from above."""
        return weight_gradient(upstream, inputs, weight, settings)


def in_bf16(inputs: Tensor) -> bool:
    """Whether autocast computes this in bf16 on a CPU, for channels-last images."""
    return (
        torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == BF16
        and inputs.ndim == 4
        and inputs.device.type == "cpu"
        and inputs.is_contiguous(memory_format=LAST)
    )


def read_settings(
    weight: Tensor, stride: Sizes, padding: Sizes | str, dilation: Sizes, groups: int
) -> ConvSettings | None:
    """The settings as pairs; None if padding has a name and differs from side to side.

    >>> read_settings(torch.zeros(8, 8, 3, 5), 1, "same", (2, 1), 1)
    ConvSettings(stride=(1, 1), padding=(2, 2), dilation=(2, 1), groups=1)
    >>> read_settings(torch.zeros(8, 8, 2, 2), 1, "same", 1, 1) is None
    True
    """
    steps, apart = pair(stride), pair(dilation)
    if not isinstance(padding, str):
        return ConvSettings(steps, pair(padding), apart, groups)
    around = [d * (k - 1) if padding == "same" else 0 for d, k in zip(apart, weight.shape[2:], strict=True)]
    if padding not in ("same", "valid") or around[0] % 2 or around[1] % 2 or (padding == "same" and steps != (1, 1)):
        return None
    return ConvSettings(steps, (around[0] // 2, around[1] // 2), apart, groups)


def pair(value: Sizes) -> tuple[int, int]:
    """
    >>> pair(2), pair((1, 3)), pair((2,))
    ((2, 2), (1, 3), (2, 2))
    """
    values = (value,) if isinstance(value, int) else tuple(value)
    return values[0], values[-1]


class Convolution(torch.autograd.Function):
    """A convolution whose results and gradients are those of a mode's methods."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings, mode: ConvolutionMode
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.settings, ctx.mode = settings, mode
        ctx.bias_type = None if bias is None else bias.dtype
        return mode.forward(inputs, weight, bias, settings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        inputs, weight = ctx.saved_tensors
        upstream = upstream.contiguous(memory_format=LAST)
        below, filters, bias, *_ = ctx.needs_input_grad
        return (
            ctx.mode.input_gradient(upstream, inputs, weight, ctx.settings) if below else None,
            ctx.mode.weight_gradient(upstream, inputs, weight, ctx.settings) if filters else None,
            upstream.sum((0, 2, 3), dtype=ctx.bias_type) if bias else None,
            None,
            None,
        )


def input_gradient(upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
    """The gradient of the inputs as torch computes it, in the type of its arguments; values of `inputs` don't count."""
    return torch_gradients(upstream, inputs, weight, settings, [True, False, False])[0]


def weight_gradient(upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
    """The gradient of the filters as torch computes it, in the type of its arguments."""
    return torch_gradients(upstream, inputs, weight, settings, [False, True, False])[1]


def torch_gradients(
    upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings, wanted: list[bool]
) -> tuple[Tensor, ...]:
    *window, groups = settings
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        upstream, inputs, weight, None, *window, False, [0, 0], groups, wanted
    )
    return found
