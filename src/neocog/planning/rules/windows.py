"""Rules of operations that lay windows on maps: convolution, pooling, resampling, padding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from neocog.arithmetic import Taps
from neocog.planning.calls import Call, Chain, Rule
from neocog.planning.dependencies import Everything, Gather, Slide
from neocog.planning.geometry import Geometry, geometry
from neocog.planning.layout import Layout

__all__ = [
    "adaptive", "antialiased", "convolution", "im2col", "interpolated", "nearest", "padded", "pixel_shuffle",
    "pixel_unshuffle", "pooling", "resampling", "unfold", "unpooling",
]  # fmt: skip

Rows = Callable[[int, int, "Scale"], Sequence[Sequence[int]]]
"""The places that each output of an axis reads, by sizes in and out, and scale. Beyond the border: the border."""


def slide(shape: tuple[int, ...], windows: Geometry, transposed: bool) -> Slide:
    """Windows along the last axes of an output of this shape; transposed, they lie on the output."""
    first = len(shape) - len(windows.axes)
    taps = Taps.conv_transpose if transposed else Taps.conv
    return Slide({first + i: taps(*axis) for i, axis in enumerate(windows.axes)}, dict(enumerate(shape)))


def convolution(call: Call) -> list[Chain]:
    windows = geometry(call.trace, call.operation)
    assert windows is not None
    step = slide(call.shape, windows, windows.transposed)
    found = call.chain(call.args[0], Gather(1, call.shape[1], windows.groups), step)
    return found + call.chain(call.args[1], Everything(call.shape))


def pooling(call: Call) -> list[Chain]:
    windows = geometry(call.trace, call.operation)
    assert windows is not None
    return call.chain(call.args[0], slide(call.shape, windows, transposed=False))


@dataclass(frozen=True, slots=True)
class Scale:
    """How many samples of the input there are to one of the output, and what an interpolation was asked for."""

    ratio: Fraction
    corners: bool
    exact: bool

    def centre(self, unit: int) -> Fraction:
        """Where an output's centre lies, in samples of the input."""
        return unit * self.ratio if self.corners else (unit + Fraction(1, 2)) * self.ratio - Fraction(1, 2)


def scale(call: Call, dim: int, n_in: int, n_out: int) -> Scale:
    """The scale along one dimension: as the user gave it, else from the sizes."""
    named = call.operation.named
    axes = {3: ["scales"], 4: ["scales_h", "scales_w"], 5: ["scales_d", "scales_h", "scales_w"]}[len(call.shape)]
    given = named.get(axes[dim - 2])
    corners = bool(named.get("align_corners"))
    if corners:
        ratio = Fraction(n_in - 1, max(n_out - 1, 1))
    else:
        ratio = 1 / Fraction(given).limit_denominator(10_000) if given else Fraction(n_in, n_out)
    return Scale(ratio, corners, "exact" in call.operation.name)


def resampling(rows: Rows) -> Rule:
    """The rule of an operation that brings each axis from one size to another, by which places each output reads."""

    def rule(call: Call) -> list[Chain]:
        before = call.shape_of(call.args[0])
        slides = {}
        for dim in range(2, len(before)):
            n_in, n_out = before[dim], call.shape[dim]
            slides[dim] = Taps.table(rows(n_in, n_out, scale(call, dim, n_in, n_out)), n_in)
        return call.chain(call.args[0], Slide(slides, dict(enumerate(call.shape))))

    return rule


def adaptive(n_in: int, n_out: int, _: Scale) -> list[range]:
    """Adaptive pooling: from floor(o i / n) to ceil((o + 1) i / n)."""
    return [range(o * n_in // n_out, -(-(o + 1) * n_in // n_out)) for o in range(n_out)]


def nearest(n_in: int, n_out: int, scale: Scale) -> list[list[int]]:
    half = Fraction(1, 2) if scale.exact else 0
    return [[min(floor((o + half) * scale.ratio), n_in - 1)] for o in range(n_out)]


def interpolated(reach: int) -> Rows:
    """Linear (reach 1) and cubic (reach 2) interpolation: the samples on both sides of the source position."""

    def rows(n_in: int, n_out: int, scale: Scale) -> list[range]:
        lows = [(scale.centre(o), floor(scale.centre(o))) for o in range(n_out)]
        return [range(low, low + 1) if at == low else range(low - reach + 1, low + reach + 1) for at, low in lows]

    return rows


def antialiased(reach: int) -> Rows:
    """A filter as wide as the step between outputs: all samples nearer than that."""

    def rows(n_in: int, n_out: int, scale: Scale) -> list[range]:
        wide = reach * max(scale.ratio, Fraction(1))
        centres = [scale.centre(o) for o in range(n_out)]
        return [range(floor(c - wide) + 1, ceil(c + wide)) for c in centres]

    return rows


def unpooling(call: Call) -> list[Chain]:
    """A place reads the pooled values whose windows hold it; the windows are those of the pooling that found them."""
    x, switches = call.args[:2]
    pooled = next((o for o in call.trace.operations if switches.value in o.outputs), None)
    windows = geometry(call.trace, pooled) if pooled else None
    step = slide(call.shape, windows, transposed=True) if windows else Everything(call.shape)
    return call.chain(x, step) + call.chain(switches, step)


def padded(call: Call) -> list[Chain]:
    """Padding by zeros, reflection or repetition: the field moves by the padding before; borders are followed back."""
    amounts = call.args[1]
    rank = len(call.shape)
    befores = {rank - 1 - i: amounts[2 * i] for i in range(len(amounts) // 2)}

    def follow(layout: Layout) -> Layout:
        for dim, before in befores.items():
            if any(atom.axis is not None for atom in layout.dims[dim]):
                layout = layout.slide(dim, Taps(1, ((-before,),)), call.shape[dim])
            elif before or layout.shape[dim] != call.shape[dim]:
                layout = layout.put(dim, before, call.shape[dim])
        return layout

    return call.move(follow)


def unfold(call: Call) -> list[Chain]:
    """`x.unfold(dim, size, step)`: windows along a dimension, and their samples as a new last one."""
    dim, size, step = call.args[1] % len(call.shape), call.args[2], call.args[3]
    follow = lambda layout: layout.slide(dim, Taps.conv(size, step), call.shape[dim]).insert(len(layout.dims), size)  # noqa: E731
    return call.move(follow)


def im2col(call: Call) -> list[Chain]:
    """`F.unfold`: every window as a column."""
    kernel, dilation, padding, stride = call.args[1:5]
    before = call.shape_of(call.args[0])

    def follow(layout: Layout) -> Layout | None:
        sizes = []
        for axis in range(2):
            k, d, p, s = kernel[axis], dilation[axis], padding[axis], stride[axis]
            sizes.append((before[2 + axis] + 2 * p - d * (k - 1) - 1) // s + 1)
            layout = layout.slide(2 + axis, Taps.conv(k, s, p, d), sizes[axis])
        rows = layout.insert(2, kernel[0] * kernel[1])
        return rows.regroup((before[0], before[1] * kernel[0] * kernel[1], sizes[0] * sizes[1]))

    return call.move(follow)


def pixel_shuffle(call: Call) -> list[Chain]:
    """(C r r, H, W) -> (C, H r, W r): channels become places, so a place reads its channels' one place."""
    factor, channels = call.args[1], len(call.shape) - 3
    windows = Geometry((factor, factor), (factor, factor), (0, 0), (1, 1))
    step, gather = slide(call.shape, windows, transposed=True), Gather(channels, call.shape[-3], call.shape[-3])
    return call.move(lambda layout: step.forward(gather.forward(layout)))


def pixel_unshuffle(call: Call) -> list[Chain]:
    """(C, H r, W r) -> (C r r, H, W): a channel reads one place of each r x r; its field here is that of all."""
    factor, channels = call.args[1], len(call.shape) - 3
    windows = Geometry((factor, factor), (factor, factor), (0, 0), (1, 1))
    step = slide(call.shape, windows, transposed=False)
    gather = Gather(channels, call.shape[-3], call.shape[-3] // factor**2)
    return call.move(lambda layout: step.forward(gather.forward(layout)))
