"""Convolution of functions, which the sums of the other files approximate.

    (f * g)(t) = integral of f(u) g(t - u) du

On a grid of step h the integral becomes h times a sum over the grid's points, a convolution of samples. The error
falls with h^2 for functions that are smooth and vanish at the grid's ends.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import GeometryError
from neocog.reference.axes import Array, floats
from neocog.reference.cross_correlation import convolve

__all__ = ["Function", "convolve_functions"]

Function = Callable[[Array], ArrayLike]
"""Arguments (M,) -> values (M,)."""


def convolve_functions(f: Function, g: Function, grid: ArrayLike) -> Array:
    """f * g at the points of an even grid, over which f is integrated; f should vanish outside of it.

        (f * g)(t_i) ~ h sum_j f(t_j) g(t_i - t_j)

    g is asked for its values at all differences of two points, so it need not vanish anywhere.
    Shapes: grid (M,) -> (M,). Raises GeometryError for a grid that is not even.

    >>> box = lambda t: np.where(np.abs(t) < 0.5, 1.0, 0.0)
    >>> triangle = convolve_functions(box, box, np.linspace(-1, 1, 2000))
    >>> round(float(triangle.max()), 2)
    1.0
    """
    points = floats(grid)
    steps = np.diff(points)
    if points.ndim != 1 or points.size < 2 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        raise GeometryError(
            "A grid is at least two points in a row, evenly spaced and rising.",
            received=f"{points.size} points of shape {points.shape}",
            fix="Make one with numpy.linspace.",
        )
    step = float(points[-1] - points[0]) / (points.size - 1)
    differences = step * np.arange(1.0 - points.size, points.size)
    values, weights = floats(g(differences)), floats(f(points))
    return step * floats(convolve(values[None, None], weights[None, None], method="fft")[0, 0])
