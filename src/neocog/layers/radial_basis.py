"""Classification by distance to fixed codes."""

from torch import Tensor, nn

__all__ = ["RadialBasis"]


class RadialBasis(nn.Module):
    """Minus the squared Euclidean distance of the features to a fixed code for each class.

        logit[k] = -sum_j (x[j] - code[k, j])**2

    Shapes: (N, D) -> (N, K) for codes (K, D). Nothing is trainable.
    Source: LeCun et al. 1998, equation 7. The paper's penalty is the distance; its negative is a log-likelihood up to
    a constant, so softmax and cross-entropy apply.

    >>> import torch
    >>> RadialBasis(torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))(torch.tensor([[1.0, 0.0]])).tolist()
    [[-1.0, -5.0]]
    """

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.codes: Tensor

    def forward(self, features: Tensor) -> Tensor:
        cross = features @ self.codes.T
        return 2 * cross - features.square().sum(1, keepdim=True) - self.codes.square().sum(1)
