"""The Bench: a convolution or pooling on a small input, or a layer of a network around one unit, taken apart."""

import math
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from torch import Tensor

from neocog.arithmetic import dense_weights
from neocog.errors import ConfigError, GeometryError
from neocog.reference import FILTERS
from neocog.reference.axes import Array
from neocog.studio.bench_setting import PATTERNS, Setting, biases, check_work, entry_count, operation_of
from neocog.studio.layer_window import LayerWindow, layer_window
from neocog.studio.operation import Operation
from neocog.studio.state import Studio, error_facts
from neocog.studio.wire import answer

__all__ = ["router"]

router = APIRouter(prefix="/api/bench")
ENTRIES = 40_000  # of a matrix that is sent
SHOWN = 16  # products in a sentence


@router.get("/presets")
def presets() -> dict[str, Any]:
    """The filters with their kernels, and the names of examples."""
    single = {name: each.make() for name, each in FILTERS.items() if len(each.make()) == 1}
    filters = [{"name": name, "says": FILTERS[name].says, "size": list(made[0].shape)} for name, made in single.items()]
    return {"filters": filters, "patterns": list(PATTERNS)}


@router.get("/layers")
def list_layers(request: Request, network: str = "") -> list[dict[str, Any]]:
    """The layers of a network that can be taken apart."""
    opened = studio_of(request).network(network)
    taken = ("conv1d", "conv2d", "conv_transpose", "linear", "max_pool", "avg_pool", "adaptive_avg_pool")
    return [
        {"name": layer.name, "operator": layer.row.operator, "detail": layer.row.detail, "shape": list(layer.shape)}
        for layer in opened.explainer.layers
        if layer.row.operator.startswith(taken)
    ]


@router.post("/run")
def run(request: Request, setting: Setting) -> Response:
    """The operation's numbers: input, kernels, outputs, matrix, formulas; or what does not fit, and why."""
    try:
        operation, window = find_operation(studio_of(request), setting)
        check_work(operation)
    except GeometryError as error:  # an answer like any other: what does not fit is a part of the subject
        return JSONResponse(error_facts(error))
    tensors: dict[str, NDArray[Any]] = {"x": operation.x, "y": operation.y}
    if operation.w is not None:
        tensors |= {"w": operation.w, "bias": biases(operation)}
    sent = entry_count(operation) <= ENTRIES
    if sent:
        found = operation.entries
        tensors |= {"rows": found.rows, "columns": found.columns, "weights": found.weights, "taps": found.taps}
    meta = {
        **facts(operation), "matrix": {"rows": operation.y.size, "columns": operation.x.size, "sent": sent},
        "layer": layer_facts(setting, window), "code": code_of(studio_of(request), setting, operation),
    }  # fmt: skip
    return answer(tensors, meta)


@router.post("/unit")
def take_apart(request: Request, setting: Setting) -> Response:
    """The terms of a chosen output, or the outputs that a chosen input feeds, with the numbers."""
    operation, _ = find_operation(studio_of(request), setting)
    check_work(operation)
    kind, place = chosen(setting.at)
    shape = operation.x.shape if kind == "x" else operation.y.shape
    if len(place) != len(shape) or any(not 0 <= at < size for at, size in zip(place, shape, strict=True)):
        noun = "input" if kind == "x" else "output"
        raise ConfigError(f"The {noun} is {' x '.join(map(str, shape))}.", received=setting.at, fix="Choose another.")
    flat = int(np.ravel_multi_index(place, shape))
    return feeds(operation, flat, place) if kind == "x" else made_of(operation, flat, place)


def made_of(operation: Operation, row: int, place: tuple[int, ...]) -> Response:
    """The products of an output."""
    terms = operation.terms(row)
    value = float(operation.y.ravel()[row])
    bias = 0.0 if operation.w is None else float(biases(operation)[place[0]])
    tensors = {
        "channels": terms.channels, "places": terms.places, "taps": terms.taps, "weights": terms.weights,
        "values": terms.values, "products": terms.products, "counted": terms.counted,
    }  # fmt: skip
    name = f"y[{', '.join(map(str, place))}]"
    if operation.kind == "max":
        read = ", ".join(number(each) for each in terms.values[:SHOWN])
        sentence = f"{name} = max({read}{', ...' if len(terms.values) > SHOWN else ''}) = {number(value)}"
    else:
        rows = list(zip(terms.weights, terms.values, strict=True))
        parts = [f"{factor(a)}·{factor(b)}" for a, b in rows[:SHOWN]] + ["..."] * (len(rows) > SHOWN)
        parts += [factor(bias)] if bias else []
        sentence = f"{name} = {' + '.join(parts) or '0'} = {number(value)}"
    return answer(tensors, {"kind": "y", "place": place, "value": value, "bias": bias, "text": sentence})


def feeds(operation: Operation, column: int, place: tuple[int, ...]) -> Response:
    """The outputs that an input feeds."""
    found = operation.feeds(column)
    value = float(operation.x.ravel()[column])
    places = np.stack(np.unravel_index(found.rows, operation.y.shape), 1)
    tensors = {"places": places, "taps": found.taps, "weights": found.weights, "products": found.weights * value}
    name, count = f"x[{', '.join(map(str, place))}] = {number(value)}", len(found)
    if operation.kind == "max":
        sentence = f"{name} is read by {count} windows, and is the largest in {int(found.weights.sum())}"
    else:
        sentence = f"{name} feeds {count} output{'s' if count != 1 else ''}"
    return answer(tensors, {"kind": "x", "place": place, "value": value, "text": sentence})


def number(value: float) -> str:
    return "-inf" if value == -math.inf else f"{value:.6g}"


def factor(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def chosen(at: str) -> tuple[str, tuple[int, ...]]:
    """'y,0,1,2' -> ('y', (0, 1, 2)). Raises ConfigError for anything else."""
    kind, _, rest = at.partition(",")
    parts = rest.split(",")
    if kind not in ("x", "y") or not all(part.isdecimal() for part in parts):
        raise ConfigError(
            "An output is chosen as y,channel,row,column and an input as x,channel,row,column.", received=repr(at)
        )
    return kind, tuple(int(part) for part in parts)


def find_operation(studio: Studio, setting: Setting) -> tuple[Operation, LayerWindow | None]:
    """The operation on the Bench; of a layer, the part around its unit."""
    if not setting.layer:
        return operation_of(setting), None
    opened = studio.network(setting.network)
    layer = opened.explainer.layers[setting.layer]
    key = ("bench", opened.name, layer.name, setting.channel, tuple(setting.unit), setting.input)
    inputs = part_of(studio, setting.input)[0] if setting.input else None
    window: LayerWindow = studio.remember(
        key, lambda: layer_window(opened.explainer, layer, setting.channel, tuple(setting.unit), inputs)
    )
    return window.operation, window


def part_of(studio: Studio, key: str) -> tuple[Tensor, str, int]:
    """The normalised input of a key, the code that reads it, and which part of a large image it is."""
    base, _, number = key.partition(":")
    sample = studio.input(base)
    parts = getattr(sample, "parts", ()) or (sample,)
    part = int(number) if number.isdecimal() else 0
    if part >= len(parts):
        raise ConfigError(f"This input has {len(parts)} parts.", received=key, kind="input")
    return parts[part].inputs, getattr(sample, "code", "") or repr(sample.name), part


def facts(operation: Operation) -> dict[str, Any]:
    """The settings as they are, the sizes with their formulas, and what the operation costs."""
    weights = 0 if operation.w is None else operation.w.size
    return {
        "op": operation.kind, "size": operation.x.shape[1:], "kernel": operation.kernel_size,
        "stride": operation.stride, "padding": operation.padding, "dilation": operation.dilation,
        "output_padding": operation.output_padding, "groups": operation.groups, "flip": operation.flip,
        "ceil_mode": operation.ceil_mode, "count_include_pad": operation.count_include_pad,
        "in_channels": len(operation.x), "out_channels": operation.out_channels, "output": operation.output_size,
        "axes": ["length"] if operation.x.ndim == 2 else ["height", "width"],
        "formulas": operation.formulas, "fits": operation.fits, "weights": weights,
        "macs": entry_count(operation) if weights else 0, "dense": dense_weights(operation.x.size, operation.y.size),
    }  # fmt: skip


def layer_facts(setting: Setting, window: LayerWindow | None) -> dict[str, Any] | None:
    """Where the numbers lie in the network."""
    if window is None:
        return None
    return {
        "network": setting.network, "layer": setting.layer, "channel": window.channel, "unit": window.unit,
        "first_output": window.first_output, "first_input": window.first_input, "input": setting.input,
        "first_channel": window.first_channel,
    }  # fmt: skip


def code_of(studio: Studio, setting: Setting, operation: Operation) -> str:
    """The Python code of the same outputs, `y`."""
    if setting.layer:
        return layer_code(studio, setting)
    lines = ["import numpy as np", "from neocog import reference", "", f"x = {literal(operation.x[None])}"]
    common = f"stride={operation.stride}"
    if operation.w is not None:
        function = {"conv": "convolve" if operation.flip else "cross_correlate", "transposed": "conv_transpose"}
        lines += [f"w = {literal(operation.w)}", f"b = {literal(biases(operation))}"]
        extra = f", output_padding={operation.output_padding}" if operation.kind == "transposed" else ""
        common += f", padding={operation.padding}, dilation={operation.dilation}, groups={operation.groups}{extra}"
        lines.append(f"y = reference.{function[operation.kind]}(x, w, b, {common})")
    elif operation.kind == "max":
        common += f", padding={operation.before}, dilation={operation.dilation}, ceil_mode={operation.ceil_mode}"
        lines.append(f"y, winners = reference.max_pool(x, {operation.kernel_size}, {common})")
    else:
        common += f", padding={operation.before}, ceil_mode={operation.ceil_mode}"
        common += f", count_include_pad={operation.count_include_pad}"
        lines.append(f"y = reference.avg_pool(x, {operation.kernel_size}, {common})")
    return "\n".join([*lines, "print(y[0])"])


def literal(values: Array) -> str:
    flat = [int(each) if each == int(each) else float(each) for each in values.ravel()]
    return f"np.array({flat}, float).reshape({values.shape})"


def layer_code(studio: Studio, setting: Setting) -> str:
    opened = studio.network(setting.network)
    lines = [
        "import neocog", "from neocog.explaining.explainer import Explainer",
        "from neocog.studio.layer_window import layer_window", "",
        f"explainer = Explainer.of(neocog.load({str(opened.path)!r}))",
    ]  # fmt: skip
    extra = f", unit={tuple(setting.unit)}" if setting.unit else ""
    if setting.input:
        _, code, part = part_of(studio, setting.input)
        lines = ["from pathlib import Path", *lines] if code.startswith("Path(") else lines
        lines.append(f"inputs = explainer.samples({code})[{part}].inputs")
        extra += ", inputs=inputs"
    lines.append(f"window = layer_window(explainer, {setting.layer!r}, channel={setting.channel}{extra})")
    return "\n".join([*lines, "y = window.operation.y[None]", "print(y[0])"])


def studio_of(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio
