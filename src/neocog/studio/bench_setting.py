"""The settings of the Bench as the page sends them, and the operation that they describe."""

import math
from collections.abc import Callable
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from neocog.errors import ConfigError, GeometryError, did_you_mean
from neocog.reference import kernel
from neocog.reference.axes import Array, floats
from neocog.studio.operation import Kind, Operation, digits

__all__ = ["PATTERNS", "Setting", "biases", "check_work", "entry_count", "operation_of"]

NUMBERS = 4096  # values of an input, kernels or outputs
WORK = 4_000_000  # multiplications

Whole = Annotated[int, Field(ge=-99, le=99)]
Sizes = Annotated[list[Whole], Field(min_length=1, max_length=2)]
Values = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=NUMBERS)]
Name = Annotated[str, Field(max_length=1000)]


class Setting(BaseModel):
    """Everything on the Bench. Lists have an entry for each axis; values are row-major; None is an example."""

    op: Kind = "conv"
    size: Sizes = [5, 5]
    kernel: Sizes = [3, 3]
    stride: Sizes = [1, 1]
    padding: Annotated[list[tuple[Whole, Whole]], Field(min_length=1, max_length=2)] = [(0, 0), (0, 0)]
    dilation: Sizes = [1, 1]
    output_padding: Sizes = [0, 0]
    in_channels: Whole = 1
    out_channels: Whole = 1
    groups: Whole = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    flip: bool = False
    x: Values | None = None
    w: Values | None = None
    bias: Values | None = None
    pattern: Name = "digits"
    """The example that x is."""
    filter: Name = ""
    """The filter that every kernel is; it decides the kernel's size."""
    network: Name = ""
    layer: Name = ""
    """A layer of an open network takes the place of all of the above."""
    channel: Annotated[int, Field(ge=0)] = 0
    unit: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=2)] = []
    input: Name = ""
    """The key of an input that was sent: the layer's own maps take the place of the example."""
    at: Annotated[str, Field(max_length=100)] = ""
    """The chosen output as y,o,i,j, or input as x,c,i,j."""


def middle(shape: tuple[int, ...]) -> Array:
    found = np.zeros(shape)
    found.reshape(shape[0], -1)[:, np.ravel_multi_index([size // 2 for size in shape[1:]], shape[1:])] = 1
    return found


def along(shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.arange(float(shape[-1])), shape).copy()


PATTERNS: dict[str, Callable[[tuple[int, ...]], Array]] = {
    "digits": digits,
    "ramp": along,
    "edge": lambda shape: floats(9 * (along(shape) >= shape[-1] // 2)),
    "checker": lambda shape: floats(np.indices(shape[1:]).sum(0) % 2 + np.zeros(shape)),
    "impulse": middle,
    "ones": lambda shape: floats(np.ones(shape)),
    "random": lambda shape: floats(np.random.default_rng(0).integers(-9, 10, shape)),
}
"""Examples of an input of a shape (C, *size)."""


def operation_of(setting: Setting) -> Operation:
    """The operation of a setting, with examples where values are not given.

    Raises GeometryError for numbers that don't belong together, or are too many; ConfigError for values that don't
    fill their shape, or settings that would be ignored.
    """
    axes = len(setting.size)
    lists = {
        name: tuple(getattr(setting, name)) for name in ("kernel", "stride", "padding", "dilation", "output_padding")
    }
    for name, given in lists.items():
        if len(given) != axes:
            raise ConfigError(f"{name} has an entry for each of the {axes} axes.", received=f"{given}")
    for name in ("in_channels", "out_channels"):
        positive(name, [getattr(setting, name)])
    positive("size", setting.size)
    positive("kernel", setting.kernel)
    pools = setting.op in ("max", "average")
    shape = (setting.in_channels, *setting.size)
    if math.prod(shape) > NUMBERS:
        raise GeometryError(f"The Bench holds {NUMBERS} numbers.", received=f"an input of {math.prod(shape)}")
    w = None if pools else kernels(setting)
    return Operation(
        kind=setting.op, x=example(setting, shape), kernel_size=lists["kernel"] if w is None else w.shape[2:], w=w,
        bias=None if w is None or setting.bias is None else filled("bias", setting.bias, (setting.out_channels,)),
        stride=lists["stride"], padding=lists["padding"], dilation=lists["dilation"],
        output_padding=lists["output_padding"], groups=1 if pools else setting.groups, ceil_mode=setting.ceil_mode,
        count_include_pad=setting.count_include_pad, flip=setting.flip,
    )  # fmt: skip


def positive(name: str, values: list[int]) -> None:
    if any(value < 1 for value in values):
        raise GeometryError(f"{name} must be at least 1.", received=f"{values[0] if len(values) == 1 else values}")


def example(setting: Setting, shape: tuple[int, ...]) -> Array:
    if setting.x is not None:
        return filled("x", setting.x, shape)
    if setting.pattern not in PATTERNS:
        raise ConfigError(f"No example is called {setting.pattern!r}. {did_you_mean(setting.pattern, PATTERNS)}")
    return PATTERNS[setting.pattern](shape)


def kernels(setting: Setting) -> Array:
    """The kernels: those given, copies of a filter, or an example of small whole numbers."""
    groups = setting.groups
    if groups < 1 or setting.in_channels % groups or setting.out_channels % groups:
        raise GeometryError(
            "groups must divide the channels of input and output.", fix="Use a common divisor of both, or 1.",
            received=f"{setting.in_channels} and {setting.out_channels} channels, groups={groups}",
        )  # fmt: skip
    pair = (setting.out_channels, setting.in_channels // groups)
    if setting.op == "transposed":
        pair = (setting.in_channels, setting.out_channels // groups)
    if setting.filter and setting.w is not None:
        raise ConfigError("A filter would be ignored, as the kernels are given.", received=setting.filter)
    if setting.filter:
        taps = kernel(setting.filter)
        taps = taps if len(setting.size) == 2 else taps.sum(0)
        return np.broadcast_to(taps, (*pair, *taps.shape)).copy()
    shape = (*pair, *setting.kernel)
    if math.prod(shape) > NUMBERS:
        raise GeometryError(f"The Bench holds {NUMBERS} numbers.", received=f"kernels of {math.prod(shape)}")
    if setting.w is not None:
        return filled("w", setting.w, shape)
    return floats(np.tensordot([1, 3, 4, 2][: len(shape)], np.indices(shape), 1) % 5 - 2)


def filled(name: str, values: list[float], shape: tuple[int, ...]) -> Array:
    if len(values) != math.prod(shape):
        raise ConfigError(
            f"{name} has {math.prod(shape)} numbers: {' x '.join(map(str, shape))}.", received=str(len(values))
        )
    return floats(values).reshape(shape)


def biases(operation: Operation) -> Array:
    return np.zeros(operation.out_channels) if operation.bias is None else operation.bias


def entry_count(operation: Operation) -> int:
    """Entries of the matrix at most: each pair of a window's tap and an output."""
    channels = 1 if operation.w is None else operation.w.shape[1]
    places = operation.x.shape[1:] if operation.kind == "transposed" else operation.output_size
    rows = len(operation.x) if operation.kind == "transposed" else operation.out_channels
    return rows * math.prod(places) * channels * math.prod(operation.kernel_size)


def check_work(operation: Operation) -> None:
    """Raises GeometryError for more than a page shows."""
    outputs = operation.out_channels * math.prod(operation.output_size)
    if outputs > NUMBERS or entry_count(operation) > WORK:
        raise GeometryError(
            f"The Bench holds {NUMBERS} outputs and {WORK:,} products.",
            received=f"{outputs} and {entry_count(operation):,}", fix="Use a smaller input.",
        )  # fmt: skip
