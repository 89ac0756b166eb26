"""The two moves that every operator with a window is made of: gathering what windows read, and its transpose.

A window has taps m = 0..k-1 along each axis. At output position i it reads the padded input at

    s * i + d * m

so, for one tap and all positions at once, it reads a shifted and strided copy of the input. `gather` stacks one such
copy for each tap. `scatter` is its transpose: it adds the value at (tap, position) to the sample that was read there.
"""

from collections.abc import Iterator

import numpy as np

from neocog.reference.axes import Array, Geometry

__all__ = ["gather", "pad", "scatter", "stuff", "tap_slices", "unpad"]


def pad(x: Array, padding: tuple[tuple[int, int], ...], value: float = 0.0) -> Array:
    """Samples of one value around the maps; (N, C, *spatial) -> (N, C, *padded)."""
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def unpad(x: Array, padding: tuple[tuple[int, int], ...]) -> Array:
    """The samples without the padding of `pad`; (N, C, *padded) -> (N, C, *spatial)."""
    sides = zip(x.shape[2:], padding, strict=True)
    return x[:, :, *(slice(before, size - after) for size, (before, after) in sides)]


def stuff(x: Array, stride: tuple[int, ...], tail: tuple[int, ...]) -> Array:
    """stride - 1 zeros between neighbouring samples, and `tail` zeros behind the last.

    >>> stuff(np.array([[[1.0, 2.0]]]), stride=(3,), tail=(1,)).tolist()
    [[[1.0, 0.0, 0.0, 2.0, 0.0]]]
    """
    ends = [s * (i - 1) + 1 for i, s in zip(x.shape[2:], stride, strict=True)]
    stuffed = np.zeros((*x.shape[:2], *(end + t for end, t in zip(ends, tail, strict=True))))
    stuffed[:, :, *(slice(0, end, s) for end, s in zip(ends, stride, strict=True))] = x
    return stuffed


def tap_slices(geometry: Geometry) -> Iterator[tuple[slice, ...]]:
    """For each tap, in row-major order, the padded samples that it reads at all output positions."""
    for tap in np.ndindex(*geometry.kernel_size):
        rows = zip(tap, geometry.stride, geometry.dilation, geometry.output, strict=True)
        yield tuple(slice(d * m, d * m + s * (o - 1) + 1, s) for m, s, d, o in rows)


def gather(padded: Array, geometry: Geometry) -> Array:
    """The input of each tap at each position; (N, C, *padded) -> (taps, N, C, *output)."""
    return np.stack([padded[:, :, *slices] for slices in tap_slices(geometry)])


def scatter(parts: Array, geometry: Geometry) -> Array:
    """Each part added to the sample that was read; (taps, N, C, *output) -> (N, C, *spatial), padding dropped."""
    padded = np.zeros((*parts.shape[1:3], *geometry.padded))
    for part, slices in zip(parts, tap_slices(geometry), strict=True):
        padded[:, :, *slices] += part
    return unpad(padded, geometry.padding)
