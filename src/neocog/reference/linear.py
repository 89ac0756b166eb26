"""The fully connected layer: every output reads every input."""

from numpy.typing import ArrayLike

from neocog.errors import GeometryError
from neocog.reference.axes import Array, check_bias, check_shape, floats

__all__ = ["linear", "linear_backward"]


def linear(x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """y[n, o] = b[o] + sum_i w[o, i] x[n, i], that is y = x W^T + b.

    Shapes: x (N, D_in), w (D_out, D_in), bias (D_out,) -> (N, D_out). Raises GeometryError if they don't match.

    >>> linear([[1, 2]], [[3, 4], [5, 6]], [10, 20]).tolist()
    [[21.0, 37.0]]
    """
    inputs, weights = matching(x, w)
    return inputs @ weights.T + check_bias(bias, len(weights))


def linear_backward(delta: ArrayLike, x: ArrayLike, w: ArrayLike) -> tuple[Array, Array, Array]:
    """Gradients with respect to x, w and bias, given that with respect to y.

    dE/dx[i] = sum_o delta[o] w[o, i], so dx = delta W; dE/dw[o, i] = sum_n delta[n, o] x[n, i], so dW = delta^T x; and
    db = the sum of the deltas.
    """
    inputs, weights = matching(x, w)
    deltas = floats(delta)
    check_shape("delta", deltas, (len(inputs), len(weights)), "the output")
    return deltas @ weights, deltas.T @ inputs, deltas.sum(0)


def matching(x: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    """Inputs and weights that meet."""
    inputs, weights = floats(x), floats(w)
    if inputs.ndim != 2 or weights.ndim != 2 or inputs.shape[1] != weights.shape[1]:
        raise GeometryError(
            "Weights (D_out, D_in) read inputs (N, D_in).",
            received=f"x {inputs.shape}, w {weights.shape}",
            fix="Flatten maps with x.reshape(len(x), -1).",
        )
    return inputs, weights
