"""Activations that treat every value alike, each with its derivative.

For y = f(x), value by value, the chain rule is dE/dx = dE/dy * f'(x). Every `..._backward` takes delta = dE/dy and the
input x, of one shape, and gives dE/dx.
"""

import numpy as np
from numpy.typing import ArrayLike

from neocog.reference.axes import Array, check_shape, floats

__all__ = [
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "tanh",
    "tanh_backward",
]


def relu(x: ArrayLike) -> Array:
    """max(x, 0).

    >>> relu([-2.0, 3.0]).tolist()
    [0.0, 3.0]
    """
    return np.maximum(floats(x), 0.0)


def relu_backward(delta: ArrayLike, x: ArrayLike) -> Array:
    """f'(x) = 1 where x > 0, else 0; at the corner itself 0 is taken."""
    deltas, inputs = matched(delta, x)
    return deltas * (inputs > 0)


def leaky_relu(x: ArrayLike, slope: float = 0.01) -> Array:
    """x where x > 0, else slope * x.

    >>> leaky_relu([-2.0, 3.0], slope=0.1).tolist()
    [-0.2, 3.0]
    """
    inputs = floats(x)
    return np.where(inputs > 0, inputs, slope * inputs)


def leaky_relu_backward(delta: ArrayLike, x: ArrayLike, slope: float = 0.01) -> Array:
    """f'(x) = 1 where x > 0, else slope."""
    deltas, inputs = matched(delta, x)
    return deltas * np.where(inputs > 0, 1.0, slope)


def tanh(x: ArrayLike) -> Array:
    """(e^x - e^-x) / (e^x + e^-x), between -1 and 1."""
    return np.tanh(floats(x))


def tanh_backward(delta: ArrayLike, x: ArrayLike) -> Array:
    """f' = 1 - f^2, from the quotient rule: ((e^x + e^-x)^2 - (e^x - e^-x)^2) / (e^x + e^-x)^2."""
    deltas, inputs = matched(delta, x)
    return deltas * (1.0 - np.tanh(inputs) ** 2)


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + e^-x), between 0 and 1.

    e^-x would overflow for large negative x; written as e^(-log(e^0 + e^-x)) nothing does, because the logarithm of
    such a sum is taken with its largest term in front.

    >>> sigmoid([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.exp(-np.logaddexp(0.0, -floats(x)))


def sigmoid_backward(delta: ArrayLike, x: ArrayLike) -> Array:
    """f' = f (1 - f), because f' = e^-x / (1 + e^-x)^2 and 1 - f(x) = e^-x / (1 + e^-x) = f(-x)."""
    deltas, inputs = matched(delta, x)
    return deltas * sigmoid(inputs) * sigmoid(-inputs)


def matched(delta: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
    """Deltas and inputs, of one shape."""
    deltas, inputs = floats(delta), floats(x)
    check_shape("delta", deltas, inputs.shape, "the input")
    return deltas, inputs
