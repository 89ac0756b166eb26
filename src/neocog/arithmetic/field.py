"""The receptive field of a map along one axis, upsampled ones included."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, gcd, lcm

from neocog.arithmetic.taps import Taps
from neocog.arithmetic.window import Window, whole

__all__ = ["Field"]


@dataclass(frozen=True, slots=True)
class Field:
    """The windows of a map's units: unit u has window u modulo their number, or none if it reads nothing.

    Behind convolutions and pooling all units have the same window. An upsampling by s makes s of them, whose units
    take turns, and one rounded window for all would be too large.

    >>> field = Field().through(Taps.conv(3, padding=1)).through(Taps.conv_transpose(2, stride=2))
    >>> field.size, field.stride, [field.box(unit) for unit in range(4)]
    (3, Fraction(1, 2), [(-1, 1), (-1, 1), (0, 2), (0, 2)])
    """

    windows: tuple[Window | None, ...] = (Window(),)

    @property
    def size(self) -> int:
        """Samples that a unit sees, padding included; the most of any unit."""
        return max((int(window.size) for window in self.windows if window), default=0)

    @property
    def stride(self) -> int | Fraction:
        """Samples of the input between neighbouring units; 0 if all units see the same."""
        return next((window.jump for window in self.windows if window), 0)

    @property
    def offset(self) -> int | Fraction:
        """Where the window of the first unit that sees something begins; below zero it begins in the padding."""
        return next((ceil(w.first + w.jump * unit) for unit, w in enumerate(self.windows) if w), 0)

    def box(self, unit: int) -> tuple[int, int] | None:
        """The first and last sample that a unit sees, padding included; None if it sees nothing."""
        window = self.windows[unit % len(self.windows)]
        return window.box(unit) if window else None

    def through(self, taps: Taps, units: int | None = None) -> "Field":
        """The field of an operation's outputs, where this is the field of its inputs.

        With `units`, the number of outputs: windows beyond it are not computed.
        """
        count, stride = len(self.windows), self.stride
        turns = count // gcd(count, taps.step)
        windows = []
        for unit in range(min(taps.every * turns, units or taps.every * turns)):
            joined: Window | None = None
            for read in taps.of(unit):
                window = self.windows[read % count]
                if window is not None:
                    # In terms of the output's index: input = first + stride * read, and read moves by step/every.
                    jump = whole(Fraction(stride * taps.step, taps.every))
                    begin = stride * read - jump * unit
                    moved = Window(jump, whole(window.first + begin), whole(window.last + begin))
                    joined = moved if joined is None else joined | moved
            windows.append(joined)
        return Field(tuple(windows)).shortest()

    def join(self, other: "Field", units: int) -> "Field":
        """The field of a unit that reads the same place of two maps of `units` units.

        Where one map does not move with the other, as the gate of a squeeze-and-excitation, the window is that of all
        units together.
        """
        if self == other:
            return self
        if not any(self.windows) or not any(other.windows):
            return self if any(self.windows) else other
        if self.stride != other.stride:
            return self.over(units).join(other.over(units), units)
        pairs = [
            (self.windows[unit % len(self.windows)], other.windows[unit % len(other.windows)])
            for unit in range(lcm(len(self.windows), len(other.windows)))
        ]
        return Field(tuple(a | b if a and b else a or b for a, b in pairs)).shortest()

    def over(self, units: int) -> "Field":
        """One window that does not move, over the joint field of the first `units` units."""
        boxes = [box for unit in range(units) if (box := self.box(unit))]
        return Field((Window(0, min(low for low, _ in boxes), max(high for _, high in boxes)) if boxes else None,))

    def covers(self, size: int) -> bool:
        """Whether the units do not move, and see the whole of an input of this size."""
        box = self.box(0)
        return self.stride == 0 and box is not None and box[0] <= 0 and box[1] >= size - 1

    def shortest(self) -> "Field":
        """The same field with as few windows as describe it."""
        count = len(self.windows)
        for few in range(1, count):
            if count % few == 0 and all(self.windows[i] == self.windows[i % few] for i in range(count)):
                return Field(self.windows[:few])
        return self
