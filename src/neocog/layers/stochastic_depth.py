"""Residual branches that are left out at random while a network is trained."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["StochasticDepth"]


class StochasticDepth(nn.Module):
    """In training, a residual branch is dropped as a whole with chance p, for each sample of the batch on its own.

        y[n] = b[n] x[n] / (1 - p)    b[n] = 0 with chance p, else 1

    What survives is scaled up, so that the expectation is x; the paper scales down in evaluation instead. In evaluation
    mode nothing happens. Belongs at the end of a branch, before the sum. Shapes: (N, ...) -> (N, ...).
    Raises ValueError for a rate outside [0, 1).
    Source: Huang et al. 2016, "Deep networks with stochastic depth", section 3; there for a whole batch at once.

    >>> import torch
    >>> branch = torch.ones(2, 3, 4, 4)
    >>> torch.equal(StochasticDepth(0.5).eval()(branch), branch)
    True
    """

    def __init__(self, drop_rate: float) -> None:
        super().__init__()
        if not 0 <= drop_rate < 1:
            raise ValueError(
                f"drop_rate must lie in [0, 1). Received: {drop_rate}. Use 0 to keep every branch, or less than 1."
            )
        self.drop_rate = drop_rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_rate == 0:
            return branch
        ones = branch.new_ones(branch.shape[0], *[1] * (branch.dim() - 1))
        return branch * F.dropout(ones, self.drop_rate)

    def extra_repr(self) -> str:
        return f"drop_rate={self.drop_rate}"
