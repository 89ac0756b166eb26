"""A convolution whose filters are standardised, so that no activation has to be."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from neocog.layers.initialization import fans

__all__ = ["ScaledConv2d"]


class ScaledConv2d(nn.Conv2d):
    """A convolution whose filters have mean zero and a norm that is learned: scaled weight standardisation.

        filter[m] = gain[m] * (W[m] - mean(W[m])) / (sqrt(N) * std(W[m]))    N = c_in / groups * k * k

    With a gain of one, uncorrelated inputs of variance one give outputs of mean zero and variance one, whatever mean
    they share. Takes the arguments of torch's Conv2d, and gives its shapes. The root is kept from zero: N times
    the variance counts as no less than `eps`.
    Raises ValueError if a filter has one weight alone, since that equals its mean.
    Source: Brock et al. 2021, "Characterizing signal propagation to close the performance gap in unnormalized ResNets",
    section 4. The constant of the activation, which the paper writes as part of the filter, belongs to the activation
    here as in the authors' code; the gain for each output channel and `eps` are theirs too.

    >>> filters = ScaledConv2d(8, 2, kernel_size=3).scaled_weight().detach().flatten(1)
    >>> [round(norm, 3) for norm in filters.norm(dim=1).tolist()], bool(filters.sum(1).abs().max() < 1e-5)
    ([1.0, 1.0], True)
    """

    def __init__(self, *args: Any, eps: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fan_in, _ = fans(self)
        if self.fan_in < 2:
            raise ValueError(
                "A standardised filter needs two weights or more. Received: "
                f"in_channels={self.in_channels}, groups={self.groups}, kernel_size={self.kernel_size}. "
                "Use fewer groups, a larger kernel, or torch's Conv2d."
            )
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(self.out_channels))
        nn.init.normal_(self.weight, std=1 / math.sqrt(self.fan_in))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def scaled_weight(self) -> Tensor:
        """The filters that the input meets; (C_out, C_in / groups, k, k)."""
        var, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        scale = (self.fan_in * var).clamp_min(self.eps).rsqrt() * self.gain[:, None, None, None]
        return (self.weight - mean) * scale

    def forward(self, maps: Tensor) -> Tensor:
        return self._conv_forward(maps, self.scaled_weight(), self.bias)  # type: ignore[no-any-return]
