"""Does a stride fit: which samples no window reads, and which sizes or paddings would leave none."""

from dataclasses import dataclass
from itertools import compress

from neocog.arithmetic.padding import effective_kernel, explicit_padding
from neocog.arithmetic.sizes import positions
from neocog.errors import some

__all__ = ["Fit", "fit"]


@dataclass(frozen=True, slots=True)
class Fit:
    """How the windows of a convolution or pooling lie on an axis.

    `remainder` counts padded samples behind the last window; it is 0 if the stride fits exactly. `unread` are the
    positions of the input, without padding, that no window reads: behind the last window, between windows where the
    stride is larger than the kernel, or between the taps of a dilated one. `sizes` are the nearest input sizes below
    and above that fit exactly with this padding, `paddings` the smallest ones (before, after) with which this size
    fits, both sides equal where that is possible.
    """

    output: int
    remainder: int
    unread: tuple[int, ...]
    sizes: tuple[int, ...]
    paddings: tuple[tuple[int, int], ...]

    @property
    def exact(self) -> bool:
        """Whether the last window ends where the padded input ends."""
        return self.remainder == 0

    def __str__(self) -> str:
        count = f"{len(self.unread)} sample{'s' * (len(self.unread) > 1)}"
        left = f"{count} never read: {some(self.unread, 8)}" if self.unread else "every sample is read"
        if self.exact:
            return f"the last window ends at the end, {left}"
        sizes = " or ".join(map(str, self.sizes))
        paddings = " or ".join(f"{before} + {after}" for before, after in self.paddings)
        behind = f"{self.remainder} left behind the last window"
        return f"does not fit: {behind}, {left}. Size {sizes} or padding {paddings} fits"


def fit(size: int, kernel_size: int, stride: int = 1, padding: int | tuple[int, int] = 0, dilation: int = 1) -> Fit:
    """Whether a stride fits a size exactly, and what is left out where it does not.

        i + p_before + p_after - d(k - 1) - 1  =  0  (mod s)

    Raises GeometryError if the kernel is larger than the padded input.

    >>> print(fit(7, kernel_size=3, stride=3))
    does not fit: 1 left behind the last window, 1 sample never read: 6. Size 6 or 9 or padding 1 + 1 or 0 + 2 fits
    >>> fit(7, kernel_size=3, stride=2).exact
    True
    """
    before, after = explicit_padding(padding, size, kernel_size, stride, dilation)
    output, remainder = positions(size, kernel_size, stride, before, after, dilation)
    wide = effective_kernel(kernel_size, dilation)
    missing = -remainder % stride
    sizes = [near for near in (size - remainder, size + missing) if near >= max(wide - before - after, 1)]
    return Fit(
        output=output,
        remainder=remainder,
        unread=unread(size, kernel_size, stride, before, dilation, output),
        sizes=tuple(dict.fromkeys(sizes)),
        paddings=smallest_paddings(size, wide, stride),
    )


def unread(size: int, kernel_size: int, stride: int, before: int, dilation: int, output: int) -> tuple[int, ...]:
    """The positions of the input that no window reads, by marking those that each tap does."""
    padded = bytearray(b"\1") * max(before + size, (output - 1) * stride + dilation * (kernel_size - 1) + 1)
    for tap in range(kernel_size):
        read = slice(dilation * tap, dilation * tap + (output - 1) * stride + 1, stride)
        padded[read] = bytes(output)
    return tuple(compress(range(size), padded[before : before + size]))


def smallest_paddings(size: int, wide: int, stride: int) -> tuple[tuple[int, int], ...]:
    """The least padding that makes a stride fit, at the end, and before it the least with equal sides, if any."""
    total = wide - size if size < wide else -(size - wide) % stride
    equal = next((whole // 2 for whole in (total, total + stride) if whole % 2 == 0), None)
    least = (0, total)
    return (least,) if equal is None or least == (equal, equal) else ((equal, equal), least)
