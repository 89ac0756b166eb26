"""Normalisation by the neighbouring channels, as the networks of 2012 had it."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LocalResponseNorm"]


class LocalResponseNorm(nn.Module):
    """Strong responses hold down those of the n adjacent channels at the same place.

        b[c] = a[c] / (k + alpha * sum over the n channels j around c of a[j]**2)**beta

    Channels beyond the first and last count as zero; an even n reaches one channel further down than up.
    Shapes: (N, C, *) -> the same. Nothing is trainable.
    Here alpha is that of the paper; torch.nn.LocalResponseNorm divides it by n, and has k = 1 unless told.
    Source: Krizhevsky et al. 2012, section 3.3, with its constants.

    >>> import torch
    >>> norm = LocalResponseNorm(size=3, alpha=1.0, beta=1.0, k=2.0)
    >>> norm(torch.tensor([1.0, 1.0, 0.0]).reshape(1, 3, 1)).flatten().tolist()
    [0.25, 0.25, 0.0]
    """

    def __init__(self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, maps: Tensor) -> Tensor:
        # torch takes the mean of the n squares where the paper has their sum
        return F.local_response_norm(maps, self.size, self.alpha * self.size, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
