"""A network in NumPy: a list of layers, gone through forwards and backwards; and LeNet as such a list."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.reference.axes import Array, floats
from neocog.reference.losses import softmax_cross_entropy
from neocog.reference.network_layers import Convolution, Flatten, Layer, Linear, MaxPool, ReLU

__all__ = ["Network", "lenet"]

BATCH = 500  # samples at once where nothing is learned


class Network:
    """Layers one behind the other, with first weights drawn from the seed.

    >>> network = Network([Linear(3, 2)], seed=0)
    >>> network.logits(np.zeros((5, 3))).shape
    (5, 2)
    """

    def __init__(self, layers: Sequence[Layer], seed: int) -> None:
        self.layers = list(layers)
        for place, layer in enumerate(self.layers):
            layer.draw(seed, place)

    @property
    def weights(self) -> list[Array]:
        """All weights, layer by layer."""
        return [w for layer in self.layers for w in layer.weights]

    @weights.setter
    def weights(self, weights: Sequence[Array]) -> None:
        remaining = iter(weights)
        for layer in self.layers:
            layer.weights = [next(remaining) for _ in layer.weights]

    def forward(self, x: Array) -> tuple[Array, list[Any]]:
        """Inputs (N, ...) -> logits (N, K), and what each layer keeps for the way back."""
        kept = []
        for layer in self.layers:
            x, of_layer = layer.forward(x)
            kept.append(of_layer)
        return x, kept

    def backward(self, delta: Array, kept: Sequence[Any]) -> list[Array]:
        """Backpropagation: each layer's gradient is made from that of the layer behind it, from the last to the first.

        dE/d logits (N, K) -> the gradients of all weights, in their order.
        """
        gradients: list[Array] = []
        for layer, of_layer in zip(reversed(self.layers), reversed(kept), strict=True):
            delta, of_weights = layer.backward(delta, of_layer)
            gradients = of_weights + gradients
        return gradients

    def loss_and_gradients(self, x: ArrayLike, targets: ArrayLike) -> tuple[float, list[Array]]:
        """The mean cross-entropy of a batch, and its gradient with respect to all weights."""
        logits, kept = self.forward(floats(x))
        loss, delta = softmax_cross_entropy(logits, targets)
        return loss, self.backward(delta, kept)

    def logits(self, x: ArrayLike) -> Array:
        """Inputs (N, ...) -> logits (N, K), some at a time."""
        inputs = np.asarray(x)
        parts = [self.forward(floats(inputs[start : start + BATCH]))[0] for start in range(0, len(inputs), BATCH)]
        return np.concatenate(parts)

    def accuracy(self, x: ArrayLike, labels: NDArray[np.integer]) -> float:
        """The share of inputs whose largest logit is that of their label."""
        return float((self.logits(x).argmax(1) == labels).mean())


def lenet(seed: int = 0) -> Network:
    """LeNet-5 in the form in which it is taught today, for images of 28x28 with one channel, and 10 classes.

    Shapes: (N, 1, 28, 28) -> (N, 10). 61,706 weights. Source: LeCun et al. 1998, with ReLU, max pooling, full
    connections and softmax.

    >>> sum(w.size for w in lenet().weights)
    61706
    """
    return Network(
        [
            Convolution(1, 6, kernel_size=5, padding=2), ReLU(), MaxPool(2),
            Convolution(6, 16, kernel_size=5), ReLU(), MaxPool(2),
            Flatten(),
            Linear(400, 120), ReLU(),
            Linear(120, 84), ReLU(),
            Linear(84, 10),
        ],
        seed,
    )  # fmt: skip
