"""Filter: one channel of a layer, by its kernel, the patches that excite it, and what it answers to."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from neocog.errors import ConfigError
from neocog.explaining.equivariance import measure
from neocog.explaining.explainer import Explainer
from neocog.explaining.filters import kernels
from neocog.explaining.input_changes import CHANGES, kind_of
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.explaining.synthesis import synthesise
from neocog.studio.channel_work import (
    InputAsked,
    PatchesAsked,
    channel_code,
    drawn_patches,
    drawn_synthesis,
    project_strongest,
    search,
)
from neocog.studio.jobs import Job
from neocog.studio.kept import find_input, input_code, network_code
from neocog.studio.samples import find_samples
from neocog.studio.state import Opened, Studio
from neocog.studio.turns import alone, studio_of
from neocog.studio.wire import answer

__all__ = ["router"]

router = APIRouter(prefix="/api/filter")
Name = Annotated[str, Query(max_length=500)]


@router.get("/kernel")
def show_kernel(request: Request, layer: Name, channel: int = 0, network: Name = "") -> Response:
    """The weights of one channel, (I, *kernel), or (I,) of a dense layer.

    Raises ConfigError for a layer without weights, or a channel that it does not have.
    """
    opened, chosen = find_channel(studio_of(request), network, layer, channel)
    explainer = opened.explainer
    found = alone(request, lambda: kernels(explainer, chosen))
    code = [
        *channel_code(network_code(opened), chosen, channel),
        "",
        "from neocog.explaining.filters import kernels",
        "",
        "kernel = kernels(explainer, layer)[channel]",
        "print(kernel.shape, kernel)",
    ]
    meta = {"layer": chosen.name, "channel": channel, "channels": len(found), "code": "\n".join(code)}
    return answer({"kernel": found[channel]}, meta)


@router.get("/deconvnet")
def project(request: Request, input: Name, layer: Name, channel: int = 0, network: Name = "") -> Response:
    """The strongest unit of a channel on an input, sent back to the input by the deconvnet with switches."""
    studio = studio_of(request)
    opened, chosen = find_channel(studio, network, layer, channel)
    kept, sample = find_input(studio, opened, input)
    explainer = opened.explainer
    place, value, back = alone(request, lambda: project_strongest(explainer, sample.inputs, chosen, channel))
    code = [
        *channel_code(input_code(opened, kept, sample), chosen, channel),
        "",
        "from neocog.explaining.maps import Grid",
        "from neocog.explaining.rules import DECONVNET",
        "",
        "tape = explainer.tape(sample.inputs, [layer], rules=DECONVNET)",
        "maps = Grid.of(explainer, layer).maps(tape.values[layer])[0, channel].flatten()",
        "unit = maps[maps.argmax()]",
        "back = tape.gradient(unit)[0][0] * unit.item()",
        "print(unit.item(), back.abs().max().item())",
    ]
    meta = {"layer": chosen.name, "channel": channel, "place": list(place), "value": value, "code": "\n".join(code)}
    return answer({"back": back}, meta)


@router.get("/changes")
def list_changes(request: Request, network: Name = "") -> dict[str, Any]:
    """The changes of the input under which a layer can be measured; none for texts and boards."""
    explainer = studio_of(request).network(network).explainer
    return {"changes": list(CHANGES.get(change_kind(explainer), {}))}


@router.get("/equivariance")
def show_equivariance(request: Request, input: Name, layer: Name, change: Name, network: Name = "") -> Response:
    """How a layer's maps change when the input does, for several amounts of a change."""
    studio = studio_of(request)
    opened, chosen = find_channel(studio, network, layer, 0)
    kept, sample = find_input(studio, opened, input)
    explainer = opened.explainer
    found = alone(request, lambda: measure(explainer, sample.inputs, change, layers=[chosen]))
    code = [
        *channel_code(input_code(opened, kept, sample), chosen, 0)[:-1],
        "",
        "from neocog.explaining.equivariance import measure",
        "",
        f"found = measure(explainer, sample.inputs, {change!r}, layers=[layer])",
        "print(found.amounts, found.invariance[0], found.equivariance[0])",
    ]
    tensors = {
        "amounts": np.array(found.amounts), "invariance": found.invariance[0], "equivariance": found.equivariance[0],
        "inside": found.inside[0],
    }  # fmt: skip
    meta = {"change": change, "unit": found.unit, "readings": list(found.readings), "code": "\n".join(code)}
    return answer(tensors, meta)


@router.post("/patches")
def start_patches(request: Request, asked: PatchesAsked) -> dict[str, Any]:
    """Begin to search the data for the patches that excite a channel most.

    Raises ConfigError if no data is open, or for a channel that the layer does not have.
    """
    studio = studio_of(request)
    opened, chosen = find_channel(studio, asked.network, asked.layer, asked.channel)
    samples = find_samples(studio, opened)

    def work(_: Job) -> tuple[dict[str, Any], dict[str, Any]]:
        return drawn_patches(opened, samples, chosen, asked, *search(studio, opened, samples, chosen, asked))

    key = f"patches {opened.name} {chosen.name} {asked.channel} {asked.most} {samples.title}"
    return studio.jobs.start(key, f"Patches of channel {asked.channel} of {chosen.name}", work).facts()


@router.post("/synthesised")
def start_synthesis(request: Request, asked: InputAsked) -> dict[str, Any]:
    """Begin to make an input for which the mean of a channel is as high as can be."""
    studio = studio_of(request)
    opened, chosen = find_channel(studio, asked.network, asked.layer, asked.channel)

    def work(_: Job) -> tuple[dict[str, Any], dict[str, Any]]:
        with studio.lock:
            found = synthesise(opened.explainer, (chosen, asked.channel), steps=asked.steps, seed=asked.seed)
        return drawn_synthesis(opened, chosen, asked, found)

    key = f"synthesis {opened.name} {chosen.name} {asked.channel} {asked.steps} {asked.seed}"
    return studio.jobs.start(key, f"An input for channel {asked.channel} of {chosen.name}", work).facts()


@router.get("/job")
def show_job(request: Request, job: Name) -> dict[str, Any]:
    """How far a job is. Raises ConfigError if it has been forgotten."""
    return studio_of(request).jobs.get(job).facts()


@router.get("/result")
def show_result(request: Request, job: Name) -> Response:
    """The result of a job. Raises ConfigError if it isn't done."""
    return answer(*studio_of(request).jobs.result(job))


@router.delete("/job")
def stop_job(request: Request, job: Name) -> dict[str, Any]:
    """End a job at its next step. Raises ConfigError if it has been forgotten."""
    return studio_of(request).jobs.stop(job).facts()


def find_channel(studio: Studio, network: str, layer: str, channel: int) -> tuple[Opened, Layer]:
    """A network and its layer. Raises ConfigError for an unknown one, or a channel that it does not have."""
    opened = studio.network(network)
    chosen = opened.explainer.layers[layer]
    count = Grid.of(opened.explainer, chosen).channels
    if not 0 <= channel < count:
        raise ConfigError(f"{chosen.name} has the channels 0 to {count - 1}.", received=f"channel {channel}")
    return opened, chosen


def change_kind(explainer: Explainer) -> str:
    """The kind of input whose changes are known; empty for texts and boards."""
    try:
        return kind_of(explainer)
    except ConfigError:
        return ""
