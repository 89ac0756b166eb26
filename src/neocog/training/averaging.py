"""A moving average of the weights, which is often a better network than the last step's."""

import copy

import torch
from torch import Tensor, nn

__all__ = ["AveragedModel"]


class AveragedModel:
    """A copy of a network whose weights follow the original's slowly.

        average <- d * average + (1 - d) * weights,    d = min(decay, (1 + t) / (10 + t)) at update t

    The decay rises so that the random initial weights are soon forgotten. Buffers, such as the statistics of batch
    norm, are copied. Source: Tarvainen & Valpola 2017; the rising decay as in
    TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False)
        pairs = list(zip(self.model.parameters(), model.parameters(), strict=True))
        self.averages: list[Tensor] = [average for average, _ in pairs]
        self.weights: list[Tensor] = [weight for _, weight in pairs]
        self.buffers = list(zip(self.model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights after update number `step`, from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.averages, self.weights, 1 - decay)
        for average, buffer in self.buffers:
            average.copy_(buffer)
