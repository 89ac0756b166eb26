"""The arguments of an operator along each axis, and checks that its arrays belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.arithmetic import conv_output, explicit_padding, pool_output
from neocog.errors import GeometryError

__all__ = [
    "Array",
    "Axes",
    "Geometry",
    "PaddingLike",
    "check_bias",
    "check_groups",
    "check_shape",
    "conv_geometry",
    "each_axis",
    "floats",
    "maps",
    "padding_pairs",
    "pool_geometry",
]

Array = NDArray[np.float64]
Axes = int | Sequence[int]
"""One number for all spatial axes, or one for each."""
PaddingLike = int | str | Sequence[int] | Sequence[tuple[int, int]]
"""A number, a name, or for each spatial axis a number or (before, after)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """How a window goes over maps: one entry for each spatial axis."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    size: tuple[int, ...]
    """Of the input, without padding."""
    output: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Samples from a window's first tap to its last: d(k - 1)."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True))

    @property
    def padded(self) -> tuple[int, ...]:
        """The input's size with its padding."""
        return tuple(i + before + after for i, (before, after) in zip(self.size, self.padding, strict=True))


def floats(values: ArrayLike) -> Array:
    """Numbers of any kind in float64, in which everything here is computed."""
    return np.asarray(values, np.float64)


def maps(x: ArrayLike) -> Array:
    """Maps (N, C, *spatial) in float64. Raises GeometryError if there is no spatial axis."""
    found = floats(x)
    if found.ndim < 3:
        raise GeometryError(
            "Maps are (N, C, *spatial) with at least one spatial axis.",
            received=f"{found.shape}",
            fix="Add axes with x[None, None].",
        )
    return found


def each_axis(value: Axes, num_axes: int, name: str) -> tuple[int, ...]:
    """One whole number for each axis. Raises GeometryError for another count.

    >>> each_axis(2, 3, "stride"), each_axis((1, 2), 2, "stride")
    ((2, 2, 2), (1, 2))
    """
    entries = tuple(value) if isinstance(value, Sequence | np.ndarray) else (value,) * num_axes
    if len(entries) != num_axes or not all(isinstance(entry, int | np.integer) for entry in entries):
        raise GeometryError(
            f"{name} is one whole number, or one for each of the {num_axes} spatial axes.", received=f"{value!r}"
        )
    return tuple(int(entry) for entry in entries)


def padding_pairs(
    padding: PaddingLike,
    size: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Padding before and after, for each axis. Raises GeometryError for any other form.

    >>> padding_pairs("same", (7, 7), (3, 4), (1, 1), (1, 1)), padding_pairs([(0, 2), (1, 1)], *[(7, 7)] * 4)
    (((1, 1), (1, 2)), ((0, 2), (1, 1)))
    """
    entries: Sequence[Any] = [padding] * len(size) if isinstance(padding, int | str) else list(padding)
    if len(entries) != len(size) or not all(understood(entry) for entry in entries):
        raise GeometryError(
            f"padding is a number, a name, or for each of the {len(size)} spatial axes a number or (before, after).",
            received=f"{padding!r}",
        )
    sides: list[Any] = [entry if isinstance(entry, int | str) else tuple(entry) for entry in entries]
    return tuple(map(explicit_padding, sides, size, kernel_size, stride, dilation))


def understood(entry: object) -> bool:
    """Whether this says the padding of one axis."""
    if isinstance(entry, Sequence) and not isinstance(entry, str):
        return len(entry) == 2 and all(isinstance(side, int) for side in entry)
    return isinstance(entry, int | str)


def check_groups(c_in: int, c_out: int, groups: int) -> None:
    """Raises GeometryError unless the channels divide into `groups` equal groups."""
    for name, channels in (("in_channels", c_in), ("out_channels", c_out)):
        if groups < 1 or channels % groups:
            raise GeometryError(
                f"groups must divide {name}.",
                received=f"{name}={channels}, groups={groups}",
                fix=f"Use a divisor of {channels}, or groups=1.",
            )


def check_bias(bias: ArrayLike | None, c_out: int) -> Array:
    """One bias for each output channel; zeros if there is none."""
    found = np.zeros(c_out) if bias is None else floats(bias)
    if found.shape != (c_out,):
        raise GeometryError(f"bias has one value for each of the {c_out} output channels.", received=f"{found.shape}")
    return found


def check_shape(name: str, array: Array, shape: tuple[int, ...], whose: str) -> None:
    """Raises GeometryError unless the array has this shape."""
    if array.shape != shape:
        raise GeometryError(f"{name} must have the shape of {whose}, {shape}.", received=f"{array.shape}")


def conv_geometry(
    x: Array,
    w: Array,
    stride: Axes,
    padding: PaddingLike,
    dilation: Axes,
    groups: int,
) -> Geometry:
    """How the kernels w (C_out, C_in/groups, *kernel) go over the maps x (N, C_in, *spatial).

    Raises GeometryError if they don't belong together.
    """
    if w.ndim != x.ndim:
        raise GeometryError(
            "Kernels (C_out, C_in/groups, *kernel) have as many axes as the maps (N, C_in, *spatial).",
            received=f"x {x.shape}, w {w.shape}",
        )
    check_groups(x.shape[1], w.shape[0], groups)
    if w.shape[1] * groups != x.shape[1]:
        raise GeometryError(
            f"A kernel reads C_in / groups = {x.shape[1] // groups} channels. Received: {w.shape[1]}, in w {w.shape} "
            f"for x {x.shape} with groups={groups}."
        )
    size, kernel, num = x.shape[2:], w.shape[2:], x.ndim - 2
    strides, dilations = each_axis(stride, num, "stride"), each_axis(dilation, num, "dilation")
    pairs = padding_pairs(padding, size, kernel, strides, dilations)
    output = tuple(map(conv_output, size, kernel, strides, pairs, dilations))
    return Geometry(kernel_size=kernel, stride=strides, padding=pairs, dilation=dilations, size=size, output=output)


def pool_geometry(
    x: Array, size: Axes, stride: Axes | None, padding: Axes = 0, dilation: Axes = 1, ceil_mode: bool = False
) -> Geometry:
    """How pooling windows go over the maps x; the stride is the window's size unless given.

    With `ceil_mode` the padding at the end is as large as the last window needs. Raises GeometryError if a window
    would read padding alone.
    """
    num = x.ndim - 2
    kernel = each_axis(size, num, "size")
    strides = kernel if stride is None else each_axis(stride, num, "stride")
    before, dilations = each_axis(padding, num, "padding"), each_axis(dilation, num, "dilation")
    rows = list(zip(x.shape[2:], kernel, strides, before, dilations, strict=True))
    output = tuple(pool_output(*row, ceil_mode=ceil_mode) for row in rows)
    after = []
    for (i, k, s, p, d), o in zip(rows, output, strict=True):
        taps = np.arange(o)[:, None] * s + np.arange(k) * d - p
        if not ((taps >= 0) & (taps < i)).any(1).all():
            raise GeometryError(
                "Every pooling window must read at least one sample.",
                received=f"size={k}, stride={s}, padding={p}, dilation={d} for {i} samples",
                fix="Use less padding or dilation.",
            )
        after.append(max(p, int(taps[-1, -1]) + 1 - i))
    return Geometry(
        kernel_size=kernel,
        stride=strides,
        padding=tuple(zip(before, after, strict=True)),
        dilation=dilations,
        size=x.shape[2:],
        output=output,
    )
