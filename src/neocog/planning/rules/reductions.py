"""Rules of operations in which outputs are made of many elements, or each of its own: products, sums, norms."""

from collections.abc import Callable, Sequence

from neocog.planning.calls import Call, Chain, Rule
from neocog.planning.dependencies import AtMost, Everything, Gather, Mix, Move, Same
from neocog.planning.layout import Layout
from neocog.planning.trace import Ref

__all__ = [
    "along", "batch_norm", "chosen_along", "embedding", "gated", "group_norm", "index", "index_select", "last_dims",
    "pointwise", "product", "reduction",
]  # fmt: skip


def pointwise(call: Call) -> list[Chain]:
    return [chain for value in call.operation.inputs for chain in call.chain(Ref(value), Same(call.shape))]


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


def along(dims: Callable[[Call, int], Sequence[int]], *, exactly: bool = True) -> Rule:
    """The rule of an operation that keeps the shape and reads all along some dimensions, or a part of that."""

    def rule(call: Call) -> list[Chain]:
        found = []
        for value in call.operation.inputs:
            rank = len(call.trace.values[value].shape)
            if call.trace.values[value].shape == call.shape:
                mix = Mix(tuple(dim % rank for dim in dims(call, rank)))
                found += call.chain(Ref(value), *((mix,) if exactly else (mix, AtMost())))
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


def chosen_along(call: Call) -> list[Chain]:
    """topk and gather: each output reads one place along a dimension, and which one depends on values."""
    x = call.args[0]
    dim = call.operation.named["dim"] % len(call.shape)
    before = call.shape_of(x)
    aligned = all(size == call.shape[i] for i, size in enumerate(before) if i != dim)
    steps = (Gather(dim, call.shape[dim]), AtMost()) if aligned else (Everything(call.shape),)
    found = call.chain(x, *steps)
    others = [value for value in call.operation.inputs if value != x.value]
    return found + [chain for value in others for chain in call.chain(Ref(value), Same(call.shape))]


def gated(call: Call) -> list[Chain]:
    """glu: the first half of a dimension times the sigmoid of the second."""
    x, dim = call.args[0], call.args[1] % len(call.shape)
    half = call.shape[dim]

    def part(begin: int) -> Move:
        return Move(
            lambda tensor: tensor.narrow(dim, begin, half),
            lambda layout: layout.cut(dim, range(begin, begin + half)),
            call.shape,
        )

    return call.chain(x, part(0)) + call.chain(x, part(half))


def embedding(call: Call) -> list[Chain]:
    """A row of the table for each index."""
    play = lambda x: x.unsqueeze(-1).expand(call.shape)  # noqa: E731
    return call.chain(call.args[1], Move(play, lambda x: x.insert(len(x.dims)).expand(call.shape), call.shape))


def index_select(call: Call) -> list[Chain]:
    """Chosen places, which have no values here: each output may read any along the dimension."""
    dim, size = call.args[1] % len(call.shape), call.shape[call.args[1]]
    return call.chain(call.args[0], Gather(dim, size), AtMost())


def index(call: Call) -> list[Chain]:
    """`x[:, places]` with a tensor of places along one dimension; anything richer may read everything."""
    chosen = [dim for dim, ref in enumerate(call.args[1]) if ref is not None]
    if len(chosen) == 1 and len(call.shape_of(call.args[1][chosen[0]])) == 1:
        return call.chain(call.args[0], Gather(chosen[0], call.shape[chosen[0]]), AtMost())
    return [chain for value in call.operation.inputs for chain in call.chain(Ref(value), Everything(call.shape))]
