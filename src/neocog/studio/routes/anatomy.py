"""Anatomy: a network as it is executed, and what a unit of a layer sees of the input."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.filters import has_weights
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.explaining.receptive import effective_field, support
from neocog.planning import advise
from neocog.planning.graph import fused, place, words
from neocog.planning.table import each, sees, size_in_bytes
from neocog.studio.kept import find_input, input_code, network_code
from neocog.studio.state import Opened
from neocog.studio.turns import alone, remember, studio_of
from neocog.studio.wire import answer

__all__ = ["layer_facts", "numbers", "router"]

router = APIRouter(prefix="/api/anatomy")


@router.get("/network")
def describe_network(request: Request, network: str = "") -> dict[str, Any]:
    """The boxes of the drawing, the layers with their figures, the totals and the advice."""
    opened = studio_of(request).network(network)
    return remember(request, ("anatomy", opened.name), lambda: anatomy(opened))


@router.get("/unit")
def describe_unit(
    request: Request, layer: str, unit: str = "", channel: int | None = None, network: str = "", input: str = ""
) -> Response:
    """The box of a unit, its true support, and on an input its effective field.

    `unit` is a place in the layer's maps, `3,4`. Raises ConfigError for one that the layer does not have.
    """
    studio = studio_of(request)
    opened = studio.network(network)
    explainer = opened.explainer
    found, where = explainer.layers[layer], numbers(unit)
    marks = alone(request, lambda: support(explainer, found, where, channel))
    axes = len(explainer.layers.plan.axes)
    seen = np.nonzero(marks)[marks.ndim - axes :]
    box = [[int(along.min()), int(along.max())] for along in seen] if seen[0].size else None
    reads = marks.reshape(-1, *marks.shape[marks.ndim - axes :])
    tensors: dict[str, Any] = {"support": reads.any(axis=0)}
    meta: dict[str, Any] = {
        "layer": found.name, "unit": list(where), "channel": channel, "box": box, "reads": int(marks.sum()),
        "field": list(found.row.receptive_field), "exact": found.row.exact, "sees": sees(found.row),
    }  # fmt: skip
    code = [network_code(opened)]
    if input:
        kept, sample = find_input(studio, opened, input)
        effective = alone(request, lambda: effective_field(explainer, found, where, sample.inputs, channel))
        tensors["energy"] = effective.energy
        meta |= {"side_95": effective.side_95, "share": effective.share}
        code = [input_code(opened, kept, sample)]
    code += unit_code(found, where, channel, on_input=bool(input))
    return answer(tensors, {**meta, "code": "\n".join(code)})


def unit_code(layer: Layer, unit: tuple[int, ...], channel: int | None, *, on_input: bool) -> list[str]:
    """The lines that compute what a unit sees, once the network is open."""
    given = f"explainer, layer, {unit!r}"
    chosen = "" if channel is None else f", channel={channel}"
    lines = [
        "",
        "from neocog.explaining.receptive import box, effective_field, support",
        "",
        f"layer = explainer.layers[{layer.name!r}]",
        f"marks = support({given}{chosen})",
        f"print(box({given}{chosen}), marks.sum())",
    ]
    if on_input:
        lines += [f"seen = effective_field({given}, sample.inputs{chosen})", "print(seen.side_95, seen.share)"]
    return lines


def anatomy(opened: Opened) -> dict[str, Any]:
    explainer = opened.explainer
    plan = explainer.layers.plan
    boxes = fused(plan)
    lanes = place(boxes)
    drawn = []
    for box in boxes:
        head, small, kind, tip = words(plan, box)
        calls = {plan.trace.operations[row.operation].call for row in box.rows}
        names = [layer.name for layer in explainer.layers if layer.call in calls]
        drawn.append(
            {
                "lane": box.lane, "sources": box.sources, "kind": kind, "head": head, "small": small, "modules": tip,
                "layers": names,
            }
        )  # fmt: skip
    return {
        "network": opened.name, "model": plan.model, "input_shape": list(plan.input_shape),
        "output_shapes": [list(shape) for shape in plan.output_shapes], "lanes": lanes, "boxes": drawn,
        "layers": layer_facts(explainer), "totals": totals(explainer), "advice": advise(plan),
        "code": plan_code(opened),
    }  # fmt: skip


def totals(explainer: Explainer) -> list[list[str]]:
    """Names and values."""
    plan = explainer.layers.plan
    return [
        ["Parameters", f"{plan.parameters:,}"],
        ["MACs", f"{plan.macs:,}"],
        ["Weights", size_in_bytes(plan.weight_bytes) or "none"],
        ["Activations, inference", size_in_bytes(plan.inference_bytes)],
        ["Activations, training, one sample", size_in_bytes(plan.training_bytes)],
    ]


def layer_facts(explainer: Explainer) -> list[dict[str, Any]]:
    """Every layer in the order of execution, with its figures and the form of its maps."""
    found = []
    for layer in explainer.layers:
        row, grid = layer.row, Grid.of(explainer, layer)
        found.append(
            {
                "name": layer.name, "module": layer.module, "operator": row.operator, "detail": row.detail,
                "inputs": [list(shape) for shape in row.input_shapes], "shape": list(layer.shape),
                "channels": grid.channels, "places": list(grid.places), "parameters": row.parameters,
                "macs": row.macs, "memory": size_in_bytes(row.activation_bytes), "sees": sees(row),
                "stride": each(row.stride) if row.fields and not all(row.whole) else "", "exact": row.exact,
                "weights": has_weights(explainer, layer), "convolution": layer.is_convolution,
            }
        )  # fmt: skip
    return found


def plan_code(opened: Opened) -> str:
    return "\n".join(
        [
            network_code(opened),
            "",
            "from neocog.planning import advise",
            "",
            "plan = explainer.layers.plan",
            "print(plan)",
            'print("\\n".join(advise(plan)))',
        ]
    )


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers of a place. Raises ConfigError for anything else.

    >>> numbers("3,4"), numbers("")
    ((3, 4), ())
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() for part in parts):
        raise ConfigError("A place is whole numbers from 0, with commas between them.", received=repr(text))
    return tuple(int(part) for part in parts)
