"""The padding on each side of an axis, whether given as numbers or by a published name."""

from numbers import Integral
from typing import Literal

from neocog.errors import GeometryError, did_you_mean

__all__ = ["Padding", "check_geometry", "effective_kernel", "explicit_padding", "same_padding"]

Padding = int | tuple[int, int] | Literal["valid", "same", "half", "full"]
NAMES = ("valid", "same", "half", "full")


def effective_kernel(kernel_size: int, dilation: int = 1) -> int:
    """The samples from the first to the last that a dilated kernel reads, both included.

        d(k - 1) + 1

    >>> effective_kernel(3, dilation=2)
    5
    """
    check_geometry(kernel_size=kernel_size, dilation=dilation)
    return dilation * (kernel_size - 1) + 1


def same_padding(kernel_size: int, dilation: int = 1) -> tuple[int, int]:
    """The padding before and after that keeps the size at stride 1.

        2p = d(k - 1)

    Where d(k - 1) is odd, as for an even kernel, both sides can't be equal: the end gets one more, as in torch and
    TensorFlow.

    >>> same_padding(3), same_padding(3, dilation=2), same_padding(4)
    ((1, 1), (2, 2), (1, 2))
    """
    total = effective_kernel(kernel_size, dilation) - 1
    return total // 2, total - total // 2


def explicit_padding(
    padding: Padding, size: int, kernel_size: int, stride: int = 1, dilation: int = 1
) -> tuple[int, int]:
    """Padding as samples (before, after), with K = d(k - 1) + 1:

        valid   none
        same    as much as makes the output ceil(i / s); the end gets the odd one
        half    floor(K / 2) on both sides; keeps the size where K is odd and s = 1
        full    K - 1 on both sides; every overlap of kernel and input counts

    Raises GeometryError for an unknown name, or negative numbers.
    Source: Dumoulin & Visin 2016, section 2; "same" with a stride as TensorFlow defines it.

    >>> explicit_padding("same", 7, kernel_size=3, stride=2), explicit_padding("full", 5, kernel_size=3)
    ((1, 1), (2, 2))
    """
    check_geometry(size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    wide = effective_kernel(kernel_size, dilation)
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + wide - size, 0)
        return total // 2, total - total // 2
    if isinstance(padding, str):
        if padding not in NAMES:
            raise GeometryError(
                f"padding is a number, two numbers, or one of {', '.join(NAMES)}. Received: {padding!r}. "
                f"{did_you_mean(padding, NAMES)}"
            )
        both = {"valid": 0, "half": wide // 2, "full": wide - 1}[padding]
        return both, both
    sides = (padding, padding) if isinstance(padding, Integral) else padding
    if not isinstance(sides, tuple) or len(sides) != 2 or not all(is_whole(side) for side in sides):
        raise GeometryError(
            f"padding is a whole number, two of them, or one of {', '.join(NAMES)}.", received=f"{padding!r}"
        )
    before, after = sides
    if before < 0 or after < 0:
        raise GeometryError("padding must not be negative.", received=f"{padding}", fix="Crop the input instead.")
    return before, after


def check_geometry(**sizes: int) -> None:
    """Raises GeometryError for a size, kernel size, stride or dilation that is not a whole number of at least 1."""
    for name, value in sizes.items():
        if not is_whole(value) or value < 1:
            raise GeometryError(f"{name} must be a whole number of at least 1.", received=f"{value!r}")


def is_whole(value: object) -> bool:
    """Whether this is a whole number of any library's, and no truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)
