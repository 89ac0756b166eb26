"""The squashing function of the 1998 networks."""

from torch import Tensor, nn

__all__ = ["ScaledTanh"]


class ScaledTanh(nn.Module):
    """A hyperbolic tangent scaled so that it maps 1 to 1 and -1 to -1, and bends most there.

        f(a) = 1.7159 tanh(2a / 3)

    Any shape. Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", appendix A.

    >>> import torch
    >>> ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0])).round(decimals=3).tolist()
    [-1.0, 0.0, 1.0]
    """

    AMPLITUDE, SLOPE = 1.7159, 2 / 3

    def forward(self, activations: Tensor) -> Tensor:
        return self.AMPLITUDE * (self.SLOPE * activations).tanh()
