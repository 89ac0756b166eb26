"""Gradients of depthwise convolutions for which bf16 is slow on a CPU, computed in float32."""

import torch
from torch import Tensor

from neocog.training.convolutions.mode import ConvolutionMode, ConvSettings

__all__ = ["DepthwiseGradients"]


class DepthwiseGradients(ConvolutionMode):
    """Within this block some gradients of depthwise convolutions are computed in float32, and so faster.

    These are the input gradients if the stride is above 1, and the filter gradients if windows are larger than 3x3. In
    bf16 oneDNN 3.12 computes the former one channel at a time with a kernel for products of many channels
    (brgconv_strided), which takes 10 to 100 times as long, and the latter take 1.5 to 3.5 times as long. Input
    gradients are rounded to bf16 at the end.
    """

    def takes(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, settings: ConvSettings) -> bool:
        depthwise = settings.groups > 1 and settings.groups == weight.shape[0] == inputs.shape[1]
        return depthwise and (is_strided(settings) or is_large(weight)) and weight.requires_grad

    def input_gradient(self, upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
        if not is_strided(settings):
            return super().input_gradient(upstream, inputs, weight, settings)
        blank = torch.empty_like(inputs, dtype=torch.float32)
        return super().input_gradient(upstream.float(), blank, weight.float(), settings).to(inputs.dtype)

    def weight_gradient(self, upstream: Tensor, inputs: Tensor, weight: Tensor, settings: ConvSettings) -> Tensor:
        if not is_large(weight):
            return super().weight_gradient(upstream, inputs, weight, settings)
        return super().weight_gradient(upstream.float(), inputs.float(), weight.float(), settings).to(weight.dtype)


def is_strided(settings: ConvSettings) -> bool:
    return settings.stride != (1, 1)


def is_large(weight: Tensor) -> bool:
    """Whether windows are larger than 3x3."""
    return weight.shape[2] * weight.shape[3] > 9
