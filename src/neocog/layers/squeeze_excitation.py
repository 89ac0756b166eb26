"""Channels that are weighed by what the whole map shows."""

from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["SqueezeExcitation"]


class SqueezeExcitation(nn.Module):
    """Each channel times a gate, which two dense layers compute from the means of all channels.

        z[c] = mean(x[c])
        y[c] = x[c] * gate(W2 activation(W1 z + b1) + b2)[c]

    Shapes: (N, C, H, W) -> (N, C, H, W). `squeeze_channels` is the width R between the two layers, which have
    2CR + C + R parameters. Stored as 1x1 convolutions. The paper's gate is a sigmoid behind ReLU.
    Source: Hu et al. 2017, "Squeeze-and-excitation networks", equations 2 to 4.

    >>> gated = SqueezeExcitation(8, squeeze_channels=2)
    >>> sum(p.numel() for p in gated.parameters())
    42
    """

    def __init__(
        self,
        num_channels: int,
        squeeze_channels: int,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(num_channels, squeeze_channels, 1)
        self.activation = activation()
        self.expand = nn.Conv2d(squeeze_channels, num_channels, 1)
        self.gate = gate()

    def forward(self, maps: Tensor) -> Tensor:
        means = maps.mean((2, 3), keepdim=True)
        gates: Tensor = self.gate(self.expand(self.activation(self.reduce(means))))
        return maps * gates
