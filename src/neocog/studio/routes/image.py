"""Image: an input, what the network says about it, the maps of its layers, and what the answer rests on."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, Field

from neocog.errors import ConfigError, DataError
from neocog.explaining.attribution import Attribution
from neocog.explaining.backprop import follow_unit
from neocog.explaining.drawing import heat_of
from neocog.explaining.explainer import Sample
from neocog.explaining.explanation import read_similarity
from neocog.explaining.maps import feature_maps
from neocog.explaining.methods import METHODS, default_layer, explain_with
from neocog.explaining.twins import randomised_twin
from neocog.studio.followed import drawn_unit
from neocog.studio.kept import Kept, find_input, input_code, keep_input, read_code
from neocog.studio.outputs import drawn_outputs
from neocog.studio.received import drawn_input
from neocog.studio.routes.anatomy import numbers
from neocog.studio.samples import find_sample, find_samples
from neocog.studio.state import Opened
from neocog.studio.turns import alone, remember, studio_of
from neocog.studio.wire import answer

__all__ = ["router"]

router = APIRouter(prefix="/api/image")
VALUES = 2**22  # of feature maps that are sent at once
Name = Annotated[str, Query(max_length=500)]


class Chosen(BaseModel):
    """A sample of the data that is open."""

    network: Annotated[str, Field(max_length=500)] = ""
    place: int = 0
    """Its number among the samples that the network can read."""
    record: Annotated[str, Field(max_length=4000)] = ""
    """Or its key in the data."""


@router.post("/input")
def send_input(
    request: Request,
    body: Annotated[bytes, Body(media_type="application/octet-stream")] = b"",
    name: Name = "",
    network: Name = "",
    typed: bool = False,
) -> dict[str, Any]:
    """Keep an input: the raw body is the content of a file, or, if it was `typed`, a text.

    Raises DataError if the network's preprocessing can't read it.
    """
    studio = studio_of(request)
    opened = studio.network(network)
    if not body:
        raise DataError("A file must not be empty.", received="0 bytes", where=name or "what was sent")
    text = body.decode(errors="replace") if typed else None
    shown = name or "typed text"
    key = keep_input(studio, opened, body if text is None else text, shown, read_code(shown, text))
    return input_facts(*find_input(studio, opened, key), key)


@router.post("/sample")
def take_sample(request: Request, chosen: Chosen) -> dict[str, Any]:
    """Keep a sample of the open data, or of the run's validation split, as an input.

    Raises ConfigError if there is no such sample, or no data.
    """
    studio = studio_of(request)
    opened = studio.network(chosen.network)
    if chosen.record:
        samples, number = find_sample(studio, opened, chosen.record)
    else:
        samples = find_samples(studio, opened)
        number = samples.number(chosen.place)
    record = samples.source.read(number)
    code = f"{samples.code}.read({number}).payload"
    key = keep_input(studio, opened, record.payload, record.key, code)
    truth = opened.explainer.task.target_text(record.target) if not opened.explainer.task.dense else ""
    return {
        **input_facts(*find_input(studio, opened, key), key),
        "truth": truth,
        **chosen.model_dump(exclude={"network"}),
    }


@router.get("/samples")
def count_samples(request: Request, network: Name = "") -> dict[str, Any]:
    """How many samples there are to choose from, or the reason why there are none."""
    studio = studio_of(request)
    try:
        found = find_samples(studio, studio.network(network))
    except ConfigError as error:
        if error.kind != "samples":
            raise
        return {"count": 0, "title": "", "reason": str(error)}
    return {"count": len(found.indices), "title": found.title, "reason": ""}


@router.get("/received")
def show_received(request: Request, input: Name, network: Name = "") -> Response:
    """The input as the network receives it, decoded, and the range of its numbers after normalisation."""
    opened, kept, sample = asked(request, network, input)
    tensors, meta = drawn_input(opened.explainer, sample.decoded, sample)
    values = sample.inputs.float()
    code = [input_code(opened, kept, sample), "print(sample.decoded.shape, sample.decoded.dtype)"]
    code.append("print(sample.inputs.min().item(), sample.inputs.max().item())")
    span = [float(values.min()), float(values.max())] if values.numel() else [0.0, 0.0]
    name = {"name": sample.name, "span": span, "parts": len(kept.parts)}
    return answer(tensors, {**meta, **name, "code": "\n".join(code)})


@router.get("/outputs")
def show_outputs(request: Request, input: Name, network: Name = "") -> Response:
    """The network's answer, and the outputs that an explanation can be about."""
    opened, kept, sample = asked(request, network, input)
    tensors, meta = alone(request, lambda: drawn_outputs(opened.explainer, sample))
    code = [input_code(opened, kept, sample), "outputs = explainer.outputs(sample.inputs)"]
    code.append("target = explainer.target(sample.inputs)")
    code.append("print(target.text, target.of(outputs).item())")
    return answer(tensors, {**meta, "code": "\n".join(code)})


@router.get("/maps")
def show_maps(request: Request, input: Name, layer: Name, network: Name = "", first: int = 0) -> Response:
    """The feature maps of a layer, (C, *places), from channel `first` on, as many as are sent at once."""
    opened, kept, sample = asked(request, network, input)
    explainer = opened.explainer
    chosen = explainer.layers[layer]
    maps = alone(request, lambda: feature_maps(explainer, sample.inputs, [chosen])[chosen])
    count = max(1, VALUES // max(1, maps[0].numel()))
    part = maps[first : first + count]
    code = [
        input_code(opened, kept, sample),
        "",
        "from neocog.explaining.maps import feature_maps",
        "",
        f"layer = explainer.layers[{chosen.name!r}]",
        f"maps = feature_maps(explainer, sample.inputs, [layer])[layer][{first}:{first + len(part)}]",
        "print(maps.shape, maps.min().item(), maps.max().item())",
    ]
    meta = {"layer": chosen.name, "channels": len(maps), "first": first, "code": "\n".join(code)}
    return answer({"maps": part}, meta)


@router.get("/unit")
def show_unit(
    request: Request, input: Name, layer: Name, unit: Name, network: Name = "", target: Name = ""
) -> Response:
    """The numbers of one unit, forward and backward: `unit` is the channel, then the place, as in `5,3,4`."""
    opened, kept, sample = asked(request, network, input)
    explainer = opened.explainer
    chosen, where, spec = explainer.layers[layer], numbers(unit), target or None

    def follow() -> Any:
        return follow_unit(explainer, sample.inputs, explainer.target(sample.inputs, spec), chosen, where)

    found = alone(request, follow)
    tensors, meta = drawn_unit(found)
    code = [
        input_code(opened, kept, sample),
        "",
        "from neocog.explaining.backprop import follow_unit",
        "",
        f"target = explainer.target(sample.inputs, {spec!r})",
        f"found = follow_unit(explainer, sample.inputs, target, explainer.layers[{chosen.name!r}], {where!r})",
        "print(found.sum, found.bias, found.value, found.delta)",
    ]
    return answer(tensors, {**meta, "layer": chosen.name, "unit": list(where), "code": "\n".join(code)})


@router.get("/methods")
def list_methods(request: Request, input: Name, network: Name = "", target: Name = "") -> dict[str, Any]:
    """The methods, the layers whose maps they can weigh, and the one that is weighed if none is named."""
    opened, _, sample = asked(request, network, input)
    explainer = opened.explainer
    rows = [
        {"name": row.name, "title": row.title, "layer": row.on_layer, "about": row.about} for row in METHODS.values()
    ]
    places = [layer.name for layer in explainer.layers.with_maps() if layer is not explainer.token_layer]
    usual = ""
    if places:
        spec = target or None
        usual = alone(
            request, lambda: default_layer(explainer, sample.inputs, explainer.target(sample.inputs, spec))
        ).name
    return {"methods": rows if places else [row for row in rows if not row["layer"]], "layers": places, "usual": usual}


@router.get("/attribution")
def show_attribution(
    request: Request, input: Name, method: Name, network: Name = "", target: Name = "", layer: Name = ""
) -> Response:
    """The map of a method, with its scale and the value that it explains."""
    opened, kept, sample = asked(request, network, input)
    found = attribution_of(request, opened, input, sample, method, target, layer)
    code = [input_code(opened, kept, sample), *explain_code(method, target, layer)]
    code.append("print(found.logit, found.scale, dict(found.figures))")
    facts = attribution_facts(found, opened.explainer.layers.plan.axes)
    return answer({"map": found.map}, {**facts, "code": "\n".join(code)})


@router.get("/twin")
def show_twin(
    request: Request, input: Name, method: Name, network: Name = "", target: Name = "", layer: Name = ""
) -> Response:
    """The same method on the network re-initialised from the top: its map, and how alike the maps stay on the way."""
    opened, kept, sample = asked(request, network, input)
    explainer = opened.explainer
    original = attribution_of(request, opened, input, sample, method, target, layer)
    chosen = explainer.layers[layer] if layer else None
    twin = remember(
        request, ("twin", opened.name, input, method, target, layer),
        lambda: randomised_twin(explainer, sample.inputs, original.target, method, layer=chosen, original=original),
    )  # fmt: skip
    axes = explainer.layers.plan.axes
    level, reading = "", "has no numbers to compare"
    if twin.similarity and not heat_of(original, axes).empty:
        found = read_similarity(twin.similarity[-1])
        level, reading = found.level, found.text
    meta = {
        **attribution_facts(twin.attribution, axes), "names": list(twin.names), "similarity": list(twin.similarity),
        "level": level, "reading": reading,
    }  # fmt: skip
    code = [input_code(opened, kept, sample), *explain_code(method, target, layer), *twin_code(method, layer)]
    return answer({"map": twin.attribution.map}, {**meta, "code": "\n".join(code)})


def asked(request: Request, network: str, key: str) -> tuple[Opened, Kept, Sample]:
    """The network and the part of the input that a request is about."""
    studio = studio_of(request)
    opened = studio.network(network)
    return opened, *find_input(studio, opened, key)


def input_facts(kept: Kept, sample: Sample, key: str) -> dict[str, Any]:
    """An input as the page knows it."""
    return {"input": key, "name": kept.name, "parts": len(kept.parts), "shape": list(sample.decoded.shape)}


def attribution_of(
    request: Request, opened: Opened, key: str, sample: Sample, method: str, target: str, layer: str
) -> Attribution:
    explainer = opened.explainer
    chosen = explainer.layers[layer] if layer else None

    def make() -> Attribution:
        about = explainer.target(sample.inputs, target or None)
        return explain_with(explainer, sample.inputs, about, method, layer=chosen)

    return remember(request, ("attribution", opened.name, key, method, target, layer), make)


def attribution_facts(found: Attribution, shape: tuple[int, ...]) -> dict[str, Any]:
    """Its numbers, and the scale on which it is drawn: `reach`, where the colours end, and whether it is `empty`."""
    target, heat = found.target, heat_of(found, shape)
    return {
        "method": found.method, "target": target.text, "logit": found.logit, "scale": found.scale,
        "signed": found.signed, "figures": dict(found.figures), "layer": found.layer.name if found.layer else "",
        "place": list(heat.point), "box": list(target.box or ()), "reach": heat.reach, "empty": heat.empty,
    }  # fmt: skip


def explain_code(method: str, target: str, layer: str) -> list[str]:
    weighed = f", layer=explainer.layers[{layer!r}]" if layer else ""
    return [
        "",
        "from neocog.explaining.methods import explain_with",
        "",
        f"target = explainer.target(sample.inputs, {target or None!r})",
        f"found = explain_with(explainer, sample.inputs, target, {method!r}{weighed})",
    ]


def twin_code(method: str, layer: str) -> list[str]:
    weighed = f", layer=explainer.layers[{layer!r}]" if layer else ""
    return [
        "",
        "from neocog.explaining.twins import randomised_twin",
        "",
        f"twin = randomised_twin(explainer, sample.inputs, target, {method!r}{weighed}, original=found)",
        "print(list(zip(twin.names, twin.similarity)))",
    ]
