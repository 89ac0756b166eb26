"""Operation by operation: which of its inputs' elements each output is made of.

The names are those of torch's dispatcher. Elementwise operations are known by their tag; an operation that is in no
table is assumed to read everything, and says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import ceil, floor
from typing import Any

import torch
from torch import Tensor

from neocog.arithmetic import Taps
from neocog.planning.geometry import Geometry, geometry, per_axis
from neocog.planning.layout import Layout
from neocog.planning.reads import Everything, Gather, Mix, Move, Same, Slide, Step
from neocog.planning.trace import Operation, Ref, Trace

__all__ = ["Chain", "is_known", "reads"]

Chain = tuple[int, tuple[Step, ...]]
"""An input, and the steps from it to the output."""
Rule = Callable[["Call"], list[Chain]]


class Call:
    """An operation with the shapes of what it reads and writes."""

    def __init__(self, trace: Trace, operation: Operation, output: int) -> None:
        self.trace, self.operation = trace, operation
        self.args = operation.args
        self.output = output  # which of its outputs
        self.shape = trace.values[operation.outputs[output]].shape

    def shape_of(self, ref: Ref) -> tuple[int, ...]:
        return self.trace.values[ref.value].shape

    def chain(self, ref: Any, *steps: Step) -> list[Chain]:
        """The chain from an argument, if the input is in it."""
        seen = isinstance(ref, Ref) and self.trace.values[ref.value].from_input
        return [(ref.value, steps)] if seen else []

    def replay(self, position: int = 0) -> Callable[[Tensor], Any]:
        """The operation as a function of one argument alone; the others are as they were."""
        operator = self.operation.operator
        assert operator is not None
        named = {name: value for name, value in self.operation.named.items() if value is not None}
        mine = operator._schema.arguments[position].name
        return lambda tensor: operator(**{**named, mine: tensor})

    def move(self, follow: Callable[[Layout], Layout | None], *, pick: bool = False) -> list[Chain]:
        """The chain of an operation that only moves elements; with `pick`, of one of its several outputs."""
        play = self.replay()
        return self.chain(self.args[0], Move((lambda x: play(x)[self.output]) if pick else play, follow, self.shape))


def reads(trace: Trace, operation: Operation, output: int = 0) -> list[Chain]:
    """The chains from each input to one of the operation's outputs."""
    call = Call(trace, operation, output)
    rule = find_rule(operation)
    if rule is not None:
        return rule(call)
    return [chain for value in operation.inputs for chain in call.chain(Ref(value), Everything(call.shape))]


def is_known(operation: Operation) -> bool:
    """Whether a rule says what the operation reads."""
    return operation.operator is not None and find_rule(operation) is not None


def find_rule(operation: Operation) -> Rule | None:
    rule = RULES.get(operation.name)
    if rule is None and operation.operator is not None and torch.Tag.pointwise in operation.operator.tags:
        return pointwise
    return rule


def pointwise(call: Call) -> list[Chain]:
    return [chain for value in call.operation.inputs for chain in call.chain(Ref(value), Same(call.shape))]


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


Rows = Callable[[int, int, "Scale"], Sequence[Sequence[int]]]
"""The places that each output of an axis reads, by sizes in and out, and scale. Beyond the border: the border."""


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


def product(call: Call) -> list[Chain]:
    """mm, bmm, mv, and with a bias before them addmm, baddbmm, addmv: (.., i, k) times (.., k, j)."""
    biased = call.operation.name in ("addmm", "baddbmm", "addmv", "addbmm")
    bias, (left, right) = (call.args[0], call.args[1:3]) if biased else (None, call.args[:2])
    rows, columns = call.shape_of(left), call.shape_of(right)
    if len(columns) == 1:
        drop = Move(lambda x: x.sum(-1), lambda layout: layout.remove(len(rows) - 1), call.shape)
        found = call.chain(left, drop) + call.chain(right, Everything(call.shape))
    else:
        found = call.chain(left, Gather(len(rows) - 1, columns[-1]))
        found += call.chain(right, Gather(len(columns) - 2, rows[-2]))
    return found + call.chain(bias, Same(call.shape))


def along(dims: Callable[[Call, int], Sequence[int]]) -> Rule:
    """The rule of an operation that keeps the shape and reads all along some dimensions."""

    def rule(call: Call) -> list[Chain]:
        found = []
        for value in call.operation.inputs:
            rank = len(call.trace.values[value].shape)
            if call.trace.values[value].shape == call.shape:
                found += call.chain(Ref(value), Mix(tuple(dim % rank for dim in dims(call, rank))))
            else:
                found += call.chain(Ref(value), Everything(call.shape))
        return found

    return rule


def last_dims(call: Call, rank: int) -> Sequence[int]:
    return range(rank - len(call.args[1]), rank)


def group_norm(call: Call) -> list[Chain]:
    groups, rank = call.args[6], len(call.shape)
    if call.output > 0:
        return call.chain(call.args[0], Everything(call.shape))
    return call.chain(call.args[0], Gather(1, call.shape[1], groups), Mix(tuple(range(2, rank))))


def batch_norm(call: Call) -> list[Chain]:
    """Frozen, each value is scaled by itself; without running statistics each reads its whole channel."""
    x, frozen = call.args[0], not call.operation.named["training"]
    if call.output > 0:
        return call.chain(x, Everything(call.shape))
    return call.chain(x, *([] if frozen else [Mix((0, *range(2, len(call.shape))))]), Same(call.shape))


def reduction(call: Call) -> list[Chain]:
    """Sums, means, maxima, norms over some dimensions, which are then gone or of size 1."""
    shape = call.shape_of(call.args[0])
    chosen = call.operation.named.get("dim")
    listed = [chosen] if isinstance(chosen, int) else list(chosen or range(len(shape)))
    dims = sorted({dim % max(len(shape), 1) for dim in listed}, reverse=True)
    kept = len(call.shape) == len(shape)

    def follow(layout: Layout) -> Layout:
        for dim in dims:
            layout = layout.channels(dim, 1, 1) if kept else layout.remove(dim)
        return layout

    return call.chain(call.args[0], Move(lambda x: x.sum(dims, keepdim=kept), follow, call.shape))


def view(call: Call) -> list[Chain]:
    return call.move(lambda layout: layout.regroup(call.shape))


def permute(call: Call) -> list[Chain]:
    rank = len(call.shape)
    order = list(range(rank))
    if call.operation.name == "permute":
        order = [dim % rank for dim in call.args[1]]
    elif rank > 1:  # t or transpose
        a, b = (0, 1) if call.operation.name == "t" else (call.args[1] % rank, call.args[2] % rank)
        order[a], order[b] = order[b], order[a]
    return call.move(lambda layout: layout.permute(order))


def expand(call: Call) -> list[Chain]:
    return call.chain(call.args[0], Same(call.shape))


def unsqueeze(call: Call) -> list[Chain]:
    return call.move(lambda layout: layout.insert(call.args[1] % len(call.shape)))


def squeeze(call: Call) -> list[Chain]:
    before = call.shape_of(call.args[0])
    asked = call.args[1] if len(call.args) > 1 else range(len(before))
    dims = {dim % len(before) for dim in ([asked] if isinstance(asked, int) else asked)} if before else set()

    def follow(layout: Layout) -> Layout:
        for dim in sorted(dims, reverse=True):
            layout = layout.remove(dim) if before[dim] == 1 else layout
        return layout

    return call.move(follow)


def cut(layout: Layout, dim: int, places: Sequence[int], step: int = 1) -> Layout:
    """Evenly spaced places of a dimension: taken from channels, slid over an axis."""
    atoms = layout.dims[dim]
    if any(atom.axis is not None for atom in atoms) and places:
        return layout.slide(dim, Taps(step, ((places[0],),)), len(places))
    return layout.take(dim, places)


def slicing(call: Call) -> list[Chain]:
    before = call.shape_of(call.args[0])
    dim = call.args[1] % len(before)
    start, end, step = slice(*call.args[2:5]).indices(before[dim])
    return call.move(lambda layout: cut(layout, dim, range(start, end, step), step))


def select(call: Call) -> list[Chain]:
    before = call.shape_of(call.args[0])
    dim = call.args[1] % len(before)
    place = call.args[2] % before[dim]
    return call.move(lambda layout: cut(layout, dim, [place]).remove(dim))


def splitting(call: Call) -> list[Chain]:
    """split, split_with_sizes and unbind: this output's share of a dimension."""
    before = call.shape_of(call.args[0])
    if call.operation.name.startswith("unbind"):
        dim = call.args[1] % len(before)
        return call.move(lambda layout: cut(layout, dim, [call.output]).remove(dim), pick=True)
    dim = call.args[2] % len(before)
    sizes = [call.trace.values[value].shape[dim] for value in call.operation.outputs]
    begin = [0, *accumulate(sizes)][call.output]
    return call.move(lambda layout: cut(layout, dim, range(begin, begin + sizes[call.output])), pick=True)


def concatenation(call: Call) -> list[Chain]:
    """Each part goes to its own places. Channels are kept apart; along an axis of the input they are joined."""
    stacked = call.operation.name == "stack"
    parts, dim = call.args[0], call.args[1] % len(call.shape)
    sizes = [1 if stacked else call.shape_of(part)[dim] for part in parts]
    begins, found = [0, *accumulate(sizes)], []
    for part, begin, size in zip(parts, begins, sizes, strict=False):
        if size:
            found += call.chain(part, *placed(call.shape, dim, begin, size, stacked))
    return found


def placed(shape: tuple[int, ...], dim: int, begin: int, size: int, stacked: bool) -> list[Step]:
    """Steps that put a part at its place in a larger dimension; the rest of it reads nothing of the part."""

    def move(x: Tensor) -> Tensor:
        part = x.unsqueeze(dim) if stacked else x
        around = [0, 0] * (len(shape) - dim - 1) + [begin, shape[dim] - begin - size]
        return torch.nn.functional.pad(part, around)

    def follow(layout: Layout) -> Layout:
        layout = layout.insert(dim) if stacked else layout
        return layout.put(dim, begin, shape[dim])

    return [Move(move, follow, shape)]


def padded(call: Call) -> list[Chain]:
    """Padding by zeros, reflection or repetition: the field moves by what stands before; borders are followed back."""
    amounts = call.args[1]
    rank = len(call.shape)
    befores = {rank - 1 - i: amounts[2 * i] for i in range(len(amounts) // 2)}

    def follow(layout: Layout) -> Layout:
        for dim, before in befores.items():
            if any(atom.axis is not None for atom in layout.dims[dim]):
                layout = layout.slide(dim, Taps(1, ((-before,),)), call.shape[dim])
            elif layout.shape[dim] != call.shape[dim]:
                layout = layout.put(dim, before, call.shape[dim])
        return layout

    return call.move(follow)


def flip(call: Call) -> list[Chain]:
    dims = [dim % len(call.shape) for dim in call.args[1]]

    def follow(layout: Layout) -> Layout:
        for dim in dims:
            last = call.shape[dim] - 1
            atoms = layout.dims[dim]
            if any(atom.axis is not None for atom in atoms):
                layout = layout.slide(dim, Taps(-1, ((last,),)), last + 1)
            else:
                layout = layout.take(dim, range(last, -1, -1))
        return layout

    return call.move(follow)


def roll(call: Call) -> list[Chain]:
    """Rolled channels are taken in turn; a rolled axis is followed as a shift, but for what comes round the border."""
    shifts, dims = per_axis(call.args[1], 1), per_axis(call.args[2], 1)

    def follow(layout: Layout) -> Layout | None:
        if not dims:
            return None
        for shift, dim in zip(shifts, (dim % len(call.shape) for dim in dims), strict=True):
            size = call.shape[dim]
            if any(atom.axis is not None for atom in layout.dims[dim]):
                return None
            layout = layout.take(dim, [(place - shift) % size for place in range(size)])
        return layout

    return call.move(follow)


def repeat(call: Call) -> list[Chain]:
    before = call.shape_of(call.args[0])
    times = call.args[1]

    def follow(layout: Layout) -> Layout:
        for _ in range(len(times) - len(before)):
            layout = layout.insert(0)
        for dim, count in enumerate(times):
            if count > 1:
                layout = layout.take(dim, [*range(layout.shape[dim])] * count)
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


def channel_shuffle(call: Call) -> list[Chain]:
    groups, channels = call.args[1], call.shape[1]
    order = [(c % groups) * (channels // groups) + c // groups for c in range(channels)]
    return call.move(lambda layout: layout.take(1, order))


def index_select(call: Call) -> list[Chain]:
    """Chosen places, which have no values here: each output may read any along the dimension."""
    dim, size = call.args[1] % len(call.shape), call.shape[call.args[1]]
    return call.chain(call.args[0], Gather(dim, size))


def index(call: Call) -> list[Chain]:
    """`x[:, places]` with a tensor of places along one dimension; anything richer may read everything."""
    chosen = [dim for dim, ref in enumerate(call.args[1]) if ref is not None]
    if len(chosen) == 1 and len(call.shape_of(call.args[1][chosen[0]])) == 1:
        return call.chain(call.args[0], Gather(chosen[0], call.shape[chosen[0]]))
    return [chain for value in call.operation.inputs for chain in call.chain(Ref(value), Everything(call.shape))]


def embedding(call: Call) -> list[Chain]:
    """A row of the table for each index."""
    play = lambda x: x.unsqueeze(-1).expand(call.shape)  # noqa: E731
    return call.chain(call.args[1], Move(play, lambda x: x.insert(len(x.dims)).expand(call.shape), call.shape))


RULES: dict[str, Rule] = {
    "convolution": convolution,
    "embedding": embedding,
    "native_batch_norm": batch_norm,
    "native_group_norm": group_norm,
    "native_layer_norm": along(last_dims),
    "max_unpool2d": unpooling,
    "max_unpool3d": unpooling,
    "softmax": along(lambda call, rank: [call.args[1]]),
    "log_softmax": along(lambda call, rank: [call.args[1]]),
    "safe_softmax": along(lambda call, rank: [call.args[1]]),
    "cumsum": along(lambda call, rank: [call.args[1]]),
    "cumprod": along(lambda call, rank: [call.args[1]]),
    "sort": along(lambda call, rank: [call.args[1]]),
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "im2col": im2col,
    "unfold": unfold,
    "index_select": index_select,
    "index": index,
    "flip": flip,
    "roll": roll,
    "repeat": repeat,
    "expand": expand,
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "slice": slicing,
    "select": select,
}
RULES |= dict.fromkeys(
    ["copy", "clone", "to_copy", "detach", "alias", "lift_fresh", "native_dropout", "contiguous", "dropout"], pointwise
)
RULES |= dict.fromkeys(["mm", "bmm", "mv", "addmm", "baddbmm", "addmv", "dot"], product)
RULES |= dict.fromkeys(["view", "reshape", "unsafe_view", "reshape_alias"], view)
RULES |= dict.fromkeys(["permute", "transpose", "t"], permute)
RULES |= dict.fromkeys(["split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind"], splitting)
RULES |= dict.fromkeys(["cat", "stack"], concatenation)
RULES |= dict.fromkeys(
    [
        "mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "prod", "any", "all", "argmax", "argmin",
        "linalg_vector_norm", "logsumexp", "median",
    ],
    reduction,
)  # fmt: skip
for dims in (1, 2, 3):
    RULES |= dict.fromkeys([f"avg_pool{dims}d", f"max_pool{dims}d", f"max_pool{dims}d_with_indices"], pooling)
    RULES |= dict.fromkeys([f"adaptive_avg_pool{dims}d", f"adaptive_max_pool{dims}d"], resampling(adaptive))
    RULES |= dict.fromkeys([f"upsample_nearest{dims}d", f"upsample_nearest_exact{dims}d"], resampling(nearest))
    RULES |= dict.fromkeys([f"reflection_pad{dims}d", f"replication_pad{dims}d"], padded)
RULES |= dict.fromkeys(
    ["upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"], resampling(interpolated(1))
)
RULES |= {"upsample_bicubic2d": resampling(interpolated(2)), "constant_pad_nd": padded}
RULES |= {"upsample_bilinear2d_aa": resampling(antialiased(1)), "upsample_bicubic2d_aa": resampling(antialiased(2))}
