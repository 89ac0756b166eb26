"""Rules of operations that put elements elsewhere, unchanged: views, slices, concatenations, shuffles."""

from itertools import accumulate

import torch
from torch import Tensor

from neocog.arithmetic import Taps
from neocog.planning.calls import Call, Chain
from neocog.planning.dependencies import Move, Same, Step
from neocog.planning.geometry import per_axis
from neocog.planning.layout import Layout

__all__ = [
    "channel_shuffle", "concatenation", "expand", "flip", "permute", "repeat", "roll", "select", "slicing", "splitting",
    "squeeze", "unsqueeze", "view",
]  # fmt: skip


def view(call: Call) -> list[Chain]:
    return call.move(lambda layout: layout.regroup(call.shape))


def permute(call: Call) -> list[Chain]:
    """permute, transpose and t."""
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
    """Dimensions of 1 go; others that are named stay."""
    before = call.shape_of(call.args[0])
    asked = call.args[1] if len(call.args) > 1 else range(len(before))
    dims = {dim % len(before) for dim in ([asked] if isinstance(asked, int) else asked)} if before else set()

    def follow(layout: Layout) -> Layout:
        for dim in sorted(dims, reverse=True):
            layout = layout.remove(dim) if before[dim] == 1 else layout
        return layout

    return call.move(follow)


def slicing(call: Call) -> list[Chain]:
    before = call.shape_of(call.args[0])
    dim = call.args[1] % len(before)
    start, end, step = slice(*call.args[2:5]).indices(before[dim])
    return call.move(lambda layout: layout.cut(dim, range(start, end, step), step))


def select(call: Call) -> list[Chain]:
    before = call.shape_of(call.args[0])
    dim = call.args[1] % len(before)
    place = call.args[2] % before[dim]
    return call.move(lambda layout: layout.cut(dim, [place]).remove(dim))


def splitting(call: Call) -> list[Chain]:
    """split, split_with_sizes and unbind: this output's share of a dimension."""
    before = call.shape_of(call.args[0])
    if call.operation.name.startswith("unbind"):
        dim = call.args[1] % len(before)
        return call.move(lambda layout: layout.cut(dim, [call.output]).remove(dim), pick=True)
    dim = call.args[2] % len(before)
    sizes = [call.trace.values[value].shape[dim] for value in call.operation.outputs]
    begin = [0, *accumulate(sizes)][call.output]
    return call.move(lambda layout: layout.cut(dim, range(begin, begin + sizes[call.output])), pick=True)


def concatenation(call: Call) -> list[Chain]:
    """Each part goes to its own places. Channels are kept apart; along an axis of the input they are joined."""
    stacked = call.operation.name == "stack"
    parts, dim = (
        [part for part in call.args[0] if stacked or call.shape_of(part) != (0,)],
        call.args[1] % len(call.shape),
    )
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


def flip(call: Call) -> list[Chain]:
    """Output o reads n - 1 - o."""
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
    """`x.repeat`: copies one behind the other; an axis that is repeated is mixed, as copies break its order."""
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


def channel_shuffle(call: Call) -> list[Chain]:
    groups, channels = call.args[1], call.shape[1]
    order = [(c % groups) * (channels // groups) + c // groups for c in range(channels)]
    return call.move(lambda layout: layout.take(1, order))
