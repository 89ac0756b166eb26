"""Max pooling, with the winners kept so that the gradient finds its way back."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.errors import GeometryError
from neocog.reference.axes import Array, Axes, Geometry, check_shape, floats, maps, pool_geometry
from neocog.reference.windows import gather, pad

__all__ = ["Winners", "check_winners", "global_max_pool", "max_of_windows", "max_pool", "max_pool_backward"]

Winners = NDArray[np.int64]
"""For each output, the flat index of the sample that won, within its map (*spatial)."""


def max_pool(
    x: ArrayLike,
    size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Winners]:
    """The largest sample of each window, and which one that was; the first of equals.

        y[i] = max_m x[s i + d m - p],   padding counts as minus infinity

    Windows overlap where the stride, by default the window's size, is smaller than the window.
    Shapes: (N, C, *spatial) -> y and winners, both (N, C, *output).

    >>> y, winners = max_pool([[[1, 5, 2, 4]]], size=2)
    >>> y.tolist(), winners.tolist()
    ([[[5.0, 4.0]]], [[[1, 3]]])
    """
    inputs = maps(x)
    return max_of_windows(inputs, pool_geometry(inputs, size, stride, padding, dilation, ceil_mode))


def max_of_windows(inputs: Array, geometry: Geometry) -> tuple[Array, Winners]:
    """`max_pool` for a geometry that is known."""
    candidates = gather(pad(inputs, geometry.padding, value=-np.inf), geometry)
    numbers = np.arange(math.prod(geometry.size), dtype=np.float64).reshape(1, 1, *geometry.size)
    places = gather(pad(numbers, geometry.padding, value=-1), geometry).astype(np.int64)
    best = candidates.argmax(0)[None]
    winners = np.take_along_axis(places, best, 0)[0]
    # A window whose samples are all minus infinity must not be won by the padding.
    first = np.take_along_axis(places, (places >= 0).argmax(0)[None], 0)[0]
    return np.take_along_axis(candidates, best, 0)[0], np.where(winners < 0, first, winners)


def max_pool_backward(delta: ArrayLike, winners: Winners, input_shape: tuple[int, ...]) -> Array:
    """The deltas routed to the winners; a sample that won several windows gets the sum.

        dE/dx[j] = sum of delta[i] over the windows i that j won

    The maximum is linear in its winner, with slope 1, and does not depend on the others.
    Shapes: delta and winners (N, C, *output) -> input_shape, (N, C, *spatial).

    >>> max_pool_backward([[[1, 10]]], np.array([[[1, 1]]]), (1, 1, 3)).tolist()
    [[[0.0, 11.0, 0.0]]]
    """
    deltas = floats(delta)
    check_shape("delta", deltas, winners.shape, "the winners")
    check_winners(winners, input_shape[2:])
    num_maps, samples = math.prod(input_shape[:2]), math.prod(input_shape[2:])
    places = np.arange(num_maps)[:, None] * samples + winners.reshape(num_maps, -1)
    return floats(np.bincount(places.ravel(), deltas.ravel(), num_maps * samples)).reshape(input_shape)


def global_max_pool(x: ArrayLike) -> tuple[Array, Winners]:
    """One window over the whole map; (N, C, *spatial) -> y and winners, (N, C, 1, ...).

    Its backward pass is `max_pool_backward`.

    >>> global_max_pool([[[1, 5, 2]]])[0].tolist()
    [[[5.0]]]
    """
    inputs = maps(x)
    return max_pool(inputs, inputs.shape[2:])


def check_winners(winners: Winners, spatial: tuple[int, ...]) -> None:
    """Raises GeometryError for a winner outside of its map."""
    highest = math.prod(spatial) - 1
    if winners.size and not 0 <= winners.min() <= winners.max() <= highest:
        raise GeometryError(
            f"Winners are flat indices into a map of {spatial}, 0..{highest}.",
            received=f"{winners.min()}..{winners.max()}",
            fix="Give the shape of the pooling's input.",
        )
