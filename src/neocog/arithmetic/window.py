"""The receptive field of a unit along one axis: an interval of the input that moves evenly with the unit's index."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Self

from neocog.arithmetic.padding import check_geometry, effective_kernel
from neocog.errors import GeometryError

__all__ = ["Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """Unit u of a map sees the input samples from first + jump * u to last + jump * u, both included.

    Samples before 0 or behind the end are padding. Source: the recurrences of Araujo, Norris & Sim 2019, "Computing
    receptive fields of convolutional neural networks", kept as an interval instead of a size and an offset, because
    intervals join over branches by minimum and maximum.

    >>> window = Window().through(kernel_size=3, padding=1).through(kernel_size=2, stride=2)
    >>> window, window.size, window.box(0), window.box(0, clip=32)
    (Window(jump=2, first=-1, last=2), 4, (-1, 2), (0, 2))
    """

    jump: int | Fraction = 1
    first: int | Fraction = 0
    last: int | Fraction = 0

    @property
    def size(self) -> int | Fraction:
        """Samples in the field, padding included: last - first + 1."""
        return self.last - self.first + 1

    @property
    def stride(self) -> int | Fraction:
        """Samples of the input between the windows of neighbouring units."""
        return self.jump

    @property
    def offset(self) -> int | Fraction:
        """Where the window of unit 0 begins; below zero it begins in the padding."""
        return self.first

    @property
    def centre(self) -> int | Fraction:
        """The middle of unit 0's window."""
        return whole(Fraction(self.first + self.last) / 2)

    def box(self, unit: int, clip: int | None = None) -> tuple[int, int]:
        """The first and last sample that a unit sees; with `clip`, of an input of this size, without padding.

        Raises GeometryError if the clipped box is empty: the unit sees padding alone.
        """
        low, high = ceil(self.first + self.jump * unit), floor(self.last + self.jump * unit)
        if clip is None:
            return low, high
        if high < 0 or low >= clip:
            raise GeometryError(
                "A unit's box must meet the input.",
                received=f"unit {unit}, which sees {low} to {high} of an input of {clip}: padding alone",
                fix="Use another unit, or leave clip out.",
            )
        return max(low, 0), min(high, clip - 1)

    def through(self, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Window":
        """The windows of a convolution's or pooling's outputs, where these are the windows of its inputs.

        Output o reads the inputs from s * o - p to s * o - p + d(k - 1), so

            jump' = jump * s,  first' = first - jump * p,  last' = last + jump * (d(k - 1) - p)
        """
        check_geometry(stride=stride)
        reach = effective_kernel(kernel_size, dilation) - 1
        return Window(stride, -padding, reach - padding).after(self)

    def after(self, inner: Self) -> "Window":
        """This window, which counts in units of a map, put behind that map's own window.

        >>> Window(2, -1, 1).after(Window(2, 0, 1))
        Window(jump=4, first=-2, last=3)
        """
        return Window(
            whole(inner.jump * self.jump),
            whole(inner.first + inner.jump * self.first),
            whole(inner.last + inner.jump * self.last),
        )

    def __or__(self, other: Self) -> "Window":
        """The smallest window that holds both: what a sum or concatenation of two branches sees.

        Raises GeometryError if the branches have different strides, so that no one window moves with both.
        """
        if self.jump != other.jump:
            raise GeometryError(
                "Branches that meet must have the same stride.", received=f"{self.jump} and {other.jump}"
            )
        return Window(self.jump, min(self.first, other.first), max(self.last, other.last))


def whole(value: int | Fraction) -> int | Fraction:
    """The same number, as an int where it is one."""
    return value.numerator if value.denominator == 1 else value
