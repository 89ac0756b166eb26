"""Where a network and an input do not fit: which layer, which sizes meet there, and which input would fit."""

import time
from collections.abc import Callable, Iterator, Sequence
from math import prod

import torch
from torch import nn

from neocog.errors import GeometryError, NeocogError, PlanError
from neocog.planning.cost import MOVES, by_axis
from neocog.planning.trace import Trace, first_line

__all__ = ["explained"]

SECONDS = 3.0  # for the search for sizes that fit
FARTHEST = 1024  # from the size that does not
BEYOND = 17  # sizes that are tried before it is said that all larger ones fit
SIZES = (RuntimeError, ValueError, IndexError, AssertionError)
"""The errors for sizes that don't match."""
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "linear")


Fits = Callable[[Sequence[int]], bool]
"""Whether the network runs on an input of a shape."""


def explained(copied: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, error: Exception) -> NeocogError:
    """The error to raise for an input of this shape, on which torch raised this one."""
    trace: Trace = getattr(error, "trace", None) or Trace()
    if not isinstance(error, SIZES):
        where = trace.at or f"The network {type(copied).__name__}"
        return PlanError(
            f"{where} failed on an input of {by_axis(shape)}: {type(error).__name__}: {error}. "
            "A plan gives one tensor to forward; wrap a network that takes others."
        )
    module = dict(copied.named_modules()).get(trace.at, copied)
    place = f"{trace.at or 'The network'} {described(module)}".strip()
    fits = runs(copied, dtype)
    operator, shapes = trace.asked
    start = f"An input of {by_axis(shape)} does not fit. {place}"
    for other in other_dimensions(shape):
        if fits(other):
            return GeometryError(
                "An input is channels and then sizes, without the batch.",
                received=f"{by_axis(shape)}",
                fix=f"Use {by_axis(other)}.",
            )
    wanted = features_wanted(module, operator, shapes)
    if wanted is not None:
        return GeometryError(
            f"{start} takes {wanted:,} features and receives {fed(trace, shapes, operator)}. "
            f"{which_fit(fits, shape, f'which gives {wanted:,}') or 'No size near it gives them.'}"
        )
    channels = channels_wanted(module, operator, shapes)
    if channels is not None:
        takes, received = channels
        other = (takes, *shape[1:])
        fix = f"Use {by_axis(other)}, or build" if received == shape[0] and fits(other) else "Build"
        return GeometryError(
            f"{start} takes {takes} input channel{'s' * (takes > 1)} and receives {received}, in "
            f"{by_axis(shapes[0][1:])}. {fix} the layer with {received} input channel{'s' * (received > 1)}."
        )
    needed = kernel_needed(module, operator, shapes)
    if needed is not None:
        least, left = needed
        return GeometryError(
            f"{start} reads windows of {by_axis(least)}, more than the {by_axis(left)} that is left of the input. "
            f"{works_from(fits, shape)}"
        )
    reason = first_line(error).rstrip(".")
    meet = " and ".join(by_axis(size) or "one number" for size in shapes)
    told = f", at {operator} of {meet}: {reason}" if shapes else f": {reason}"
    found = which_fit(fits, shape, "which does")
    if found is not None:
        return GeometryError(f"{start}{told}. {found}")
    cure = (
        "Plan token ids with dtype=torch.int64, or --dtype int64." if operator == "embedding" else "Look at the layer."
    )
    return PlanError(f"{place} failed on an input of {by_axis(shape)}{told}. {cure}")


def other_dimensions(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shapes that were probably meant by one with the batch in front, with channels last, or without channels."""
    if len(shape) > 3 and shape[0] == 1:
        return [shape[1:]]
    if len(shape) == 3 and shape[-1] < shape[0]:
        return [(shape[-1], *shape[:-1])]
    return [(3, *shape), (1, *shape)] if len(shape) == 2 and shape[0] > 4 else []


def described(module: nn.Module) -> str:
    """A layer with its numbers; of a larger module the class alone."""
    return type(module).__name__ if list(module.children()) else repr(module).removesuffix("()")


def runs(copied: nn.Module, dtype: torch.dtype) -> Fits:
    """Whether the network runs on an input of a shape; asked of the meta device, where it costs little."""

    def fits(shape: Sequence[int]) -> bool:
        try:
            with torch.no_grad(), torch.device("meta"):
                copied(torch.empty(1, *shape, dtype=dtype, device="meta"))
        except Exception:
            return False
        return True

    return fits


def features_wanted(module: nn.Module, operator: str, shapes: Sequence[tuple[int, ...]]) -> int | None:
    """The features that a dense layer takes, where it was fed others."""
    if operator not in PRODUCTS:
        return None
    left, right = shapes[-2:]
    if isinstance(module, nn.Linear) or len(right) == 2:
        return right[-2] if left[-1] != right[-2] else None
    return None


def fed(trace: Trace, shapes: Sequence[tuple[int, ...]], operator: str) -> str:
    """The input of a dense layer, with the shape it had before it was flattened: 16x6x6 = 576."""
    features = shapes[-2][-1]
    for operation in reversed(trace.operations):
        read = [v for v in operation.inputs if trace.values[v].from_input]
        if not read or not any(trace.values[made].from_input for made in operation.outputs):
            continue
        before = trace.values[read[0]].shape[1:]
        if operation.name not in MOVES:
            break
        if len(before) > 1 and prod(before) == features:
            return f"{by_axis(before)} = {features:,}"
    return f"{features:,}"


def channels_wanted(module: nn.Module, operator: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, int] | None:
    """The channels that a convolution takes, and those it was fed, where they differ."""
    takes = getattr(module, "in_channels", None)
    if operator != "convolution" or len(shapes) < 2 or len(shapes[0]) != len(shapes[1]):
        return None
    takes = takes if isinstance(takes, int) else shapes[1][1]
    return (takes, shapes[0][1]) if takes != shapes[0][1] else None


def kernel_needed(
    module: nn.Module, operator: str, shapes: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The window of a convolution or pooling, and the smaller map that it was laid on."""
    if operator != "convolution" and "pool" not in operator:
        return None
    dims = len(shapes[0]) - 2
    kernel, dilation, padding = (numbers(module, name, dims) for name in ("kernel_size", "dilation", "padding"))
    if kernel is None and operator == "convolution":
        kernel = shapes[1][2:]
    if kernel is None:
        return None
    dilation, padding = dilation or (1,) * dims, padding or (0,) * dims
    wide = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    left = shapes[0][-dims:]
    small = any(w > size + 2 * p for w, size, p in zip(wide, left, padding, strict=True))
    return (wide, left) if small else None


def numbers(module: nn.Module, name: str, dims: int) -> tuple[int, ...] | None:
    """A layer's setting, one number for each dimension."""
    setting = getattr(module, name, None)
    if isinstance(setting, int):
        return (setting,) * dims
    return tuple(setting) if isinstance(setting, tuple) and len(setting) == dims else None


def resized(shape: tuple[int, ...], change: int, axis: int | None = None) -> tuple[int, ...] | None:
    """The shape with one size, or all but the channels, changed by as much; None if one would vanish."""
    axes = [axis] if axis is not None else range(1 if len(shape) > 1 else 0, len(shape))
    sizes = tuple(size + change if i in axes else size for i, size in enumerate(shape))
    return sizes if min(sizes) > 0 else None


def works_from(fits: Fits, shape: tuple[int, ...]) -> str:
    """From which size on the network works: doubled until it does, then halved to the border.

    Where sizes beyond the border do not all fit, the nearest that do.
    """

    def fitting(change: int) -> bool:
        other = resized(shape, change)
        return other is not None and fits(other)

    high = 1
    while high <= FARTHEST and not fitting(high):
        high *= 2
    low = high // 2
    while high <= FARTHEST and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fitting(middle) else (middle, high)
    if high <= FARTHEST and all(fitting(high + more) for more in range(1, BEYOND)):
        return f"The network works from {by_axis(resized(shape, high) or shape)} on."
    return which_fit(fits, shape, "which does") or "No size near it fits. Look at the layer."


def which_fit(fits: Fits, shape: tuple[int, ...], why: str) -> str | None:
    """The nearest input sizes that fit, and how far they reach; None if no size near it does.

    First all sizes are changed alike, then one at a time.
    """
    until = time.monotonic() + SECONDS
    several = len(shape) > 2
    for change in outwards(min(shape[1:] or shape)):
        for axis in (None, *(range(1, len(shape)) if several else ())):
            if time.monotonic() > until:
                return None
            found = resized(shape, change, axis)
            if found is not None and fits(found):
                return f"Use an input {reach(fits, shape, change, axis, until)}, {why}."
    return None


def reach(fits: Fits, shape: tuple[int, ...], change: int, axis: int | None, until: float) -> str:
    """From which size to which the network works, around one that it works on."""

    def fitting(change: int) -> bool:
        other = resized(shape, change, axis)
        return other is not None and abs(change) < FARTHEST and time.monotonic() < until and fits(other)

    low = high = change
    while fitting(low - 1):
        low -= 1
    while fitting(high + 1):
        high += 1
    first, last = (by_axis(resized(shape, end, axis) or shape) for end in (low, high))
    return f"of {first}" if low == high else f"from {first} to {last}"


def outwards(size: int) -> Iterator[int]:
    """1, -1, 2, -2 and so on; down to half of the size, and far up."""
    for step in range(1, FARTHEST):
        yield step
        if 2 * step <= size:
            yield -step
