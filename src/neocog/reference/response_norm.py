"""Local response normalisation: strong responses hold down those of the neighbouring channels.

    y_c = x_c / s_c^beta,   s_c = k + a sum over the n channels j around c of x_j^2

Two ways of writing the strength a are in use. AlexNet's paper has a = alpha; torch has a = alpha / n, an alpha times
the mean over the window. The paper's alpha = 1e-4 with n = 5 is therefore alpha = 5e-4 in torch.

Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
section 3.3.
"""

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError, GeometryError, did_you_mean
from neocog.reference.axes import Array, check_shape, floats

__all__ = ["local_response_norm", "local_response_norm_backward"]

FORMS = ("alexnet", "torch")


def local_response_norm(
    x: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, form: str = "torch"
) -> Array:
    """Divide each value by a power of the squares around it, across channels; `size` is the window n.

    An even window reaches one channel further down than up. AlexNet's constants: size=5, alpha=1e-4, beta=0.75, k=2,
    form="alexnet". Shapes: (N, C, *any) -> the same. Raises ConfigError for an unknown form.

    >>> x = [[[1.0], [2.0]]]
    >>> local_response_norm(x, size=3, alpha=3.0, beta=1.0, form="torch").ravel().round(3).tolist()
    [0.167, 0.333]
    """
    inputs = floats(x)
    s = divisors(inputs, size, strength(alpha, size, form), k)
    return np.asarray(inputs * s**-beta)


def local_response_norm_backward(
    delta: ArrayLike,
    x: ArrayLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    form: str = "torch",
) -> Array:
    """The gradient with respect to x: its own quotient, and its part in the divisors of the channels around it.

        dE/dx_j = delta_j s_j^-beta - 2 a beta x_j sum over the c whose window holds j of delta_c x_c s_c^(-beta - 1)

    from dy_c/ds_c = -beta x_c s_c^(-beta - 1) and ds_c/dx_j = 2 a x_j. c's window holds j just where j's window,
    turned round, holds c. Shapes: delta like x -> like x.
    """
    deltas, inputs = floats(delta), floats(x)
    a = strength(alpha, size, form)
    s = divisors(inputs, size, a, k)
    check_shape("delta", deltas, inputs.shape, "the input")
    through = window_sum(deltas * inputs * s ** (-beta - 1), after=size // 2, before=(size - 1) // 2)
    return np.asarray(deltas * s**-beta - 2 * a * beta * inputs * through)


def strength(alpha: float, size: int, form: str) -> float:
    """The factor of the sum of squares."""
    if form not in FORMS:
        raise ConfigError(f"There is no form {form!r} of local response normalisation. {did_you_mean(form, FORMS)}")
    if size < 1:
        raise ConfigError("size must be at least 1 channel.", received=f"{size}")
    return alpha if form == "alexnet" else alpha / size


def divisors(x: Array, size: int, a: float, k: float) -> Array:
    """s, before it is raised to the power of beta."""
    if x.ndim < 3:
        raise GeometryError("Responses are (N, C, *positions).", received=f"{x.shape}")
    return np.asarray(k + a * window_sum(x**2, before=size // 2, after=(size - 1) // 2))


def window_sum(values: Array, before: int, after: int) -> Array:
    """Sums over the channels c - before .. c + after, as far as there are any."""
    padded = np.pad(values, ((0, 0), (before, after), *[(0, 0)] * (values.ndim - 2)))
    return floats(sum(padded[:, i : i + values.shape[1]] for i in range(before + after + 1)))
