"""From scores to probabilities that sum to 1, along one axis; and their logarithms."""

import numpy as np
from numpy.typing import ArrayLike

from neocog.reference.activations import matched
from neocog.reference.axes import Array, floats

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


def softmax(x: ArrayLike, axis: int = 1) -> Array:
    """p_k = e^x_k / sum_j e^x_j.

    A constant taken off all x changes nothing, since e^-c is in every term; with the largest taken off none overflows.

    >>> softmax([[1000.0, 1000.0]]).tolist()
    [[0.5, 0.5]]
    """
    inputs = floats(x)
    powers = np.exp(inputs - inputs.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def softmax_backward(delta: ArrayLike, x: ArrayLike, axis: int = 1) -> Array:
    """dE/dx_k = p_k (delta_k - sum_j delta_j p_j).

    From dp_j/dx_k = p_j (1[j = k] - p_k): raising x_k raises its own term, and the sum under all of them.
    """
    deltas, inputs = matched(delta, x)
    p = softmax(inputs, axis)
    return np.asarray(p * (deltas - (deltas * p).sum(axis, keepdims=True)))


def log_softmax(x: ArrayLike, axis: int = 1) -> Array:
    """log p_k = x_k - log sum_j e^x_j, which stays finite where p_k itself would round to 0.

    >>> log_softmax([[0.0, -2000.0]]).tolist()
    [[0.0, -2000.0]]
    """
    inputs = floats(x)
    shifted = inputs - inputs.max(axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)))


def log_softmax_backward(delta: ArrayLike, x: ArrayLike, axis: int = 1) -> Array:
    """dE/dx_k = delta_k - p_k sum_j delta_j, from d(log p_j)/dx_k = 1[j = k] - p_k."""
    deltas, inputs = matched(delta, x)
    return np.asarray(deltas - softmax(inputs, axis) * deltas.sum(axis, keepdims=True))
