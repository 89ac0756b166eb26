"""Advice on a plan, each piece with its reason."""

from collections.abc import Iterator
from math import prod

from neocog.arithmetic import fit
from neocog.errors import some
from neocog.planning.cost import by_axis
from neocog.planning.geometry import geometry
from neocog.planning.plan import Plan
from neocog.planning.rows import Row
from neocog.planning.trace import Operation

__all__ = ["advise"]

LARGE_SHARE = 0.5  # of all parameters in one dense layer
GRAIN = 8  # channels that tensor cores and vector units take at a time


def advise(plan: Plan, object_size: int | None = None) -> list[str]:
    """Advice for a network on its input, in the order of its layers; `object_size` in samples of the input."""
    rules = (field_advice(plan, object_size), discarded(plan), idle_biases(plan), uneven_channels(plan))
    found = [line for rule in rules for line in rule]
    return [*found, *large_dense(plan), *idle_parameters(plan), *assumed(plan)]


def place(row: Row) -> str:
    return f"{row.name or 'the network'} ({row.operator}{' ' + row.detail if row.detail else ''})"


def field_advice(plan: Plan, object_size: int | None) -> Iterator[str]:
    """A field smaller than what is to be seen, or larger than the image."""
    rows = [row for row in plan.rows if row.fields and row.exact and not row.moves]
    local = [row for row in rows if not any(row.whole) and len(row.output_shape) > 1]
    if not local or len(local[-1].output_shape) != len(plan.input_shape):
        return
    last, sizes = local[-1], plan.axes
    field = last.receptive_field
    seen, picture = by_axis(field), by_axis(sizes)
    if object_size is not None and min(field) < object_size:
        yield (
            f"A receptive field smaller than the object: the last units with a place, of {place(last)}, see {seen}, "
            f"and the object is {object_size}. Add layers, a stride or a dilation before them."
        )
    elif object_size is None and all(f < size for f, size in zip(field, sizes, strict=True)):
        yield (
            f"A receptive field smaller than the image: units of {place(last)} see {seen} of {picture}. "
            "Only the layers after it combine what is larger. Give the size of your objects to check it."
        )
    for row in local:
        if any(f > size for f, size in zip(row.receptive_field, sizes, strict=True)):
            yield (
                f"A receptive field larger than the image: from {place(row)} on, units see "
                f"{by_axis(row.receptive_field)} of {picture}; what is beyond is padding. A larger input would use it."
            )
            break


def discarded(plan: Plan) -> Iterator[str]:
    """A stride that leaves samples of its input unread: between windows, or behind the last one."""
    jumping: dict[str, list[str]] = {}
    for row in plan.rows:
        windows = geometry(plan.trace, plan.trace.operations[row.operation])
        if windows is None or windows.transposed or windows.ceil_mode:
            continue
        sizes = row.input_shapes[0][-len(windows.axes) :]
        fits = [fit(size, *axis) for size, axis in zip(sizes, windows.axes, strict=True)]
        if any(stride > kernel_size for kernel_size, stride, *_ in windows.axes):
            read = prod(1 - len(found.unread) / size for found, size in zip(fits, sizes, strict=True))
            jumping.setdefault(f"{row.detail} reads {read:.0%}", []).append(row.name or "the network")
        elif any(found.unread for found in fits):
            worst = max(fits, key=lambda found: len(found.unread))
            yield (
                f"A stride that discards samples: {place(row)} never sees {some(worst.unread, 4)} along an axis of its "
                f"{by_axis(sizes)}. Sizes of {' or '.join(map(str, worst.sizes))} there would fit."
            )
    for what, names in jumping.items():
        yield (
            f"A stride that discards samples: {some(names)}, {what} of its input, as the stride is larger than the "
            "kernel. Average pooling before it, or a kernel as large as the stride, would read all."
        )


def idle_biases(plan: Plan) -> Iterator[str]:
    """A bias before a batch normalisation, which takes it out again."""
    readers: dict[int, list[Operation]] = {}
    for operation in plan.trace.operations:
        for value in operation.inputs:
            readers.setdefault(value, []).append(operation)
    named = []
    for row in plan.rows:
        operation = plan.trace.operations[row.operation]
        next_ones = readers.get(operation.outputs[0], [])
        if row.bias_adds and next_ones and all(following.name == "native_batch_norm" for following in next_ones):
            named.append(row)
    if named:
        values = sum(row.output_shape[0] for row in named)
        yield (
            f"A bias before batch norm: {some([row.name or row.operator for row in named])}. The norm subtracts the "
            f"mean, and the bias with it: bias=False saves {values:,} parameters and changes nothing."
        )


def uneven_channels(plan: Plan) -> Iterator[str]:
    """Channels that are not a multiple of 8."""
    layers = [row for row in plan.rows if row.macs and row.operator.startswith("conv")]
    uneven = [row for row in layers if row.output_shape[0] % GRAIN]
    if uneven:
        named = some([f"{row.name or row.operator}: {row.output_shape[0]}" for row in uneven])
        yield (
            f"Channels not a multiple of {GRAIN}, in {len(uneven)} of {len(layers)} convolutions: {named}. Vector "
            "units and tensor cores take 8 at a time, and compute the rest for nothing."
        )


def large_dense(plan: Plan) -> Iterator[str]:
    """Most parameters in one dense layer."""
    for row in plan.rows:
        if row.operator == "linear" and row.parameters > LARGE_SHARE * plan.parameters and len(plan.rows) > 1:
            yield (
                f"Most parameters in one dense layer: {row.name} holds {row.parameters:,} of {plan.parameters:,} "
                f"({row.parameters / plan.parameters:.0%}). Global average pooling before it would leave few of them."
            )


def idle_parameters(plan: Plan) -> Iterator[str]:
    """Parameters that nothing reads."""
    if plan.unused:
        yield (
            f"Parameters that this pass does not read: {some(plan.unused)}; {sum(plan.unused.values()):,} in all. "
            "They belong to a head that is used in training alone, or to a layer that was forgotten."
        )


def assumed(plan: Plan) -> Iterator[str]:
    """Weights that nothing owns, and operations whose reads are not known."""
    if plan.rows and not any(row.parameters or row.shared for row in plan.rows) and plan.macs:
        yield (
            "Weights that are not parameters: the network multiplies, and has none that an optimizer would find. Keep "
            "layers in an nn.ModuleList instead of a list."
        )
    unknown = {row.operator: row for row in plan.rows if not row.known}
    for row in unknown.values():
        yield (
            f"An operation that is not known: {place(row)}. Each of its outputs is taken to read all of its inputs, so "
            "receptive fields from here on are upper bounds."
        )
