"""The cost of an operation, its name and its settings, from the shapes of its arguments."""

from math import prod

from neocog.arithmetic import Cost, conv_cost, conv_transpose_cost
from neocog.planning.geometry import geometry
from neocog.planning.trace import Operation, Ref, Trace

__all__ = ["MOVES", "detail", "macs_and_bias", "operator_name"]

MATRIX = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1, "addmv": 1}  # how many arguments come before
MOVES = frozenset([
    "view", "reshape", "unsafe_view", "reshape_alias", "permute", "transpose", "t", "expand", "squeeze", "unsqueeze",
    "slice", "select", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind", "detach",
    "alias", "unfold", "lift_fresh", "clone", "contiguous",
])  # fmt: skip
"""Operations that only say where elements are, or copy them."""


def shape_of(trace: Trace, ref: Ref) -> tuple[int, ...]:
    return trace.values[ref.value].shape


def convolution_cost(trace: Trace, operation: Operation) -> Cost:
    """The cost of a convolution for the batch that was traced, of size 1."""
    x, weight, bias, _, _, _, transposed, _, groups = operation.args
    before, after = shape_of(trace, x), trace.values[operation.outputs[0]].shape
    rule = conv_transpose_cost if transposed else conv_cost
    kernel = shape_of(trace, weight)[2:]
    return rule(before[1], after[1], kernel, before[2:], after[2:], groups, bias is not None)


def macs_and_bias(trace: Trace, operation: Operation) -> tuple[int, int]:
    """Multiply-accumulates of an operation, and the additions of its bias."""
    if operation.name == "convolution":
        batch = shape_of(trace, operation.args[0])[0]
        cost = convolution_cost(trace, operation)
        return cost.macs * batch, cost.bias_adds * batch
    if operation.name in MATRIX:
        skip = MATRIX[operation.name]
        rows = shape_of(trace, operation.args[skip])
        output = prod(trace.values[operation.outputs[0]].shape)
        return output * rows[-1], output if skip else 0
    return 0, 0


def operator_name(trace: Trace, operation: Operation) -> str:
    """The operator as users know it: conv2d, linear, batch_norm."""
    name = operation.name
    if name == "convolution":
        dims = len(shape_of(trace, operation.args[1])) - 2
        return f"conv_transpose{dims}d" if operation.args[6] else f"conv{dims}d"
    if name in MATRIX:
        weight = operation.args[MATRIX[name] + 1]
        return "matmul" if trace.values[weight.value].from_input else "linear"
    return name.removeprefix("native_").removesuffix("_with_indices")


def detail(trace: Trace, operation: Operation) -> str:
    """The numbers that tell a layer from its siblings: 3x3, stride 2, padding 1, 32 groups."""
    found = geometry(trace, operation)
    if found is None:
        return ""
    parts = [by_axis(found.kernel_size)]
    for text, values, usual in (
        ("stride", found.stride, 1), ("padding", found.padding, 0), ("dilation", found.dilation, 1)
    ):  # fmt: skip
        if any(value != usual for value in values):
            parts.append(f"{text} {values[0] if len(set(values)) == 1 else by_axis(values)}")
    if found.groups > 1:
        channels = shape_of(trace, operation.args[0])[1]
        parts.append("depthwise" if found.groups == channels else f"{found.groups} groups")
    return ", ".join(parts)


def by_axis(sizes: tuple[int, ...] | list[int]) -> str:
    """Sizes as people write them: 3x224x224."""
    return "x".join(map(str, sizes))
