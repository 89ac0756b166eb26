"""A layer of a network on the Bench: the operation as the network makes it, and the part of it around one unit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from neocog.arithmetic import same_padding
from neocog.errors import ConfigError, did_you_mean
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.planning import NumberedCalls
from neocog.reference.axes import Array, each_axis, floats
from neocog.studio.operation import Kind, Operation, digits

__all__ = ["LayerWindow", "layer_operation", "layer_window"]

AROUND = 1  # neighbours of a unit on each side
CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
POOLS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "max_pool": ("max", ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    "avg_pool": ("average", ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")),
}


@dataclass(frozen=True, slots=True, eq=False)
class LayerWindow:
    """The part of a layer that a unit and its neighbours are made of, for one output channel."""

    operation: Operation
    """Its outputs are those of the network, and its inputs are the channels that the output channel reads."""
    channel: int
    unit: tuple[int, ...]
    """In the output of the layer."""
    first_output: tuple[int, ...]
    """Where the first output of the operation lies in the output of the layer."""
    first_input: tuple[int, ...]
    first_channel: int
    """Which input channel of the layer is the first here."""


def layer_window(
    explainer: Explainer, layer: Layer | str, channel: int = 0, unit: tuple[int, ...] = (), inputs: Tensor | None = None
) -> LayerWindow:
    """One output channel of a layer around a unit, with the real weights and, for `inputs` (1, *shape), the real maps.

    Without inputs, all its kernels lie over small whole numbers that are made up. The unit is a place in the layer's
    output, its middle by default.
    Raises ConfigError for a layer without windows, a channel or a unit that it does not have.
    """
    found = explainer.layers[layer] if isinstance(layer, str) else layer
    whole = layer_operation(explainer, found, inputs)
    if not 0 <= channel < whole.out_channels:
        raise ConfigError(f"{found} has the channels 0 to {whole.out_channels - 1}.", received=str(channel))
    return cut(one_channel(whole, channel), channel, unit, first_channel(whole, channel), found.name)


def layer_operation(explainer: Explainer, layer: Layer, inputs: Tensor | None = None) -> Operation:
    """The operation of a layer with its settings and weights, in float64.

    With `inputs` (1, *shape), normalised, its x is what the layer receives; without, an example of whole numbers.
    Raises ConfigError for a layer that is not a convolution, a dense layer or a pooling along one or two axes.
    """
    given = torch.zeros(1, *explainer.input_shape, dtype=explainer.dtype) if inputs is None else inputs
    call = caught(explainer, layer, given)
    found = operation_of(call, layer)
    if found is None or found.x.ndim > 3:
        known = [each.name for each in explainer.layers if each.row.operator.startswith(("conv", "linear", *POOLS))]
        raise ConfigError(
            "The Bench takes apart convolutions, dense layers and pooling, along one or two axes.",
            received=f"{layer.name}: {layer.row.operator}", fix=did_you_mean(layer.name, known),
        )  # fmt: skip
    return found if inputs is not None else replace(found, x=made_up(found))


@dataclass(slots=True)
class Caught:
    """A call of one of torch's functions."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def bound(self, names: tuple[str, ...]) -> dict[str, Any]:
        return dict(zip(names, self.args, strict=False)) | self.kwargs


class Catcher(NumberedCalls):
    """Takes down the arguments of one call."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.caught: Caught | None = None

    def call(self, number: int, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if number == self.number:
            name = getattr(func, "__name__", "")
            self.caught = Caught(name, tuple(map(kept, args)), {key: kept(value) for key, value in kwargs.items()})
        return func(*args, **kwargs)


def kept(value: Any) -> Any:
    """An argument as it is now; the network may write to it."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def caught(explainer: Explainer, layer: Layer, inputs: Tensor) -> Caught:
    """The call that a layer is, on normalised inputs (1, *shape)."""
    catcher = Catcher(layer.call)
    given = inputs.to(explainer.device).clone()  # a network may write to its input
    with torch.no_grad(), catcher:
        explainer.network(given)
    if catcher.caught is None:
        raise ConfigError("A layer must run each time in the same place.", received=f"{layer.name}, which did not run")
    return catcher.caught


def operation_of(call: Caught, layer: Layer) -> Operation | None:
    """The operation that a call makes; None for a function without windows."""
    if call.name in ("conv_transpose1d", "conv_transpose2d"):
        return convolution("transposed", call.bound(TRANSPOSED))
    if call.name in ("conv1d", "conv2d"):
        return convolution("conv", call.bound(CONV))
    if call.name == "linear":
        bound = call.bound(CONV[:3])
        if bound["input"].ndim != 2:
            return None
        # A dense layer is a pointwise convolution of a map with one place.
        return convolution("conv", bound | {key: bound[key][..., None] for key in ("input", "weight")})
    for start, (kind, names) in POOLS.items():
        if call.name.startswith(start):
            return pooling(kind, call.bound(names))
    if call.name.startswith("adaptive_avg_pool"):
        x = call.args[0]
        size, output = x.shape[2:], layer.shape[1:]
        if len(size) == len(output) and not any(i % o for i, o in zip(size, output, strict=True)):
            kernel = tuple(i // o for i, o in zip(size, output, strict=True))
            return pooling("average", {"input": x, "kernel_size": kernel})
    return None


def array(tensor: Tensor | None) -> Array | None:
    return None if tensor is None else floats(tensor.detach().double().cpu().numpy())


def convolution(kind: Kind, bound: dict[str, Any]) -> Operation:
    w, x = array(bound["weight"]), array(bound["input"])
    assert w is not None
    assert x is not None
    kernel, axes = w.shape[2:], w.ndim - 2
    stride, dilation, extra = (
        each_axis(bound.get(key, usual), axes, key)
        for key, usual in (("stride", 1), ("dilation", 1), ("output_padding", 0))
    )
    padding = bound.get("padding", 0)
    if isinstance(padding, str):
        rows = zip(kernel, dilation, strict=True)
        pairs = tuple(same_padding(k, d) if padding == "same" else (0, 0) for k, d in rows)
    else:
        pairs = tuple((p, p) for p in each_axis(padding, axes, "padding"))
    return Operation(
        kind=kind, x=x[0] if x.ndim == w.ndim else x, kernel_size=kernel, w=w, bias=array(bound.get("bias")),
        stride=stride, padding=pairs, dilation=dilation, output_padding=extra, groups=bound.get("groups", 1),
    )  # fmt: skip


def pooling(kind: Kind, bound: dict[str, Any]) -> Operation:
    maps = array(bound["input"])
    assert maps is not None
    axes = maps.ndim - 2
    kernel = each_axis(bound["kernel_size"], axes, "kernel_size")
    stride = each_axis(bound.get("stride") or kernel, axes, "stride")
    padding = each_axis(bound.get("padding", 0), axes, "padding")
    return Operation(
        kind=kind, x=maps[0], kernel_size=kernel, stride=stride, padding=tuple((p, p) for p in padding),
        dilation=each_axis(bound.get("dilation", 1), axes, "dilation"), output_padding=(0,) * axes,
        ceil_mode=bool(bound.get("ceil_mode", False)),
        count_include_pad=kind != "average" or bool(bound.get("count_include_pad", True)),
    )  # fmt: skip


def made_up(whole: Operation) -> Array:
    """An example for a layer: as many numbers as three windows along each axis read, at most as many as it receives."""
    rows = zip(whole.kernel_size, whole.stride, whole.dilation, whole.x.shape[1:], strict=True)
    return digits((len(whole.x), *(min(d * (k - 1) + 1 + 2 * s, size) for k, s, d, size in rows)))


def first_channel(whole: Operation, channel: int) -> int:
    """The first input channel that an output channel reads."""
    return (
        channel // (whole.out_channels // whole.groups) * (len(whole.x) // whole.groups)
        if whole.w is not None
        else channel
    )


def one_channel(whole: Operation, channel: int) -> Operation:
    """The operation of one output channel, on the input channels that it reads."""
    first = first_channel(whole, channel)
    if whole.w is None:
        return replace(whole, x=whole.x[first : first + 1])
    bias = None if whole.bias is None else whole.bias[channel : channel + 1]
    if whole.kind == "conv":
        w = whole.w[channel : channel + 1]
        return replace(whole, x=whole.x[first : first + w.shape[1]], w=w, bias=bias, groups=1)
    per_group, within = len(whole.x) // whole.groups, channel % whole.w.shape[1]
    group = slice(first, first + per_group)
    return replace(whole, x=whole.x[group], w=whole.w[group, within : within + 1], bias=bias, groups=1)


def cut(whole: Operation, channel: int, unit: tuple[int, ...], first: int, name: str) -> LayerWindow:
    """The operation on the part of its input that a unit and its neighbours read."""
    output = whole.output_size
    at = unit or tuple(size // 2 for size in output)
    if len(at) != len(output) or any(not 0 <= place < size for place, size in zip(at, output, strict=False)):
        raise ConfigError(
            f"{name} has units from {(0,) * len(output)} to {tuple(o - 1 for o in output)}.", received=f"{at}"
        )
    along = around_output if whole.kind == "transposed" else around_window
    rows = [along(whole, axis, place) for axis, place in enumerate(at)]
    slices = tuple(slice(*row.inputs) for row in rows)
    part = replace(
        whole, x=whole.x[:, *slices], padding=tuple(row.padding for row in rows), ceil_mode=False, part=True,
        output_padding=tuple(row.output_padding for row in rows),
    )  # fmt: skip
    starts = tuple(row.inputs[0] for row in rows)
    return LayerWindow(part, channel, at, tuple(row.first_output for row in rows), starts, first)


@dataclass(frozen=True, slots=True)
class Along:
    """The part that is kept along an axis."""

    inputs: tuple[int, int]
    """First, and one past the last."""
    padding: tuple[int, int]
    first_output: int
    output_padding: int = 0


def around_window(whole: Operation, axis: int, place: int) -> Along:
    """The samples that the windows of a unit and its neighbours read, and the padding in them."""
    size, out, s = whole.x.shape[1 + axis], whole.output_size[axis], whole.stride[axis]
    first, last = max(0, place - AROUND), min(out - 1, place + AROUND)
    begin = s * first - whole.padding[axis][0]
    end = s * last - whole.padding[axis][0] + whole.dilation[axis] * (whole.kernel_size[axis] - 1) + 1
    inputs = min(max(0, begin), size), max(min(size, end), 0)
    if inputs[0] >= inputs[1]:  # windows in the padding alone: the whole axis shows why
        return Along((0, size), whole.padding[axis], 0)
    return Along(inputs, (max(0, -begin), max(0, end - size)), first)


def around_output(whole: Operation, axis: int, place: int) -> Along:
    """Of a transposed convolution: the inputs that write to a unit and its neighbours, and what is cut off.

    Input i writes to s i - p ... s i - p + d(k - 1). Where inputs are left out, the outputs that they share are too.
    """
    size, s, d, k = whole.x.shape[1 + axis], whole.stride[axis], whole.dilation[axis], whole.kernel_size[axis]
    before, after = whole.padding[axis]
    reach = d * (k - 1)
    first = max(0, (place + before - reach) // s - AROUND)
    last = min(size - 1, (place + before) // s + AROUND)
    shared = max(0, reach + 1 - s)
    ends_here = last == size - 1
    cut_before, cut_after = (before if first == 0 else shared), (after if ends_here else shared)
    return Along(
        (first, last + 1), (cut_before, cut_after), s * first - before + cut_before,
        whole.output_padding[axis] if ends_here else 0,
    )  # fmt: skip
