import numpy as np
import pytest

from neocog.errors import GeometryError
from neocog.reference import convolve_functions


def gaussian(mean, variance):
    return lambda t: np.exp(-((t - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def test_gaussians_add_their_means_and_variances():
    grid = np.linspace(-12, 12, 1201)
    found = convolve_functions(gaussian(0.5, 1.0), gaussian(-1.0, 2.25), grid)
    np.testing.assert_allclose(found, gaussian(-0.5, 3.25)(grid), rtol=0, atol=1e-10)


def box(t):
    return np.where(np.abs(t) <= 0.5, 1.0, 0.0)


def test_two_boxes_give_a_triangle_and_the_error_falls_with_the_step():
    errors = []
    for num in (400, 4000):
        grid = np.linspace(-2, 2, num)
        triangle = np.maximum(0, 1 - np.abs(grid))
        errors.append(np.abs(convolve_functions(box, box, grid) - triangle).max())
    assert errors[0] < 0.02
    assert errors[1] < errors[0] / 5


def test_it_commutes_and_one_function_need_not_vanish():
    grid = np.linspace(-12, 12, 801)
    f, g = gaussian(0.3, 0.7), gaussian(-1, 1.3)
    np.testing.assert_allclose(convolve_functions(f, g, grid), convolve_functions(g, f, grid), rtol=0, atol=1e-10)
    # A wave keeps its frequency: its convolution with f is the wave times the Fourier transform of f.
    found = convolve_functions(gaussian(0, 1), np.cos, grid)
    np.testing.assert_allclose(found, np.exp(-1 / 2) * np.cos(grid), rtol=0, atol=1e-10)


@pytest.mark.parametrize("grid", [[0.0], [0.0, 1.0, 3.0], [1.0, 0.0], [[0.0, 1.0]], [0.0, 0.0]])
def test_a_grid_must_be_even(grid):
    with pytest.raises(
        GeometryError, match="at least two points in a row, evenly spaced and rising.*Make one with numpy"
    ):
        convolve_functions(np.cos, np.cos, grid)
