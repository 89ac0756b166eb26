"""Does a stride fit: which samples no window reads, and which sizes or paddings would leave none."""

from dataclasses import dataclass

from neocog.arithmetic.padding import effective_kernel, explicit_padding
from neocog.arithmetic.sizes import positions
from neocog.errors import some

__all__ = ["Fit", "fit"]


@dataclass(frozen=True, slots=True)
class Fit:
    """How the windows of a convolution or pooling lie on an axis.

    `remainder` counts padded samples behind the last window; it is 0 where the stride fits exactly. `unread` are the
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
        left = f"{len(self.unread)} unread samples: {some(self.unread, 8)}" if self.unread else "every sample is read"
        if self.exact:
            return f"fits exactly, {left}"
        sizes = " or ".join(map(str, self.sizes))
        paddings = " or ".join(f"{before} + {after}" for before, after in self.paddings)
        behind = f"{self.remainder} left behind the last window"
        return f"does not fit: {behind}, {left}. Size {sizes} or padding {paddings} fits"


def fit(size: int, kernel_size: int, stride: int = 1, padding: int | tuple[int, int] = 0, dilation: int = 1) -> Fit:
    """Whether a stride fits a size exactly, and what is left out where it does not.

        i + p_before + p_after - d(k - 1) - 1  =  0  (mod s)

    Raises GeometryError where the kernel is larger than the padded input.

    >>> print(fit(7, kernel_size=3, stride=3))
    does not fit: 1 left behind the last window, 1 unread samples: 6. Size 6 or 9 or padding 1 + 1 or 0 + 2 fits
    >>> fit(7, kernel_size=3, stride=2).exact
    True
    """
    before, after = explicit_padding(padding, size, kernel_size, stride, dilation)
    output, remainder = positions(size, kernel_size, stride, before, after, dilation)
    read = {o * stride + dilation * t - before for o in range(output) for t in range(kernel_size)}
    missing = -remainder % stride
    smallest = effective_kernel(kernel_size, dilation) - before - after
    sizes = [near for near in (size - remainder, size + missing) if near >= max(smallest, 1)]
    return Fit(
        output=output,
        remainder=remainder,
        unread=tuple(sorted(set(range(size)) - read)),
        sizes=tuple(dict.fromkeys(sizes)),
        paddings=fitting_paddings(before, after, missing, stride),
    )


def fitting_paddings(before: int, after: int, missing: int, stride: int) -> tuple[tuple[int, int], ...]:
    """The padding as it is or with what is missing at the end; before it the smallest with equal sides, if any."""
    total = before + after + missing
    equal = next((whole // 2 for whole in (total, total + stride) if whole % 2 == 0), None)
    least = (before, after + missing)
    return (least,) if equal is None or least == (equal, equal) else ((equal, equal), least)
