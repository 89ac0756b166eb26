"""The classic filters of image processing, as the small kernels that they are.

All are meant for `cross_correlate`, which lays a kernel over the image as it is written here: the weight on the
right applies to the pixel on the right.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from neocog.errors import ConfigError, did_you_mean
from neocog.reference.axes import Array, floats

__all__ = ["FILTERS", "Filter", "find_filter", "kernel"]


LARGEST = 2001  # rows and columns of a kernel; a larger one takes more memory than an image
SHARPEST = 0.01  # pixels of blur, below which nothing is blurred


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """A filter: what it does, how its kernels are made, and which numbers come out."""

    says: str
    make: Callable[..., tuple[Array, ...]]
    """Options -> the kernels; where there are two, the filter is the length of the vector of both responses."""
    options: tuple[str, ...] = ()
    range: tuple[float, float] = (0.0, 1.0)
    """Between which numbers the responses to an image of 0..1 lie."""
    shows: tuple[float, float] = (0.0, 1.0)
    """The values that are drawn black and white."""

    @property
    def gradient(self) -> bool:
        """Whether it finds differences of brightness, and answers 0 if there are none."""
        return self.shows != (0.0, 1.0)


def identity() -> tuple[Array, ...]:
    return (floats([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),)


def shift(down: int = 0, right: int = 1) -> tuple[Array, ...]:
    """A single 1, as far from the centre as the image moves, on the side that it comes from."""
    reach = max(abs(down), abs(right))
    check_size(2 * reach + 1)
    weights = np.zeros((2 * reach + 1, 2 * reach + 1))
    weights[reach - down, reach - right] = 1
    return (weights,)


def box(size: int = 3) -> tuple[Array, ...]:
    """The mean over a square."""
    check_size(size)
    return (np.full((size, size), 1 / size**2),)


def gaussian(sigma: float = 1.0, size: int | None = None) -> tuple[Array, ...]:
    """A mean that weighs by distance, exp(-r^2 / (2 sigma^2)), summing to 1; by default as wide as 3 sigma each way.

    It is the product of one in x and one in y, because exp(-(x^2 + y^2)) is.
    """
    if not SHARPEST <= sigma < math.inf:
        raise ConfigError(
            f"sigma must be at least {SHARPEST}.", received=f"{sigma}", fix="It is the blur's radius in pixels."
        )
    if size is None:
        size = 2 * math.ceil(3 * sigma) + 1
    check_size(size)
    offsets = np.arange(size) - size // 2
    weights = np.exp(-((offsets / sigma) ** 2) / 2)
    weights /= weights.sum()
    return (np.outer(weights, weights),)


def sharpen() -> tuple[Array, ...]:
    """The image minus its Laplacian: each pixel is pushed away from the mean of its neighbours."""
    return (identity()[0] - laplacian()[0],)


def sobel_x() -> tuple[Array, ...]:
    """A difference across, smoothed downwards: [1, 2, 1] by [-1, 0, 1]."""
    return (np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0]),)


def sobel_y() -> tuple[Array, ...]:
    """A difference downwards, smoothed across."""
    return (sobel_x()[0].T,)


def sobel() -> tuple[Array, ...]:
    return sobel_x() + sobel_y()


def laplacian() -> tuple[Array, ...]:
    """The sum of the second differences: the neighbours minus four times the middle."""
    return (floats([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),)


SLOPES = (-4.0, 4.0)
FILTERS = {
    "box": Filter(says="mean over a square", make=box, options=("size",)),
    "gaussian": Filter(says="soft blur", make=gaussian, options=("sigma", "size")),
    "identity": Filter(says="nothing", make=identity),
    "laplacian": Filter(says="lines, dots and both sides of edges", make=laplacian, range=SLOPES, shows=SLOPES),
    "sharpen": Filter(says="differences made larger", make=sharpen, range=(-4.0, 5.0)),
    "shift": Filter(says="the image moved", make=shift, options=("down", "right")),
    "sobel": Filter(says="edges of any direction", make=sobel, range=(0.0, 20**0.5), shows=(0.0, 4.0)),
    "sobel_x": Filter(says="edges where it gets brighter to the right", make=sobel_x, range=SLOPES, shows=SLOPES),
    "sobel_y": Filter(says="edges where it gets brighter downwards", make=sobel_y, range=SLOPES, shows=SLOPES),
}


def find_filter(name: str, options: dict[str, Any]) -> Filter:
    """A filter by its name. Raises ConfigError for an unknown name, or an option that it would ignore."""
    if name not in FILTERS:
        raise ConfigError(f"No filter is called {name!r}. {did_you_mean(name, FILTERS)}")
    found = FILTERS[name]
    for option in options:
        if option not in found.options:
            takes = f"It takes {' and '.join(found.options)}." if found.options else "It takes none."
            raise ConfigError(f"{option} would be ignored: the filter {name} has no such setting. {takes}")
    return found


def kernel(name: str, **options: Any) -> Array:
    """The kernel of a named filter; (k, k).

    Raises ConfigError for an unknown name or setting, and for sobel, which has two kernels.

    >>> kernel("sobel_x").astype(int).tolist()
    [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    """
    kernels = find_filter(name, options).make(**options)
    if len(kernels) > 1:
        raise ConfigError(
            f"The filter {name} is the length of a vector, not one kernel. Take sobel_x and sobel_y, or apply_filter."
        )
    return kernels[0]


def check_size(size: int) -> None:
    """Raises ConfigError for a kernel without a middle, or one larger than any use."""
    if size < 1 or size % 2 == 0:
        raise ConfigError("size must be odd, so that the kernel has a middle.", received=f"{size}")
    if size > LARGEST:
        raise ConfigError(
            f"A kernel is at most {LARGEST} wide.", received=f"one of {size}", fix="Make the image smaller first."
        )
