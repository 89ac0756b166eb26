"""Layers for a network without autograd: each is a pair, forward and backward, over the operators of this package.

`forward` gives a layer's output and what it keeps for the way back. `backward` takes the gradient with respect to the
output and what was kept, and gives that with respect to the input and one for each of the layer's weights.
"""

import math
from typing import Any

import numpy as np

from neocog.reference.activations import relu, relu_backward
from neocog.reference.axes import Array
from neocog.reference.cross_correlation import cross_correlate
from neocog.reference.gradients import cross_correlate_backward
from neocog.reference.linear import linear, linear_backward
from neocog.reference.max_pooling import max_pool, max_pool_backward
from neocog.rng import normal

__all__ = ["Convolution", "Flatten", "Layer", "Linear", "MaxPool", "ReLU"]


class Layer:
    """A step of a network; this one changes nothing, keeps nothing and learns nothing."""

    def __init__(self) -> None:
        self.weights: list[Array] = []

    def draw(self, seed: int, place: int) -> None:
        """Draw the first weights, for a layer at this place of its network."""

    def forward(self, x: Array) -> tuple[Array, Any]:
        """Input -> output, and what `backward` needs."""
        return x, None

    def backward(self, delta: Array, kept: Any) -> tuple[Array, list[Array]]:
        """dE/d output, and what `forward` kept -> dE/d input, and dE/d each weight."""
        return delta, []


def he_normal(shape: tuple[int, ...], seed: int, place: int) -> Array:
    """Weights of mean 0 and variance 2 / fan-in, which keeps the size of signals through layers of ReLU.

    Source: He et al. 2015, "Delving deep into rectifiers", section 2.2.
    """
    fan_in = math.prod(shape[1:])
    draws = normal(seed, epoch=0, samples=range(shape[0]), purpose=f"weights of layer {place}", num=fan_in)
    return draws.reshape(shape) * math.sqrt(2 / fan_in)


class Convolution(Layer):
    """(N, in_channels, H, W) -> (N, out_channels, H', W'), with a bias."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0) -> None:
        self.shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.padding = padding
        self.weights = [np.zeros(self.shape), np.zeros(out_channels)]

    def draw(self, seed: int, place: int) -> None:
        self.weights = [he_normal(self.shape, seed, place), np.zeros(self.shape[0])]

    def forward(self, x: Array) -> tuple[Array, Any]:
        w, bias = self.weights
        return cross_correlate(x, w, bias, padding=self.padding, method="im2col"), x

    def backward(self, delta: Array, kept: Any) -> tuple[Array, list[Array]]:
        dx, dw, db = cross_correlate_backward(delta, kept, self.weights[0], padding=self.padding, method="im2col")
        return dx, [dw, db]


class Linear(Layer):
    """(N, in_features) -> (N, out_features), with a bias."""

    def __init__(self, in_features: int, out_features: int) -> None:
        self.shape = (out_features, in_features)
        self.weights = [np.zeros(self.shape), np.zeros(out_features)]

    def draw(self, seed: int, place: int) -> None:
        self.weights = [he_normal(self.shape, seed, place), np.zeros(self.shape[0])]

    def forward(self, x: Array) -> tuple[Array, Any]:
        return linear(x, *self.weights), x

    def backward(self, delta: Array, kept: Any) -> tuple[Array, list[Array]]:
        dx, dw, db = linear_backward(delta, kept, self.weights[0])
        return dx, [dw, db]


class ReLU(Layer):
    """max(x, 0); any shape."""

    def forward(self, x: Array) -> tuple[Array, Any]:
        return relu(x), x

    def backward(self, delta: Array, kept: Any) -> tuple[Array, list[Array]]:
        return relu_backward(delta, kept), []


class MaxPool(Layer):
    """(N, C, H, W) -> (N, C, H / size, W / size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Array) -> tuple[Array, Any]:
        y, winners = max_pool(x, self.size)
        return y, (winners, x.shape)

    def backward(self, delta: Array, kept: Any) -> tuple[Array, list[Array]]:
        return max_pool_backward(delta, *kept), []


class Flatten(Layer):
    """(N, C, H, W) -> (N, C * H * W)."""

    def forward(self, x: Array) -> tuple[Array, Any]:
        return x.reshape(len(x), -1), x.shape

    def backward(self, delta: Array, kept: Any) -> tuple[Array, list[Array]]:
        return delta.reshape(kept), []
