"""Which samples of its input an output reads along one axis, for every operation that moves along axes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

from neocog.arithmetic.padding import check_geometry

__all__ = ["Taps"]


@dataclass(frozen=True, slots=True)
class Taps:
    """Output `every * q + r` reads the inputs `step * q + t` for each t in `reads[r]`; `every` is len(reads).

    One row suffices for a convolution; an upsampling by s has s rows, because its outputs take turns; where every
    output reads the same inputs, step is 0. Inputs outside of the map are padding.

    >>> Taps.conv(kernel_size=3, stride=2, padding=1).of(5)
    (9, 10, 11)
    >>> Taps.conv_transpose(kernel_size=4, stride=2, padding=1)
    Taps(step=1, reads=((-1, 0), (0, 1)))
    """

    step: int
    reads: tuple[tuple[int, ...], ...]

    @property
    def every(self) -> int:
        """After how many outputs the pattern comes again."""
        return len(self.reads)

    def of(self, unit: int) -> tuple[int, ...]:
        """The inputs that an output reads, in order; outside of the map they are padding."""
        turn, row = divmod(unit, self.every)
        return tuple(self.step * turn + t for t in self.reads[row])

    @classmethod
    def conv(cls, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Taps":
        """A convolution or pooling; `padding` is that before the first sample. Output o reads s * o - p + d * t."""
        check_geometry(kernel_size=kernel_size, stride=stride, dilation=dilation)
        return cls(stride, (tuple(dilation * t - padding for t in range(kernel_size)),))

    @classmethod
    def conv_transpose(cls, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Taps":
        """A transposed convolution: input i is written to s * i - p + d * t, so output o reads (o + p - d * t) / s
        where that is a whole number. Where the kernel is smaller than the stride, some outputs read nothing."""
        check_geometry(kernel_size=kernel_size, stride=stride, dilation=dilation)
        rows = []
        for o in range(stride):
            written = [divmod(o + padding - dilation * t, stride) for t in range(kernel_size)]
            rows.append(tuple(sorted(i for i, rest in written if rest == 0)))
        return cls(1, tuple(rows))

    @classmethod
    def table(cls, rows: Sequence[Iterable[int]], size: int) -> "Taps":
        """The inputs that each output reads of an input of this size, row by row, with the pattern's period found.

        A single output, as of a global pooling, does not move.
        """
        reads = [tuple(sorted(set(row))) for row in rows]
        if len(reads) == 1:
            return cls(0, (reads[0],))
        for turns in range(gcd(len(reads), size), 0, -1):
            every, step = len(reads) // turns, size // turns
            if len(reads) % turns or size % turns:
                continue
            if all(row == tuple(step * (o // every) + t for t in reads[o % every]) for o, row in enumerate(reads)):
                return cls(step, tuple(reads[:every]))
        raise AssertionError("one turn always fits")

    @classmethod
    def all(cls, size: int) -> "Taps":
        """Every output reads all `size` inputs, as behind a global pooling or a dense layer."""
        return cls(0, (tuple(range(size)),))

    def after(self, inner: "Taps") -> "Taps":
        """These taps, which read a map, put behind the taps by which that map reads its input.

        >>> dilated = Taps.conv(kernel_size=3, padding=2, dilation=2)
        >>> dilated.after(dilated).reads
        ((-4, -2, 0, 2, 4),)
        """
        turns = inner.every // gcd(inner.every, self.step)
        rows = [
            tuple(sorted({read for middle in self.of(unit) for read in inner.of(middle)}))
            for unit in range(self.every * turns)
        ]
        return Taps(inner.step * (self.step * turns // inner.every), tuple(rows))
