"""One convolution or pooling on a small input, taken apart: its numbers, its matrix, what each output reads.

    y[o, i] = b[o] + sum_c sum_m w[o, c, m] x[c, s i + d m - p]        convolution, as layers compute it
    y[o, s i + d m - p] += w[c, o, m] x[c, i]                           transposed
    y[c, i] = max or mean over m of x[c, s i + d m - p]                 pooling

All of them but the maximum are a matrix times the input; the maximum is one for a given input, with a 1 at each winner.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neocog.arithmetic import conv_output, fit, pool_output
from neocog.errors import ConfigError, GeometryError
from neocog.reference import avg_pool, conv_geometry, conv_transpose, convolve, cross_correlate, rotate
from neocog.reference.average_pooling import counts
from neocog.reference.axes import Array, Geometry, floats, pool_geometry
from neocog.reference.max_pooling import max_of_windows
from neocog.reference.toeplitz import toeplitz_matrix
from neocog.reference.transposed import back_geometry
from neocog.reference.windows import gather, pad

__all__ = ["Entries", "Kind", "Operation", "Terms", "digits"]

Kind = Literal["conv", "transposed", "max", "average"]
Places = NDArray[np.int64]


def digits(shape: tuple[int, ...]) -> Array:
    """Whole numbers from 0 to 9 that look mixed, as an example input.

    >>> digits((1, 2, 3)).tolist()
    [[[0.0, 4.0, 8.0], [3.0, 7.0, 1.0]]]
    """
    return floats(np.tensordot([7, 3, 4][: len(shape)], np.indices(shape), 1) % 10)


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The entries of an operation's matrix, one for each pair of an output and an input that it reads.

    `rows` are flat indices of outputs, `columns` of inputs, `taps` of weights, or of a pooling window's places.
    """

    rows: Places
    columns: Places
    weights: Array
    taps: Places

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The terms of one output, a row for each of its taps: weight, value, product; (n,).

    `channels` and `places` (n, axes) say what is read, `taps` with which weight, and `counted` is 1 for a sample, 0 for
    a zero of the padding. Of a maximum, weights are 1 for the winner; a sample of its padding is minus infinity.
    """

    channels: Places
    places: Places
    taps: Places
    weights: Array
    values: Array
    counted: Places

    @property
    def products(self) -> Array:
        with np.errstate(invalid="ignore"):
            return np.where(self.weights == 0, 0.0, self.weights * self.values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """An operation with its input x (C_in, *size) and, for a convolution, its kernels.

    Kernels are as torch has them: (C_out, C_in/groups, *kernel), transposed (C_in, C_out/groups, *kernel). `padding`
    has a pair for each axis. `flip` rotates the kernels by 180 degrees: convolution in the sense of mathematics.

    >>> ramp = Operation(kind="conv", x=np.arange(5.0)[None], kernel_size=(3,), w=np.array([[[-1.0, 0.0, 1.0]]]))
    >>> ramp.y.tolist(), ramp.formulas
    ([[2.0, 2.0, 2.0]], ['floor((5 + 0 + 0 - 1·(3 - 1) - 1) / 1) + 1 = floor(2 / 1) + 1 = 3'])
    """

    kind: Kind
    x: Array
    kernel_size: tuple[int, ...]
    w: Array | None = None
    bias: Array | None = None
    stride: tuple[int, ...] = (1,)
    padding: tuple[tuple[int, int], ...] = ((0, 0),)
    dilation: tuple[int, ...] = (1,)
    output_padding: tuple[int, ...] = (0,)
    groups: int = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    flip: bool = False
    part: bool = False
    """Cut out of larger maps, so that the sides of a pooling may differ in padding."""

    @property
    def out_channels(self) -> int:
        if self.w is None:
            return len(self.x)
        return self.w.shape[1] * self.groups if self.kind == "transposed" else len(self.w)

    @property
    def pools(self) -> bool:
        return self.kind in ("max", "average")

    @cached_property
    def geometry(self) -> Geometry:
        """How the windows lie; of a transposed convolution, those of the convolution that leads back.

        Raises GeometryError for numbers that don't belong together, ConfigError for a setting without effect.
        """
        self.check_settings()
        x = self.x[None]
        if self.kind == "conv":
            return conv_geometry(x, self.kernels, self.stride, self.padding, self.dilation, self.groups)
        if self.kind == "transposed":
            extra = self.output_padding
            return back_geometry(x, self.kernels, self.stride, self.padding, extra, self.dilation, self.groups)
        if self.part:
            output = tuple(map(conv_output, x.shape[2:], *self.rows_of_axes()))
            return Geometry(
                kernel_size=self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation,
                size=x.shape[2:], output=output,
            )  # fmt: skip
        for size, k, s, sides, d in zip(x.shape[2:], *self.rows_of_axes(), strict=True):
            pool_output(size, k, s, sides, d, self.ceil_mode)  # type: ignore[arg-type] # says what is wrong with two
        return pool_geometry(x, self.kernel_size, self.stride, self.before, self.dilation, self.ceil_mode)

    def check_settings(self) -> None:
        """Raises ConfigError for a setting that the operation would ignore, GeometryError for one it can't have."""
        for name, given, kinds in (
            ("flip", self.flip, ("conv",)),
            ("ceil_mode", self.ceil_mode, ("max", "average")),
            ("output_padding", any(self.output_padding), ("transposed",)),
            ("count_include_pad=False", not self.count_include_pad, ("average",)),
        ):
            if given and self.kind not in kinds:
                raise ConfigError(
                    f"{name} would be ignored.", received=self.kind, fix=f"It is for {' and '.join(kinds)}."
                )
        if self.kind == "average" and any(d != 1 for d in self.dilation):
            raise GeometryError("Average pooling has no dilation.", received=f"dilation={self.dilation}", fix="Use 1.")

    def rows_of_axes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...], tuple[int, ...]]:
        return self.kernel_size, self.stride, self.padding, self.dilation

    def axis(self, axis: int) -> tuple[int, int, tuple[int, int], int]:
        """Kernel size, stride, padding and dilation along an axis."""
        return self.kernel_size[axis], self.stride[axis], self.padding[axis], self.dilation[axis]

    @property
    def kernels(self) -> Array:
        """The kernels as they are laid over the input: rotated with `flip`."""
        return rotate(self.kernels_given) if self.flip else self.kernels_given

    @property
    def kernels_given(self) -> Array:
        assert self.w is not None
        return self.w

    @property
    def before(self) -> tuple[int, ...]:
        return tuple(pad[0] for pad in self.padding)

    @cached_property
    def output_size(self) -> tuple[int, ...]:
        return self.geometry.size if self.kind == "transposed" else self.geometry.output

    @cached_property
    def pooled(self) -> tuple[Array, Places]:
        """The maxima, and which sample of its map won each."""
        y, winners = max_of_windows(self.x[None], self.geometry)
        return y[0], winners[0]

    @cached_property
    def y(self) -> Array:
        """The outputs, (C_out, *output)."""
        self.geometry  # noqa: B018 - refuses what does not belong together
        x, common = self.x[None], (self.stride, self.padding)
        if self.kind == "conv":
            function = convolve if self.flip else cross_correlate
            return floats(function(x, self.kernels_given, self.bias, *common, self.dilation, self.groups)[0])
        if self.kind == "transposed":
            extra, d, g = self.output_padding, self.dilation, self.groups
            return floats(conv_transpose(x, self.kernels_given, self.bias, *common, extra, d, g)[0])
        if self.kind == "max":
            return self.pooled[0]
        if self.part:
            return floats(gather(pad(x, self.geometry.padding), self.geometry).sum(0)[0] / self.divisors)
        return floats(
            avg_pool(x, self.kernel_size, self.stride, self.before, self.ceil_mode, self.count_include_pad)[0]
        )

    @property
    def divisors(self) -> Array:
        """How many samples each mean is over, (*output)."""
        if self.part:
            ones = np.ones((1, 1, *self.x.shape[1:]))
            counted = pad(ones, self.geometry.padding, float(self.count_include_pad))
            return floats(gather(counted, self.geometry).sum(0)[0, 0])
        return floats(counts(self.geometry, self.before, self.count_include_pad)[0, 0])

    @cached_property
    def entries(self) -> Entries:
        """The entries of the matrix, found by letting the operation carry the numbers of its weights."""
        if self.pools:
            channels, taps = len(self.x), math.prod(self.kernel_size)
            numbers = np.broadcast_to(
                np.arange(1.0, taps + 1).reshape(1, 1, *self.kernel_size), (channels, 1, *self.kernel_size)
            )
            found = toeplitz_matrix(np.ascontiguousarray(numbers), self.geometry, channels).tocoo()
        else:
            numbers = np.arange(1.0, self.kernels_given.size + 1).reshape(self.kernels_given.shape)
            matrix = toeplitz_matrix(rotate(numbers) if self.flip else numbers, self.geometry, self.groups)
            found = (matrix.T if self.kind == "transposed" else matrix).tocoo()
        rows, columns = (np.asarray(each, np.int64) for each in found.coords)
        taps_of = np.asarray(found.data).round().astype(np.int64) - 1
        order = np.lexsort((taps_of, columns, rows))
        rows, columns, taps_of = rows[order], columns[order], taps_of[order]
        return Entries(rows, columns, self.weights_of(rows, columns, taps_of), taps_of)

    def weights_of(self, rows: Places, columns: Places, taps: Places) -> Array:
        """The weights of entries."""
        if self.kind == "average":
            return floats(1 / np.tile(self.divisors.ravel(), len(self.x))[rows])
        if self.kind == "max":
            return floats(columns % math.prod(self.x.shape[1:]) == self.pooled[1].ravel()[rows])
        return np.asarray(self.kernels_given.ravel()[taps])

    def terms(self, row: int) -> Terms:
        """The terms of an output, zeros of the padding included, in the order in which its window reads.

        `row` is the flat index of the output. Raises ConfigError for one that isn't there.
        """
        if not 0 <= row < self.y.size:
            raise ConfigError(f"An output is a number from 0 to {self.y.size - 1}.", received=str(row))
        if self.kind == "transposed":
            return self.terms_of_entries(row)
        channel, *place = (int(at) for at in np.unravel_index(row, self.y.shape))
        per_group = 1 if self.pools else self.kernels.shape[1]
        first = channel if self.pools else channel // (len(self.y) // self.groups) * per_group
        window = np.indices(self.kernel_size).reshape(len(place), -1).T
        start = np.array(place) * self.stride - self.before
        places = np.tile(start + window * self.dilation, (per_group, 1))
        channels = np.repeat(np.arange(first, first + per_group), len(window))
        inside = np.all((places >= 0) & (places < self.x.shape[1:]), axis=1)
        held = np.where(inside[:, None], places, 0)
        outside = -np.inf if self.kind == "max" else 0.0
        values = np.where(inside, self.x[channels, *held.T], outside)
        taps = self.taps_of(channel, per_group, len(window))
        return Terms(channels, places, taps, self.term_weights(row, places, taps), values, inside.astype(int))

    def taps_of(self, channel: int, per_group: int, window: int) -> Places:
        """The weights under a window, as flat indices of `w`."""
        if self.pools:
            return np.arange(window)
        numbers = (
            np.arange(self.kernels_given.size).reshape(self.kernels_given.shape)[channel].reshape(per_group, window)
        )
        return np.ravel(numbers[:, ::-1] if self.flip else numbers)

    def term_weights(self, row: int, places: Places, taps: Places) -> Array:
        if self.w is not None and not self.pools:
            return np.asarray(self.w.ravel()[taps])
        if self.kind == "max":
            flat = places @ np.cumprod([1, *self.x.shape[:1:-1]])[::-1]
            inside = np.all((places >= 0) & (places < self.x.shape[1:]), axis=1)
            return floats(inside & (flat == self.pooled[1].ravel()[row]))
        around = self.padding if self.count_include_pad else ((0, 0),) * len(self.padding)
        low, high = (np.array(side) for side in zip(*around, strict=True))
        counted = np.all((places >= -low) & (places < self.x.shape[1:] + high), axis=1)
        return floats(counted / self.divisors.ravel()[row % self.divisors.size])

    def terms_of_entries(self, row: int) -> Terms:
        """Of a transposed convolution: the inputs that write to an output."""
        mine = self.entries.rows == row
        columns, taps = self.entries.columns[mine], self.entries.taps[mine]
        channels, *places = np.unravel_index(columns, self.x.shape)
        ones = np.ones(len(columns), np.int64)
        where = np.stack([np.asarray(at, np.int64) for at in places], 1)
        weights, values = self.entries.weights[mine], np.asarray(self.x.ravel()[columns])
        return Terms(np.asarray(channels, np.int64), where, taps, weights, values, ones)

    def feeds(self, column: int) -> Entries:
        """Every output that an input feeds, with the weight. Raises ConfigError for an input that isn't there."""
        if not 0 <= column < self.x.size:
            raise ConfigError(f"An input is a number from 0 to {self.x.size - 1}.", received=str(column))
        mine = self.entries.columns == column
        found = self.entries
        return Entries(found.rows[mine], found.columns[mine], found.weights[mine], found.taps[mine])

    @property
    def formulas(self) -> list[str]:
        """The formula of the output size along each axis, with the numbers in."""
        return [self.formula(axis) for axis in range(self.x.ndim - 1)]

    def formula(self, axis: int) -> str:
        i, o = self.x.shape[1 + axis], self.output_size[axis]
        k, s, (p1, p2), d = self.axis(axis)
        if self.kind == "transposed":
            return f"{s}·({i} - 1) + {d}·({k} - 1) + 1 - {p1} - {p2} + {self.output_padding[axis]} = {o}"
        free, way = i + p1 + p2 - d * (k - 1) - 1, "ceil" if self.ceil_mode else "floor"
        whole = f"{way}(({i} + {p1} + {p2} - {d}·({k} - 1) - 1) / {s}) + 1 = {way}({free} / {s}) + 1"
        if not self.ceil_mode or -(-free // s) + 1 == o:
            return f"{whole} = {o}"
        return f"{whole} = {o + 1}, less 1 as the last window would begin in the padding: {o}"

    @property
    def fits(self) -> list[str]:
        """Whether the stride fits along each axis, and what is left out where it does not."""
        if self.kind == "transposed" or self.ceil_mode:
            return []
        return [str(fit(size, *self.axis(axis))) for axis, size in enumerate(self.x.shape[1:])]
